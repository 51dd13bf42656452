"""A Dockerfile's text to the images that it is built from, with build arguments filled in."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.instructions import DockerfileError, fill, read_instructions, split_words
from orchestrator.platforms import normal_platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FROM = re.compile(r"(?P<flags>(?:--\S+\s+)*)(?P<image>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*", re.IGNORECASE)
_COPIED_FROM = re.compile(r"(?:^|\s)--from=(\S+)")
_MOUNTED_FROM = re.compile(r"--mount=\S*?\bfrom=([^\s,]+)")
_TOOLS = re.compile(
    r"(?<![\w./-])(gcc|g\+\+|clang|build-base|build-essential|musl-dev|cargo|rust|rustc|rustup|gfortran|cmake)(?![\w./-])"
)


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
    text: str,
    args: Mapping[str, str],
    *,
    target: str | None = None,
    platform: str | None = None,
    here: str | None = None,
    contexts: Iterable[str] = (),
) -> tuple[Image, ...]:
    """Find the images that a build of `target` takes from outside; names in `contexts` come from elsewhere.

    Only stages that the target needs count, as for BuildKit. `here` is the
    platform that the builder itself runs on.
    """
    stages = _parse_stages(text, args, platform, here)
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


def find_build_tools(text: str, args: Iterable[str] = ()) -> tuple[str, ...]:
    """Name the compilers and their kin that a Dockerfile mentions, most often to install them.

    Lists of packages often stand in an ARG or an ENV, or are the value of an argument.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    found = list(read_instructions(text))
    said = list(args)
    following_lines = [*(line for line, _, _ in found[1:]), len(lines) + 1]
    for (line, word, rest), following in zip(found, following_lines, strict=False):
        if word in ("RUN", "ARG", "ENV"):
            said.append(rest)
        if word == "RUN" and "<<" in rest:  # what a here-document holds lies before the next instruction
            said += [one for one in lines[line : following - 1] if not one.lstrip().startswith("#")]
    return tuple(sorted({tool for words in said for tool in _TOOLS.findall(words)}))


def takes_from_context(text: str, path: str) -> bool:
    """Tell whether a Dockerfile copies or mounts a file of its context, as far as its sources are named without variables."""
    names = path.split("/")
    sources = [PurePosixPath("/", fill(source, {})).parts[1:] for source in _find_sources(text) if "$" not in source]
    return any(len(parts) <= len(names) and all(map(fnmatchcase, names, parts)) for parts in sources)


def _find_sources(text: str) -> Iterator[str]:
    """Give what instructions take from the context; a copy that leaves something out is not judged."""
    for _, word, rest in read_instructions(text):
        words = split_words(rest)
        flags = [one for one in words if one.startswith("--")]
        if word in ("COPY", "ADD") and not any(flag.startswith(("--from=", "--exclude=")) for flag in flags):
            yield from _read_list([one for one in words if one not in flags])[:-1]
        elif word == "RUN":
            for flag in flags:
                options = dict(option.partition("=")[::2] for option in flag.removeprefix("--mount=").split(","))
                if flag.startswith("--mount=") and options.get("type", "bind") == "bind" and "from" not in options:
                    yield options.get("source") or options.get("src") or "."


def _read_list(words: list[str]) -> list[str]:
    """Give the words of an instruction, which may be written as a list in JSON."""
    with suppress(ValueError):
        listed = json.loads(" ".join(words))
        return [*map(str, listed)] if isinstance(listed, list) else words
    return words


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


def _parse_stages(text: str, args: Mapping[str, str], platform: str | None, here: str | None) -> list[_Stage]:
    values = {**_platform_arguments("TARGET", platform or here), **_platform_arguments("BUILD", here or platform)}
    values |= {name: args[name] for name in values.keys() & args.keys()}
    stages: list[_Stage] = []
    for line, word, rest in read_instructions(text):
        if word == "ARG" and not stages:
            for name, has_default, default in (one.partition("=") for one in split_words(rest)):
                if name in args:
                    values[name] = args[name]
                elif has_default:
                    values[name] = fill(default, values)
        elif word == "FROM":
            stages.append(_parse_from(line, rest, values))
        elif stages and word in ("COPY", "ADD"):
            stages[-1].sources += [(name, line) for name in _COPIED_FROM.findall(rest) if "$" not in name]
        elif stages and word == "RUN":
            stages[-1].sources += [(name, line) for name in _MOUNTED_FROM.findall(rest) if "$" not in name]
    return stages


def _platform_arguments(prefix: str, platform: str | None) -> dict[str, str]:
    """Give the arguments that BuildKit knows of a platform without being told."""
    name = normal_platform(platform) if platform else ""
    system, machine, variant = (*name.split("/"), "", "")[:3]
    return {f"{prefix}PLATFORM": name, f"{prefix}OS": system, f"{prefix}ARCH": machine, f"{prefix}VARIANT": variant}


def _parse_from(line: int, rest: str, values: Mapping[str, str]) -> _Stage:
    found = _FROM.fullmatch(rest.strip())
    if found is None:
        message = f"line {line}: FROM {rest.strip()[:100]}: not `FROM [--platform=P] IMAGE [AS NAME]`"
        raise DockerfileError(message)
    image = fill(found["image"], values)
    if not image:
        message = f"line {line}: FROM {found['image'][:100]} names no image; give the argument a default, or a value in `args`"
        raise DockerfileError(message)
    flags = dict(flag.removeprefix("--").partition("=")[::2] for flag in found["flags"].split())
    return _Stage((found["name"] or "").lower(), image, fill(flags.get("platform", ""), values) or None, line)
