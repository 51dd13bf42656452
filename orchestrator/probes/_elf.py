"""Reads from an ELF file what the dynamic loader needs for it: interpreter, libraries, search path."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"\x7fELF"
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRING_TABLE, _RPATH, _RUNPATH = 1, 5, 15, 29


def is_elf(path: Path) -> bool:
    """Whether a file starts as ELF files do."""
    try:
        with path.open("rb") as file:
            return file.read(4) == MAGIC
    except OSError:
        return False


class DamagedElf(ValueError):  # noqa: N818
    """A file that begins as ELF files do, and is none, or only a part of one."""


class Elf:
    """One file's needs; all empty for a file that is linked statically."""

    def __init__(self, data: bytes) -> None:
        """Read 32-bit and 64-bit files, of either byte order; DamagedElf where one leads beyond its own end."""
        self._data = data
        self.interpreter: str | None = None
        self.needed: list[str] = []
        self.search_path: list[str] = []
        self._loads: list[tuple[int, int, int]] = []
        try:
            self._read()
        except (struct.error, IndexError, ValueError, StopIteration, OverflowError) as error:
            message = f"cut off or damaged: {error}"
            raise DamagedElf(message) from error

    def _read(self) -> None:
        self._wide = self._data[4] == 2  # noqa: PLR2004 - ELFCLASS64
        self._order = "<" if self._data[5] == 1 else ">"
        dynamic: tuple[int, int] | None = None
        for kind, offset, address, size in self._segments():
            if kind == _LOAD:
                self._loads.append((address, offset, size))
            elif kind == _INTERPRETER:
                self.interpreter = self._string(offset)
            elif kind == _DYNAMIC:
                dynamic = (offset, size)
        if dynamic:
            self._read_dynamic(*dynamic)

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + layout, self._data, offset)

    def _segments(self) -> list[tuple[int, int, int, int]]:
        """Type, offset, address and size in the file of each program header."""
        if self._wide:
            (start,) = self._unpack("Q", 32)
            size, count = self._unpack("HH", 54)
            found = [self._unpack("IIQQQQ", start + size * number) for number in range(count)]
            return [(kind, offset, address, length) for kind, _, offset, address, _, length in found]
        (start,) = self._unpack("I", 28)
        size, count = self._unpack("HH", 42)
        found = [self._unpack("IIIII", start + size * number) for number in range(count)]
        return [(kind, offset, address, length) for kind, offset, address, _, length in found]

    def _read_dynamic(self, offset: int, size: int) -> None:
        width, layout = (16, "qQ") if self._wide else (8, "iI")
        entries = [self._unpack(layout, offset + position) for position in range(0, size, width)]
        strings = next((self._offset_of(value) for tag, value in entries if tag == _STRING_TABLE), None)
        if strings is None:
            return
        for tag, value in entries:
            if tag == _NEEDED:
                self.needed.append(self._string(strings + value))
            elif tag in (_RPATH, _RUNPATH):
                self.search_path += self._string(strings + value).split(":")

    def _offset_of(self, address: int) -> int:
        """Where in the file an address of the loaded program is."""
        return next(offset + address - start for start, offset, size in self._loads if start <= address < start + size)

    def _string(self, offset: int) -> str:
        return self._data[offset : self._data.index(b"\0", offset)].decode("utf-8", "replace")


def load_elf(path: Path) -> Elf:
    """Read one file's needs."""
    return Elf(path.read_bytes())
