"""A .dockerignore's patterns against the paths of a context, as BuildKit reads them."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_GLOB = re.compile(r"[*?\[\\]")
_ANYWHERE = re.compile(r"(?:\*\*/)+")
_SPECIAL = ".+()|{}$^"
_IN_CLASS = "[&|~"  # what Python keeps for sets of its own


@dataclass(frozen=True, slots=True)
class _Pattern:
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
        """Tell which patterns match a path or, as its folder found, a folder around it."""
        return tuple(
            above or pattern.match.fullmatch(path) is not None for above, pattern in zip(parent, self._patterns, strict=True)
        )

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
    except re.error as error:
        message = f"'{line.strip()}' in a .dockerignore is no pattern: {error}"
        raise ValueError(message) from error
    return _Pattern(match, lets_in, tuple(parts[:plain]))


def _translate(text: str) -> str:
    """Write a pattern as a regular expression: `**` crosses folders, `*` and `?` do not."""
    found, at, in_class = "", 0, False
    while at < len(text):
        mark = text[at]
        if text.startswith("**", at):
            at += 2
            inside = text.startswith("/", at)
            found += "(?:.*/)?" if inside else ".*"
            at += inside
            continue
        if mark == "\\" and at + 1 < len(text):
            at += 1
            found += re.escape(text[at])
        elif in_class:
            in_class = mark != "]"
            found += f"\\{mark}" if mark in _IN_CLASS else mark
        elif mark in "*?":
            found += "[^/]*" if mark == "*" else "[^/]"
        elif mark == "[":
            in_class = True
            found += mark
        else:
            found += re.escape(mark) if mark in _SPECIAL else mark
        at += 1
    return found
