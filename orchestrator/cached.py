"""Files of the cache that can be made anew: written whole or not at all, checked when read, within a bound."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import StoreError
from orchestrator.paths import cache_folder, cache_place

_CHECKSUM = 32
_PARTS = 16  # so much of a folder's bound is written, as a rule, before all of it is looked through again


class Shelf(Struct, frozen=True):
    """A folder of the cache; `mark` begins each of its files, and changes when their form does."""

    folder: str
    mark: bytes
    max_bytes: int
    max_entry_bytes: int

    def load(self, name: str) -> memoryview | None:
        """Read an entry; a damaged one, or one of another form, is as good as none. What is used stays longest."""
        try:
            path = cache_place(self.folder, name)
            data = memoryview(self._read(path))
        except (OSError, ValueError, StoreError):
            return None
        with suppress(OSError):  # nobody may write here: what can be read is as good
            os.utime(path)
        start = len(self.mark) + _CHECKSUM
        body = data[start:]
        return body if data[:start] == self._head(name, body) else None

    def save(self, name: str, body: bytes) -> None:
        """Keep an entry; what was not used for longest makes room. A full disk only costs the memory.

        Whether a folder is looked through is left to chance, by the bytes that are
        written: so it is done as often whether one process writes or hundreds, and
        those of a short run do not read a folder of thousands.
        """
        if len(body) > self.max_entry_bytes:
            return
        folder = cache_folder(self.folder)
        draft: str | None = None
        try:
            with tempfile.NamedTemporaryFile("wb", dir=folder, prefix=".draft-", delete=False) as file:
                draft = file.name
                file.write(self._head(name, body))
                file.write(body)
            Path(draft).replace(folder / name)
            if int.from_bytes(os.urandom(8)) % self.max_bytes < len(body) * _PARTS:
                self._make_room(folder)
        except OSError:
            if draft:
                Path(draft).unlink(missing_ok=True)

    def _head(self, name: str, body: bytes | memoryview) -> bytes:
        """Give what an entry begins with; one that was moved to another name is none."""
        checksum = hashlib.sha256(name.encode() + b"\0")
        checksum.update(body)
        return self.mark + checksum.digest()

    def _read(self, path: Path) -> bytes:
        """Read a plain file of bounded size; nothing that lies in the folder can make this wait or fill the memory."""
        largest = len(self.mark) + _CHECKSUM + self.max_entry_bytes
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_size > largest:
                raise ValueError
            return file.read(largest)

    def _make_room(self, folder: Path) -> None:
        """Remove what was not used for longest until the rest fits; another process may do the same at this moment."""
        found = []
        with os.scandir(folder) as items:
            for item in items:
                try:
                    about = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                found.append(_Stored(about.st_mtime_ns, about.st_size, item.path))
        total = sum(one.size for one in found)
        for one in sorted(found):
            if total <= self.max_bytes:
                return
            Path(one.path).unlink(missing_ok=True)
            total -= one.size


class _Stored(Struct, frozen=True, order=True):
    """A file of the cache."""

    used_ns: int
    size: int
    path: str
