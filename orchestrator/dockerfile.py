"""A Dockerfile's text to the images that it is built from, with build arguments filled in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ESCAPE = re.compile(r"#\s*escape\s*=\s*([`\\])\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*[A-Za-z]+\s*=")
_HEREDOC = re.compile(r"<<-?\s*[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?")
_ARGUMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:=(\"[^\"]*\"|'[^']*'|\S*))?")
_FROM = re.compile(r"(?P<flags>(?:--\S+\s+)*)(?P<image>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*", re.IGNORECASE)
_VARIABLE = re.compile(
    r"\\(?P<plain>.)|\$(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<rest>(?:[^{}]|\{[^{}]*\})*)\})"
)
_COPIED_FROM = re.compile(r"(?:^|\s)--from=(\S+)")
_MOUNTED_FROM = re.compile(r"--mount=\S*?\bfrom=([^\s,]+)")
_TOOLS = re.compile(
    r"(?<![\w./-])(gcc|g\+\+|clang|build-base|build-essential|musl-dev|cargo|rust|rustc|rustup|gfortran|cmake)(?![\w./-])"
)
_MAX_DEPTH = 8  # of variables whose defaults name variables


class DockerfileError(ValueError):
    """A line that cannot be understood; the words name it."""


class Image(Struct, frozen=True):
    """An image that a build takes from outside, and the line that names it."""

    ref: str
    platform: str | None
    line: int


class _Stage(Struct):
    name: str
    image: str
    platform: str | None
    line: int
    sources: list[tuple[str, int]] = field(default_factory=list)


def find_images(
    text: str, args: Mapping[str, str], *, target: str | None = None, platform: str | None = None, contexts: Iterable[str] = ()
) -> tuple[Image, ...]:
    """Find the images that a build of `target` takes from outside; names in `contexts` come from elsewhere.

    Only stages that the target needs count, as for BuildKit.
    """
    stages = _parse_stages(text, args, platform)
    if not stages:
        message = "has no FROM"
        raise DockerfileError(message)
    elsewhere = {plain_ref(name) for name in contexts} | set(contexts)
    found: dict[tuple[str, str | None], Image] = {}
    left = [_find_target(stages, target)]
    seen: set[int] = set()
    while left:
        at = left.pop()
        if at in seen:
            continue
        seen.add(at)
        stage = stages[at]
        if stage.name and stage.name in elsewhere:
            continue
        for number, (name, line) in enumerate([(stage.image, stage.line), *stage.sources]):
            inner = _stage_named(stages[:at], name, by_number=number > 0)
            if inner is not None:
                left.append(inner)
            elif name != "scratch" and name not in elsewhere and plain_ref(name) not in elsewhere:
                image = Image(name, stage.platform if number == 0 else None, line)
                found.setdefault((image.ref, image.platform), image)
    return tuple(sorted(found.values(), key=lambda image: (image.line, image.ref)))


def find_build_tools(text: str) -> tuple[str, ...]:
    """Name the compilers and their kin that the RUN lines of a Dockerfile mention, most often to install them."""
    runs = (rest for _, word, rest in _instructions(text) if word == "RUN")
    return tuple(sorted({tool for rest in runs for tool in _TOOLS.findall(rest)}))


def plain_ref(ref: str) -> str:
    """Write a reference as buildx compares it: without Docker Hub's own names, and without `:latest`."""
    for prefix in ("docker.io/library/", "index.docker.io/library/", "library/", "docker.io/", "index.docker.io/"):
        if ref.startswith(prefix):
            ref = ref.removeprefix(prefix)
            break
    return ref.removesuffix(":latest")


def _find_target(stages: list[_Stage], target: str | None) -> int:
    if target is None:
        return len(stages) - 1
    found = _stage_named(stages, target, by_number=True)
    if found is None:
        message = f"has no stage '{target}'"
        raise DockerfileError(message)
    return found


