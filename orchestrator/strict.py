"""JSON that others may have written, read strictly and within bounds, and written whatever its texts are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator

_MOST_VALUES = 6_000_000  # a run of 2,000 cells has four; each takes some hundred bytes of memory
_MOST_KEYS = 10_000  # of a mapping
_MOST = 2**63 - 1  # bytes, files, nanoseconds: nothing that is counted is more


def parse_json(raw: bytes) -> Any:  # noqa: ANN401  # JSON is anything
    """Read JSON as the standard has it: without NaN, without halves of characters, not deeper than anybody needs."""
    from pydantic_core import from_json  # noqa: PLC0415  # planning reads no JSON

    if sum(map(raw.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        message = f"it has more than {_MOST_VALUES:,} values"
        raise ValueError(message)
    return from_json(raw.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)


def make_reader(adapter: TypeAdapter[Any]) -> SchemaValidator:
    """Make what turns plain data into the adapter's kind of value, and gives up at the first part of a list that cannot be one.

    Pydantic itself goes on to the end, and keeps some hundred bytes for each
    part that is wrong: a file of two megabytes costs gigabytes.
    """
    from pydantic_core import SchemaValidator  # noqa: PLC0415  # as above

    return SchemaValidator(_bounded(adapter.core_schema))


def dump_json(value: object, indent: int | None = None, *, exclude_none: bool = False) -> bytes:
    """Write a value as JSON, by what it is; half of a character, which no file can hold, becomes a question mark.

    An adapter of pydantic's would write the same, and take longer to be made
    than a run of a dozen cells takes for all that it writes.
    """
    from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python  # noqa: PLC0415  # as above

    try:
        return to_json(value, indent=indent, exclude_none=exclude_none, inf_nan_mode="null")
    except PydanticSerializationError:
        plain = to_jsonable_python(value, exclude_none=exclude_none, inf_nan_mode="null")
        return json.dumps(plain, indent=indent, ensure_ascii=False).encode(errors="replace")


_BOUNDS: dict[str, dict[str, object]] = {
    "list": {"fail_fast": True},
    "tuple": {"fail_fast": True},
    "float": {"allow_inf_nan": False},
    "int": {"ge": -_MOST, "le": _MOST},
}


def _bounded(schema: Any) -> Any:  # noqa: ANN401  # pydantic's own shape: mappings and lists of mappings
    """Put the bounds into each part of a schema."""
    if isinstance(schema, list):
        return [_bounded(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    found = {key: _bounded(part) for key, part in schema.items()} | (_BOUNDS.get(kind, {}) if isinstance(kind, str) else {})
    if kind != "dict":
        return found
    return {"type": "function-before", "function": {"type": "no-info", "function": _with_few_keys}, "schema": found}


def _with_few_keys(value: object) -> object:
    if isinstance(value, dict) and len(value) > _MOST_KEYS:
        message = f"more than {_MOST_KEYS:,} keys"
        raise ValueError(message)
    return value
