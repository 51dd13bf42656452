"""A .dockerignore's patterns against the paths of a context, as BuildKit reads them."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GLOB = re.compile(r"[*?\[\\]")
_ANYWHERE = re.compile(r"(?:\*\*/)+")
_SPECIAL = ".+()|{}$"
_EXPRESSION = re.compile(r"[?\[\]\\]")
_MOST_LOOSE = 4  # each may be tried at every place of a path
_IN_CLASS = "[&|~"  # what Python keeps for sets of its own


class _Pattern(Struct, frozen=True):
    """One line: what it matches, whether it lets in again, and the folders that it surely begins with."""

    match: re.Pattern[str]
    lets_in: bool
    begins_with: tuple[str, ...]


class Ignore:
    """Which paths of a context are not given to the build."""

    def __init__(self, text: str) -> None:
        """Read the file; a line that is no pattern raises ValueError, as the build would fail on it."""
        self._patterns = [pattern for line in text.removeprefix("\ufeff").splitlines() if (pattern := _parse(line))]

    @property
    def nothing_matched(self) -> tuple[bool, ...]:
        """Give what the context's own folder matches: no pattern."""
        return (False,) * len(self._patterns)

    def match(self, path: str, parent: Sequence[bool]) -> tuple[bool, ...]:
        """Tell which patterns match a path or, as its folder found, a folder around it.

        One that could not change what those before it say of the path is not
        tried, and so it does not count for what lies inside either.
        """
        is_out, found = False, list[bool]()
        for above, pattern in zip(parent, self._patterns, strict=True):
            matches = above or (pattern.lets_in == is_out and pattern.match.fullmatch(path) is not None)
            is_out = not pattern.lets_in if matches else is_out
            found.append(matches)
        return tuple(found)

    def leaves_out(self, matched: Sequence[bool]) -> bool:
        """Tell whether what matches these is left out: the last one decides."""
        verdict = False
        for pattern, matches in zip(self._patterns, matched, strict=True):
            if matches:
                verdict = not pattern.lets_in
        return verdict

    def may_let_in_below(self, folder: str) -> bool:
        """Tell whether anything inside a folder that is left out can be let in again."""
        parts = folder.split("/")
        exceptions = (pattern.begins_with for pattern in self._patterns if pattern.lets_in)
        return any(list(known[: len(parts)]) == parts[: len(known)] for known in exceptions)


def _parse(line: str) -> _Pattern | None:
    """Read a line; comments and empty ones are none."""
    if line.startswith("#") or not line.strip():
        return None
    text = line.strip()
    lets_in = text.startswith("!")
    text = text.removeprefix("!").strip()
    if not text:
        message = "'!' stands alone in a .dockerignore"
        raise ValueError(message)
    text = posixpath.normpath(text).lstrip("/") or "."
    parts = text.split("/")
    plain = next((at for at, part in enumerate(parts) if _GLOB.search(part)), len(parts))
    try:
        match = re.compile(_translate(_ANYWHERE.sub("**/", text)), re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        message = f"'{line.strip()}' in a .dockerignore is no pattern: {error}"
        raise ValueError(message) from error
    return _Pattern(match, lets_in, tuple(parts[:plain]))


_WILD = {"*": "[^/]*?", "**": ".*?", "**/": "(?:.*?/)??"}


def _translate(text: str) -> str:
    """Write a pattern as a regular expression: `**` crosses whole folders, `*` and `?` do not.

    Only at the end, and before an ending without further marks, `**` stands for
    the rest of a name as well.

    What follows a `*` is looked for at its first place only, and what follows a
    `**` as well, up to the next one: what comes after can only begin there or
    later. So a pattern of a hundred stars, which others may have written, takes
    no longer than its path is long, squared.
    """
    parts = _read(text)
    loose = _find_loose(parts)
    lasts = {wild: max((at for at, (one, _) in enumerate(parts) if one.startswith(wild)), default=0) for wild in ("*", "**")}
    found, open_groups = "", list[str]()
    for at, (wild, literal) in enumerate(parts):
        crosses = wild.startswith("**")
        while open_groups and (crosses or open_groups[-1] == "*"):
            open_groups.pop()
            found += ")"
        if wild:
            is_last = at == lasts["*"] or (crosses and at == lasts["**"])
            found += f"(?{':' if is_last or at in loose else '>'}{_WILD[wild]}"
            open_groups.append("**" if crosses else "*")
        found += literal
    return found + ")" * len(open_groups)


def _read(text: str) -> list[tuple[str, str]]:
    """Cut a pattern before its stars, with each `**` that crosses whole folders as `**/`."""
    parts = list(_split(text, _SPECIAL))
    is_ended = len(parts) == 2 and (text.startswith("**") or text.endswith("**"))  # noqa: PLR2004  # one star
    if not _EXPRESSION.search(text) and (len(parts) == 1 or is_ended):
        return list(_split(text, f"{_SPECIAL}^"))  # the builder compares a beginning, an ending or the whole
    inner = [("**/" if wild == "**" else wild, literal) for wild, literal in parts]
    return [*inner[:-1], parts[-1]] if parts[-1] == ("**", "") else inner


def _find_loose(parts: list[tuple[str, str]]) -> set[int]:
    """Find the stars behind which not only the first place counts: those before a `**/` that stands within a name, `a**/b`."""
    loose: set[int] = set()
    crossing = 0
    for at, (wild, _) in enumerate(parts):
        if wild == "**/" and at > 1 and not parts[at - 1][1].endswith("/"):
            loose |= {at - 1, crossing}
        crossing = at if wild.startswith("**") else crossing
    if len(loose) > _MOST_LOOSE:
        message = "'**' stands within names again and again; let it follow a '/'"
        raise ValueError(message)
    return loose


def _split(text: str, special: str) -> Iterator[tuple[str, str]]:
    """Cut a pattern before each of its stars, and write what stands between them as a regular expression.

    Special are the marks that stand for themselves. `^` is none of them where
    the builder reads the pattern as a regular expression, too.
    """
    wild, literal, at, in_class = "", "", 0, False
    while at < len(text):
        mark = text[at]
        if mark == "*" and not in_class:
            yield wild, literal
            wild = next(one for one in ("**/", "**", "*") if text.startswith(one, at))
            literal = ""
            at += len(wild)
            continue
        if mark == "\\" and at + 1 < len(text):
            at += 1
            literal += re.escape(text[at])
        elif in_class:
            in_class = mark != "]"
            literal += f"\\{mark}" if mark in _IN_CLASS else mark
        elif mark == "[":
            in_class = True
            literal += mark
        elif mark == "?":
            literal += "[^/]"
        else:
            literal += re.escape(mark) if mark in special else mark
        at += 1
    yield wild, literal
