"""A tar stream to its entries, header by header, with every oddity refused by name.

Python's tarfile is not used here: it takes a damaged header for the end of the
archive, keeps extended headers of any size, and needs 20 µs for an entry, where
a layer of small files must not take longer than `tar -t` does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from zlib import adler32

from orchestrator.layers.archive import LayerError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 512
_ZERO = bytes(_BLOCK)
_MAX_EXTENDED = 1024 * 1024  # of an extended header, as Go has it
_MAX_MODES = 4096
_ADLER = 65521
_PAX = re.compile(rb"([0-9]{1,9}) ")
_SPARSE_MORE = 504  # where an old sparse header's continuation says that another follows
_HEADER_ONLY = b"123456"  # of these kinds no data follow, whatever size they claim


class Entry(NamedTuple):
    """One entry as the archive has it: nothing about its name is checked yet."""

    kind: int
    name: bytes
    link: bytes
    size: int
    mode: int


class TarStream:
    """The entries of a tar stream, and the bytes gone by."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        """Read from parts of bytes."""
        self._parts = parts
        self._part = b""
        self._at = 0
        self._before = 0
        self._failure: LayerError | None = None
        self._modes: dict[bytes, int] = {}
        self._left = 0  # data of the current entry that nobody has read
        self.is_tar = False  # as far as it was read: it begins as one

    @property
    def position(self) -> int:
        """Say how many bytes have gone by."""
        return self._before + self._at

    def drain(self) -> int:
        """Go to the end of the stream; give its length."""
        while self._next():
            pass
        return self.position

    def content(self, limit: int) -> bytes:
        """Read the data of the entry at hand, up to a limit."""
        size = min(limit, self._left)
        data = self._take(size, "in the data of a file")
        self._left -= size
        return data

    def __iter__(self) -> Iterator[Entry]:
        """Give the entries up to the archive's end; LayerError where it is damaged."""
        extended: dict[bytes, bytes] = {}
        while (header := self._header()) is not None:
            kind = header[156]
            size = _size(header)
            if kind in b"xgLKX":
                data = self._extended(kind, size)
                if kind != ord("g"):  # engines pass over global headers, too
                    extended |= data
                continue
            if b"size" in extended:
                size = _decimal(extended[b"size"])
            if kind == ord("S"):
                self._sparse(header)
            elif kind in _HEADER_ONLY:
                size = 0
            name, link = _names(header, extended)
            if kind == 0 and name.endswith(b"/"):  # as tar had it before it knew folders
                kind = ord("5")
            self._left = size
            yield Entry(kind, name, link, size, self._mode(header[100:108]))
            self._skip(self._left + -size % _BLOCK)
            extended = {}
        if extended:
            raise LayerError("is cut off: it ends behind an extended header")

    def _header(self) -> bytes | None:
        """Read a header; None at the end, with or without the zeros that should mark it."""
        at, part = self._at, self._part
        header = part[at : at + _BLOCK]
        if len(header) == _BLOCK:
            self._at = at + _BLOCK
        else:
            if not header and not self._next():
                return None
            header = self._take(_BLOCK, "in a header")
        if header == _ZERO:
            self.is_tar = True
            return None
        # adler32 adds bytes up as fast as C can; the checksum's own field counts as eight spaces
        found = adler32(header[156:], adler32(header[:148])) & 0xFFFF
        try:
            stored = int(header[148:154], 8)
        except ValueError:
            stored = _number(header[148:156])
        if found != (stored + 1 - 256) % _ADLER and stored != _signed_sum(header):
            message = f"is damaged: no tar header at byte {self.position - _BLOCK}"
            raise LayerError(message)
        self.is_tar = True
        return header

    def _mode(self, field: bytes) -> int:
        """Read the permissions, of which a layer has a handful of kinds."""
        mode = self._modes.get(field)
        if mode is None:
            mode = _number(field) & 0o7777
            if len(self._modes) < _MAX_MODES:
                self._modes[field] = mode
        return mode

    def _extended(self, kind: int, size: int) -> dict[bytes, bytes]:
        if size > _MAX_EXTENDED:
            message = f"has an extended header of {size} bytes"
            raise LayerError(message)
        data = self._take(size, "in an extended header")
        self._skip(-size % _BLOCK)
        if kind in b"LK":
            return {b"L" if kind == ord("L") else b"K": data.partition(b"\0")[0]}
        if b"path=" not in data and b"size=" not in data and b"GNU.sparse." not in data:
            return {}
        return _pax(data)

    def _sparse(self, header: bytes) -> None:
        """Pass over the map of a sparse file; what counts is what is stored."""
        more = header[482]
        while more:
            more = self._take(_BLOCK, "in a sparse file's map")[_SPARSE_MORE]

    def _take(self, size: int, where: str) -> bytes:
        taken = self._part[self._at : self._at + size]
        self._at += len(taken)
        if len(taken) == size:
            return taken
        found = [taken]
        left = size - len(taken)
        while left:
            if not self._next():
                message = f"is cut off: it ends {where}"
                raise LayerError(message)
            found.append(self._part[:left])
            self._at = len(found[-1])
            left -= self._at
        return b"".join(found)

    def _skip(self, size: int) -> None:
        left = size - (len(self._part) - self._at)
        while left > 0:
            if not self._next():
                raise LayerError("is cut off: it ends in the data of a file")
            left -= len(self._part)
        self._at = len(self._part) + left

    def _next(self) -> bool:
        self._before += len(self._part)
        self._part, self._at = b"", 0
        if self._failure is not None:
            raise self._failure
        try:
            self._part = next(self._parts, b"")
        except LayerError as error:
            self._failure = error  # the parts end here, and that is not the stream's end
            raise
        return bool(self._part)


