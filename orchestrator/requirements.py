"""A requirements file with all that it includes: its text, its digest, its options, what it asks for directly."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COMMENT = re.compile(r"(?:^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")  # no others are replaced by pip or uv
_SHORT = {"-r": "requirement", "-c": "constraint", "-i": "index-url", "-f": "find-links", "-e": "editable"}
_ALONE = ("no-index", "pre", "prefer-binary", "require-hashes")
_INCLUDING = ("requirement", "constraint")
_MOST_FILES = 100
_LARGEST = 16 * 1024**2


class Requirements(Struct, frozen=True):
    """The texts of a requirements file and of those that it includes, the first one first."""

    texts: tuple[str, ...]
    lines: tuple[str, ...]  # what is asked for, without options, comments and constraints
    constraints: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()  # by their long names, with what variables stand for; may hold credentials

    @property
    def digest(self) -> str:
        """Give the digest of everything that decides what is asked for."""
        found = hashlib.sha256()
        for text in self.texts:
            found.update(hashlib.sha256(text.encode()).digest())
        return f"sha256:{found.hexdigest()}"


def load_requirements(path: Path) -> Requirements:
    """Read a requirements file and, beside it, the files that it includes."""
    texts: dict[Path, str] = {}
    asked: dict[bool, list[str]] = {True: [], False: []}
    options: list[tuple[str, str]] = []
    seen: set[tuple[Path, bool]] = set()
    left = [(path, True)]
    while left and len(seen) < _MOST_FILES:
        file, asks = left.pop(0)
        place = _place_of(file)
        if (place, asks) in seen:
            continue
        seen.add((place, asks))
        texts.setdefault(place, _read(file))
        for line in logical_lines(texts[place]):
            words = _VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[0], _COMMENT.sub("", line)).strip()
            if words.startswith("-"):
                for name, value in _parse_options(words):
                    if name in _INCLUDING and "://" not in value:
                        left.append((file.parent / value, asks and name == "requirement"))
                    options.append((name, _from_beside(value, file.parent) if name == "find-links" else value))
            elif words:
                asked[asks].append(re.split(r"\s--", words)[0].strip())
    return Requirements(tuple(texts.values()), tuple(asked[True]), tuple(asked[False]), tuple(options))


def logical_lines(text: str) -> Iterator[str]:
    """Join lines that end in a backslash, as pip does: a comment ends what is joined, and is never gone on with."""
    begun = ""
    for line in text.splitlines():
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            begun += line[:-1]
            continue
        yield f"{begun} {line}" if begun and is_comment else begun + line
        begun = ""
    if begun:
        yield begun


def _parse_options(line: str) -> Iterator[tuple[str, str]]:
    """Take the options of a line apart; one that takes no value has an empty one."""
    try:
        words = shlex.split(line)
    except ValueError:  # a quote that is not closed
        words = line.split()
    left = iter(words)
    for word in left:
        if word.startswith("--"):
            name, is_given, value = word[2:].partition("=")
        else:
            name, is_given, value = _SHORT.get(word[:2], ""), word[2:], word[2:].removeprefix("=")
        if name:
            yield name, value if is_given or name in _ALONE else next(left, "")


def _from_beside(value: str, folder: Path) -> str:
    """Give a folder of wheels as it is meant: beside the file that names it, when there is one."""
    try:
        return str((folder / value).absolute()) if "://" not in value and (folder / value).exists() else value
    except (OSError, ValueError):
        return value


def _place_of(file: Path) -> Path:
    try:
        return file.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a null byte, a link to itself
        message = f"{str(file)!r} cannot be read: {error}"
        raise UsageError(message) from error


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise UsageError(message) from error
    if len(raw) > _LARGEST:
        message = f"{path} is larger than {_LARGEST // 1024**2} MiB; this is no requirements file"
        raise UsageError(message)
    return raw.decode("utf-8-sig", "replace")
