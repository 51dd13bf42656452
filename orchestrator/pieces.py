"""A run's record cell by cell: a large one would be in memory several times, as a text and as what it says."""

from __future__ import annotations

from itertools import chain
from typing import IO, TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.record import CellRecord
from orchestrator.strict import check_count, count_values, dump_json, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.inside import Package
    from orchestrator.record import RunRecord

_FIRST = b'\n  "cells": [\n    {\n'  # how a record is laid out before, between and after its cells; in JSON no text has line ends
_NEXT = b"\n    },\n    {\n"
_LAST = b"\n    }\n  ]"
_NONE = b'\n  "cells": []'

_CHUNK = 8 * 1024**2
_MAX_PIECE = 64 * 1024**2
_MAX_FRAME = 192 * 1024**2  # all but the cells
_VALUES_OF_A_PACKAGE = 12


class Sharing:
    """Packages that many cells have, each kept once: otherwise a cell takes four times the memory."""

    def __init__(self) -> None:
        """Know none yet."""
        self._known: dict[Package, Package] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._known)

    def take(self, cell: CellRecord) -> CellRecord:
        """Give a cell with the packages that other cells have already."""
        if cell.image is None or cell.image.packages is None:
            return cell
        known, packages = self._known.setdefault, cell.image.packages
        packages = replace(
            packages,
            os=tuple([known(package, package) for package in packages.os]),
            python=tuple([known(package, package) for package in packages.python]),
        )
        return replace(cell, image=replace(cell.image, packages=packages))


def cut_record(record: RunRecord) -> Iterator[bytes]:
    """Write a record as JSON in pieces."""
    before, none, after = dump_json(replace(record, cells=()), indent=2).partition(_NONE)
    yield before
    for at, cell in enumerate(record.cells):
        yield b",\n    " if at else _FIRST.removesuffix(b"{\n")
        yield dump_json(cell, indent=2).replace(b"\n", b"\n    ")
    yield b"\n  ]" if record.cells else none
    yield after


class Cut:
    """A record in a file, laid out as it is written, that is read once from its begin to its end."""

    def __init__(self, file: IO[bytes]) -> None:
        """Read up to the first cell."""
        self._pieces = _cut(file)
        self._head, is_known, first = next(self._pieces).partition(_FIRST)
        if not is_known:
            message = "it is too large to be read otherwise than as matrix lays it out"
            raise ValueError(message)
        self._pieces = chain([first], self._pieces)
        self._after = b""

    @property
    def head(self) -> bytes:
        """Give what comes before the cells as JSON of its own."""
        return self._head + _NONE + b"\n}"

    def read_cells(self) -> tuple[CellRecord, ...]:
        """Read all cells; what they hold is bounded as that of a record which is read as a whole."""
        cells: list[CellRecord] = []
        sharing, values = Sharing(), 0
        for piece in self._pieces:
            try:
                cell, self._after = _read_cell(piece)
            except ValueError as error:
                message = f"cells.{len(cells)}: {error}"
                raise ValueError(message) from error
            cells.append(sharing.take(cell))
            values += count_values(dump_json(_without_packages(cell)))
            check_count(values + _VALUES_OF_A_PACKAGE * len(sharing))
            if self._after:
                break
        return tuple(cells)

    def read_frame(self) -> bytes:
        """Give all but the cells, after these, as JSON of its own."""
        frame = bytearray(self._head + _NONE + self._after)
        for piece in self._pieces:
            frame += _NEXT + piece
            _check_size(len(frame), _MAX_FRAME)
        return bytes(frame)


def _cut(file: IO[bytes]) -> Iterator[bytes]:
    """Cut a file where a cell ends and another one begins."""
    rest = b""
    while chunk := file.read(_CHUNK):
        *whole, rest = (rest + chunk).split(_NEXT)
        yield from whole
        _check_size(len(rest), _MAX_PIECE)
    yield rest


def _read_cell(piece: bytes) -> tuple[CellRecord, bytes]:
    """Read a cell, and what comes after the last one: to look for that in each takes a fifth of the time."""
    try:
        return read_json(b"{" + piece + b"}", CellRecord), b""
    except ValueError:
        body, is_last, after = piece.partition(_LAST)
        if not is_last:
            raise
    return read_json(b"{" + body + b"}", CellRecord), after


def _check_size(found: int, most: int) -> None:
    if found > most:
        message = f"a part of it is larger than {most // 1024**2} MiB"
        raise ValueError(message)


def _without_packages(cell: CellRecord) -> CellRecord:
    return replace(cell, image=replace(cell.image, packages=None)) if cell.image else cell
