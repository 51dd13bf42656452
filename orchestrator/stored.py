"""Records to JSON and back; what is damaged, too large or not what it should be is named."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.errors import StoreError, unreadable
from orchestrator.pieces import Cut
from orchestrator.record import SCHEMA, CellRecord, RunRecord
from orchestrator.smoke.words import one_line
from orchestrator.strict import dump_json, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Stored = TypeVar("Stored", RunRecord, CellRecord)

MAX_RECORD_BYTES = 768 * 1024**2  # a cell takes up to 70 KiB
_MAX_AT_ONCE = 64 * 1024**2  # what is larger is read cell by cell, and what is not has fewer values than are refused


class _Form(Struct, frozen=True):
    """What a file says of the form that it is written in."""

    schema: object = None


def dump_record(value: RunRecord | CellRecord) -> bytes:
    """Write a record as it is stored."""
    return dump_json(value, indent=2) + b"\n"


def load_cell(path: Path) -> CellRecord:
    """Read the record of a cell from its file."""
    with _opened(path, _MAX_AT_ONCE) as file:
        return make_record(file.read(), CellRecord, path)


def load_run(path: Path) -> RunRecord:
    """Read the record of a run from its file."""
    with _opened(path, MAX_RECORD_BYTES) as file:
        if _size_of(file) > _MAX_AT_ONCE:
            return _load_cut(file, path)
        return make_record(file.read(), RunRecord, path)


@contextmanager
def _opened(path: Path, most_bytes: int) -> Iterator[IO[bytes]]:
    """Open a file of bounded size."""
    try:
        with path.open("rb") as file:
            if _size_of(file) > most_bytes:
                message = f"{path} is too large to be a record of a run"
                raise StoreError(message)
            yield file
    except OSError as error:
        raise unreadable(path, error) from error


def _size_of(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _load_cut(file: IO[bytes], path: Path) -> RunRecord:
    """Read the record of a run of thousands of cells."""
    head = b""
    try:
        cut = Cut(file)
        head = cut.head
        cells = cut.read_cells()
        frame = cut.read_frame()
    except ValueError as error:
        raise _damaged(path, error, head) from error
    return replace(make_record(frame, RunRecord, path), cells=cells)


def make_record(raw: bytes, kind: type[Stored], path: Path) -> Stored:
    """Make a record of what a file holds, or say what is the first that is wrong with it."""
    try:
        record = read_json(raw, kind)
    except ValueError as error:
        raise _damaged(path, error, raw) from error
    if getattr(record, "schema", SCHEMA) > SCHEMA:
        raise StoreError(_explain_form(raw, path))
    return record


def _damaged(path: Path, error: ValueError, raw: bytes) -> StoreError:
    """Say what is wrong with a record, or that it is of a later form."""
    return StoreError(_explain_form(raw, path) or one_line(f"{path} is damaged: {error}"))


def _explain_form(raw: bytes, path: Path) -> str:
    """Say that a file is of a later form than this program knows, where it is."""
    try:
        form = read_json(raw, _Form).schema
    except ValueError:
        return ""
    later = isinstance(form, int) and form > SCHEMA
    return f"{path} was written by a newer matrix (schema {form}, this one knows {SCHEMA})" if later else ""
