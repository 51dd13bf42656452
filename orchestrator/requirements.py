"""A requirements file with all that it includes: its text, its digest, what it asks for directly."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_INCLUDED = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)(?:\s+|=)(\S+)")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_MOST_FILES = 100
_LARGEST = 16 * 1024**2


class Requirements(Struct, frozen=True):
    """The texts of a requirements file and of those that it includes, the first one first."""

    texts: tuple[str, ...]
    lines: tuple[str, ...]  # what is asked for, without options, comments and constraints

    @property
    def digest(self) -> str:
        """Give the digest of everything that decides what is asked for."""
        found = hashlib.sha256()
        for text in self.texts:
            found.update(hashlib.sha256(text.encode()).digest())
        return f"sha256:{found.hexdigest()}"


def load_requirements(path: Path) -> Requirements:
    """Read a requirements file and, beside it, the files that it includes."""
    texts: list[str] = []
    lines: list[str] = []
    seen: set[Path] = set()
    left = [(path, True)]
    while left and len(seen) < _MOST_FILES:
        file, asks = left.pop(0)
        if file.resolve() in seen:
            continue
        seen.add(file.resolve())
        text = _read(file)
        texts.append(text)
        for line in text.replace("\\\n", " ").splitlines():
            words = _COMMENT.sub("", line).strip()
            if found := _INCLUDED.match(words):
                if "://" not in found[1]:
                    left.append((file.parent / found[1], asks and not words.startswith(("-c", "--c"))))
            elif asks and words and not words.startswith("-"):
                lines.append(re.split(r"\s--", words)[0].strip())
    return Requirements(tuple(texts), tuple(lines))


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
    return raw.decode("utf-8", "replace")