def _names(header: bytes, extended: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """Give an entry's name and what it links to; a long form wins over the header's."""
    name = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0" and header[345]:
        name = header[345:500].partition(b"\0")[0] + b"/" + name
    link = header[157:257].partition(b"\0")[0] if header[157] else b""
    if extended:
        name = extended.get(b"L") or extended.get(b"GNU.sparse.name") or extended.get(b"path") or name
        link = extended.get(b"K") or extended.get(b"linkpath") or link
    return name, link


def _size(header: bytes) -> int:
    """Read a size, which nearly always is eleven digits and an end."""
    if header[135] in b"\0 ":
        try:
            size = int(header[124:135], 8)
        except ValueError:
            size = -1
        if size >= 0:
            return size
    return _number(header[124:136])


def _number(field: bytes) -> int:
    """Read a number of a header: octal digits, or binary when the first bit is set."""
    if field[0] & 0x80:
        if field[0] != 0x80:  # noqa: PLR2004  # more would be negative, or larger than any file
            raise LayerError("is damaged: a number in a header is out of range")
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise LayerError("is damaged: a header has no number where one must be")
    return int(digits, 8)


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:  # noqa: PLR2004  # digits of the largest file there can be
        raise LayerError("is damaged: an extended header has no number where one must be")
    return int(text)


def _signed_sum(header: bytes) -> int:
    """Add a header up as some old tars do."""
    return 256 + sum(byte - 256 if byte > 127 else byte for byte in header[:148] + header[156:])  # noqa: PLR2004  # signed bytes


def _pax(data: bytes) -> dict[bytes, bytes]:
    """Read the records of an extended header: length, key, value."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and (start := _PAX.match(data, at)):
        end = at + int(start[1])
        key, equals, value = data[start.end() : end - 1].partition(b"=")
        if not equals or end > len(data) or data[end - 1 : end] != b"\n":
            break
        found[key] = value
        at = end
    if data[at:].strip(b"\0"):
        raise LayerError("is damaged: an extended header cannot be read")
    return found