def _stage_named(stages: list[_Stage], name: str, *, by_number: bool) -> int | None:
    """Find the last stage of that name before this one; COPY --from knows numbers, too."""
    for at in range(len(stages) - 1, -1, -1):
        if stages[at].name == name.lower():
            return at
    return int(name) if by_number and name.isdecimal() and len(name) < 6 and int(name) < len(stages) else None  # noqa: PLR2004  # no Dockerfile has more stages


def _parse_stages(text: str, args: Mapping[str, str], platform: str | None) -> list[_Stage]:
    known = {"TARGETPLATFORM": platform or "", "BUILDPLATFORM": platform or ""} | dict(args)
    values: dict[str, str] = {name: value for name, value in known.items() if name.endswith("PLATFORM")}
    stages: list[_Stage] = []
    for line, word, rest in _instructions(text):
        if word == "ARG" and not stages:
            for found in _ARGUMENT.finditer(rest):
                default = _unquote(found[2] or "")
                values[found[1]] = known.get(found[1], _fill(default, values))
        elif word == "FROM":
            stages.append(_parse_from(line, rest, values))
        elif stages and word in ("COPY", "ADD"):
            stages[-1].sources += [(name, line) for name in _COPIED_FROM.findall(rest) if "$" not in name]
        elif stages and word == "RUN":
            stages[-1].sources += [(name, line) for name in _MOUNTED_FROM.findall(rest) if "$" not in name]
    return stages


def _parse_from(line: int, rest: str, values: Mapping[str, str]) -> _Stage:
    found = _FROM.fullmatch(rest.strip())
    if found is None:
        message = f"line {line}: FROM {rest.strip()[:100]}: not `FROM [--platform=P] IMAGE [AS NAME]`"
        raise DockerfileError(message)
    image = _fill(_unquote(found["image"]), values)
    if not image:
        message = f"line {line}: FROM {found['image'][:100]} names no image; give the argument a default, or a value in `args`"
        raise DockerfileError(message)
    flags = dict(flag.removeprefix("--").partition("=")[::2] for flag in found["flags"].split())
    return _Stage((found["name"] or "").lower(), image, _fill(flags.get("platform", ""), values) or None, line)


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Give each instruction with its line; continued lines are joined, comments and here-documents left out."""
    lines = text.removeprefix("\ufeff").splitlines()
    escape = _escape_of(lines)
    at = 0
    while at < len(lines):
        start, joined = at, ""
        while at < len(lines):
            line = lines[at].strip()
            at += 1
            if line.startswith("#") or (joined and not line):
                continue  # comments and empty lines do not end an instruction
            continues = line.endswith(escape)
            joined += (line.removesuffix(escape) if continues else line) + " " * continues
            if not continues:
                break
        word, _, rest = joined.strip().partition(" ")
        if not word:
            continue
        word = word.upper()
        yield start + 1, word, rest
        if word in ("RUN", "COPY", "ADD"):
            for end in _HEREDOC.findall(rest):
                while at < len(lines) and lines[at].strip() != end:
                    at += 1
                at += 1


def _escape_of(lines: list[str]) -> str:
    """Read the directive that names the escape character; directives end with the first other line."""
    for line in lines:
        if found := _ESCAPE.fullmatch(line.strip()):
            return found[1]
        if not _DIRECTIVE.match(line.strip()):
            break
    return "\\"


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _fill(text: str, values: Mapping[str, str], depth: int = 0) -> str:
    """Put arguments in their places: `$A`, `${A}`, `${A:-other}` and `${A:+other}`; an unknown one is empty."""

    def replace(found: re.Match[str]) -> str:
        if found["plain"] is not None:
            return found["plain"]
        value = values.get(found["name"] or found["braced"], "")
        rest = found["rest"] or ""
        other = _fill(rest.lstrip(":")[1:], values, depth + 1) if rest and depth < _MAX_DEPTH else ""
        if rest.startswith((":-", "-")):
            return value or other
        if rest.startswith((":+", "+")):
            return other if value else ""
        return value

    return _VARIABLE.sub(replace, text) if "$" in text or "\\" in text else text
