"""Records to JSON and back; what is damaged, too large or not what it should be is named."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from orchestrator.errors import StoreError
from orchestrator.record import CellRecord, RunRecord
from orchestrator.smoke.words import one_line
from orchestrator.strict import dump_json, make_reader, parse_json

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import SchemaValidator

MAX_RECORD_BYTES = 192 * 1024**2  # a cell takes up to 70 KiB


def dump_record(value: RunRecord | CellRecord) -> bytes:
    """Write a record as it is stored."""
    return dump_json(value, indent=2) + b"\n"


@cache
def _reader(kind: str) -> SchemaValidator:
    """Give what reads a kind of record; it takes some time to make."""
    from pydantic import TypeAdapter  # noqa: PLC0415  # planning needs no records

    return make_reader(TypeAdapter(_KINDS[kind]))


_KINDS = {"run": RunRecord, "cell": CellRecord}


def read_plain(path: Path) -> object:
    """Read a stored file as plain data."""
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            message = f"{path} is too large to be a record of a run"
            raise StoreError(message)
        return parse_json(path.read_bytes())
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise StoreError(message) from error
    except ValueError as error:
        message = f"{path} is damaged: {error}"
        raise StoreError(message) from error


def make_record(kind: str, data: object, path: Path) -> Any:  # noqa: ANN401  # a record of the kind asked for
    """Make a record of plain data, or say what is the first that is wrong with it, and in which file."""
    from pydantic import ValidationError  # noqa: PLC0415  # as above

    try:
        return _reader(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        message = one_line(f"{path} is damaged: {where}: {first['msg']}")
        raise StoreError(message) from error
