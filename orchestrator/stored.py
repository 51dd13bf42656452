"""Records to JSON and back; what is damaged, too large or not what it should be is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from orchestrator.errors import StoreError
from orchestrator.record import SCHEMA, CellRecord, RunRecord
from orchestrator.smoke.words import one_line
from orchestrator.strict import dump_json, read_json

if TYPE_CHECKING:
    from pathlib import Path

Stored = TypeVar("Stored", RunRecord, CellRecord)

MAX_RECORD_BYTES = 192 * 1024**2  # a cell takes up to 70 KiB


class _Form(Struct, frozen=True):
    """What a file says of the form that it is written in."""

    schema: object = None


def dump_record(value: RunRecord | CellRecord) -> bytes:
    """Write a record as it is stored."""
    return dump_json(value, indent=2) + b"\n"


def load_record(path: Path, kind: type[Stored]) -> Stored:
    """Read a record from its file."""
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            message = f"{path} is too large to be a record of a run"
            raise StoreError(message)
        raw = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise StoreError(message) from error
    return make_record(raw, kind, path)


def make_record(raw: bytes, kind: type[Stored], path: Path) -> Stored:
    """Make a record of what a file holds, or say what is the first that is wrong with it."""
    try:
        record = read_json(raw, kind)
    except ValueError as error:
        message = one_line(f"{path} is damaged: {error}")
        raise StoreError(_explain_form(raw, path) or message) from error
    if getattr(record, "schema", SCHEMA) > SCHEMA:
        raise StoreError(_explain_form(raw, path))
    return record


def _explain_form(raw: bytes, path: Path) -> str:
    """Say that a file is of a later form than this program knows, where it is."""
    try:
        form = read_json(raw, _Form).schema
    except ValueError:
        return ""
    later = isinstance(form, int) and form > SCHEMA
    return f"{path} was written by a newer matrix (schema {form}, this one knows {SCHEMA})" if later else ""
