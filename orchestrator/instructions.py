"""A Dockerfile's text to its instructions, and its words with variables filled in, as BuildKit reads both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ESCAPE = re.compile(r"#\s*escape\s*=\s*([`\\])\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*[A-Za-z]+\s*=")
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_WORD = re.compile(
    r"""
    (?: <<\s* | [^\s'"\\$] | \\.? | '[^']*' | "(?:[^"\\]|\\.)*" | \$\{\w+(?:[-:+?\#%/](?:[^{}]|\{[^{}]*\})*)?\} | \$(?!\{) )+
    | \s+
    | (?P<torn>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_HEREDOC = re.compile(r"\d*<<(?:\s+|(-?))([^<]*)")
_QUOTED = re.compile(r"""\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)\"""")
_TAKE_HEREDOCS = ("RUN", "COPY", "ADD")
_MARK = re.compile(
    r"""
    \\(?P<plain>.) | '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)"
    | \$(?P<name>[A-Za-z_][A-Za-z0-9_]*) | \$\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_BRACE = re.compile(r"[{}]")
_WILD = re.compile(r"\\(?P<plain>.)|(?P<wild>[*?])|.", re.DOTALL)
_MAX_DEPTH = 8  # of variables whose defaults name variables


class DockerfileError(ValueError):
    """A line that cannot be understood; the words name it."""


def read_instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Give each instruction with its line; continued lines are joined, comments and here-documents left out."""
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    continued = re.compile(rf"(^|[^{_escape_of(lines)}]){_escape_of(lines)}[ \t]*$")
    at = 0
    while at < len(lines):
        line = lines[at].lstrip()
        at += 1
        if not line or line.startswith("#"):
            continue
        start = at
        joined, goes_on = continued.subn(r"\1", line)
        while goes_on and at < len(lines):
            line = lines[at]
            at += 1
            if line.strip() and not line.lstrip().startswith("#"):  # neither ends an instruction
                line, goes_on = continued.subn(r"\1", line)
                joined += line
        word, _, rest = _BLANKS.sub(" ", joined.strip(), count=1).partition(" ")
        yield start, word.upper(), rest
        if "<<" in rest and _takes_heredocs(word, rest):
            for end, is_indented in _find_heredocs(rest):
                at = _skip_heredoc(lines, at, end, start, is_indented=is_indented)


def _escape_of(lines: list[str]) -> str:
    """Read the directive that names the escape character, for a regular expression; directives end with the first other line."""
    for line in lines:
        if found := _ESCAPE.fullmatch(line.strip()):
            return re.escape(found[1])
        if not _DIRECTIVE.match(line.strip()):
            break
    return r"\\"


def _takes_heredocs(word: str, rest: str) -> bool:
    """Tell whether an instruction may have here-documents, as three may, were it behind ONBUILD."""
    inner = rest.split(maxsplit=1)[0] if word.upper() == "ONBUILD" else word
    return inner.upper() in _TAKE_HEREDOCS


def _find_heredocs(rest: str) -> Iterator[tuple[str, bool]]:
    """Give what ends each here-document of a line, and whether tabs may stand before it.

    Only a whole word begins one, in which blanks may follow the mark, so that
    `$((1<<n))`, `<<<` and what is quoted begin none; a line that cannot be cut
    into words has none at all.
    """
    words = list(_WORD.finditer(rest))
    if any(word["torn"] for word in words):
        return
    for word in words:
        if (found := _HEREDOC.fullmatch(word[0])) and found[2]:
            yield _QUOTED.sub(r"\1\2\3", found[2]), bool(found[1])


def _skip_heredoc(lines: list[str], at: int, end: str, start: int, *, is_indented: bool) -> int:
    """Give the place behind a here-document."""
    for place in range(at, len(lines)):
        if (lines[place].lstrip("\t") if is_indented else lines[place]) == end:
            return place + 1
    message = f"line {start}: the here-document has no end: no line that is '{end[:100]}'"
    raise DockerfileError(message)


def split_words(text: str) -> list[str]:
    """Cut a text at its blanks, but for those that are quoted; the quotes stay."""
    return [word[0] for word in _WORD.finditer(text) if not word[0].isspace()]


def fill(text: str, values: Mapping[str, str], depth: int = 0, *, keeps_escapes: bool = False) -> str:
    """Take quotes away and put variables in their places, in all forms that BuildKit knows; an unknown one is empty."""
    found, at = "", 0
    while mark := _MARK.search(text, at):
        found += text[at : mark.start()]
        at = mark.end()
        if mark["braced"]:
            end = _end_of_braces(text, at)
            found += _substitute(values.get(mark["braced"]), text[at:end], values, depth)
            at = end + 1
        elif mark["name"]:
            found += values.get(mark["name"], "")
        elif mark["double"]:
            found += fill(mark["double"], values, depth + 1) if depth < _MAX_DEPTH else ""
        else:
            found += mark[0] if keeps_escapes and mark["plain"] else mark["plain"] or mark["single"] or ""
    return found + text[at:]


def _end_of_braces(text: str, at: int) -> int:
    """Find the brace that closes the one before a place, or the end of the text."""
    depth = 1
    for brace in _BRACE.finditer(text, at):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.start()
    return len(text)


def _substitute(value: str | None, rest: str, values: Mapping[str, str], depth: int) -> str:
    """Give what `${A:-other}` and its kin stand for, of which `rest` is what follows the name."""
    kind = rest.removeprefix(":")[:1]
    other = rest.removeprefix(":")[1:]
    other = fill(other, values, depth + 1, keeps_escapes=kind in ("#", "%", "/")) if depth < _MAX_DEPTH else ""
    is_there = bool(value) or (value is not None and not rest.startswith(":"))
    match kind:
        case "-":
            return value or "" if is_there else other
        case "+":
            return other if is_there else ""
        case "#":
            return re.sub(rf"\A{_pattern(other.removeprefix('#'), is_greedy=other.startswith('#'))}", "", value or "")
        case "%":
            backwards = _pattern(other.removeprefix("%"), is_greedy=other.startswith("%"), is_turned=True)
            return re.sub(rf"\A{backwards}", "", (value or "")[::-1])[::-1]
        case "/":
            wanted, _, new = other.removeprefix("/").partition("/")
            times = 0 if other.startswith("/") else 1
            return re.sub(_pattern(wanted, is_greedy=True), lambda _: new, value or "", count=times)
    return value or ""


def _pattern(text: str, *, is_greedy: bool, is_turned: bool = False) -> str:
    """Write a shell's pattern as a regular expression, or as one for the same text turned round.

    What follows a `*` is looked for at its first place only, up to the last one:
    so a pattern of a hundred stars takes no longer than one of two.
    """
    marks = [
        "*" if one["wild"] == "*" else "." if one["wild"] else re.escape(one["plain"] or one[0]) for one in _WILD.finditer(text)
    ]
    pieces = [""]
    for mark in reversed(marks) if is_turned else marks:
        if mark == "*":
            pieces.append("")
        else:
            pieces[-1] += mark
    first, *others = pieces
    inner = "".join(f"(?>.*?{piece})" for piece in others[:-1])
    last = "".join(f"{'.*' if is_greedy else '.*?'}{piece}" for piece in others[-1:])
    return f"(?s:{first}{inner}{last})"
