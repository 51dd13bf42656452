"""JSON that others may have written, read strictly and within bounds, and written whatever its texts are."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from msgspec.json import Decoder

Kind = TypeVar("Kind")

_MOST_VALUES = 6_000_000  # a run of 2,000 cells has four; each takes some hundred bytes of memory
_MOST_KEYS = 4_800_000  # each may take twice as much, with its value
_MOST = 10**19 - 1  # bytes, files, nanoseconds: nothing that is counted is more
_KEY = re.compile(rb'"\s*:')
_ALL_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LIKELY_MORE = b"0" * 20  # so many digits in a row may be such a number; to look for them alike takes an eighth of a pattern's time
_PLACED = re.compile(r"(?P<words>.*) - at `\$\.?(?P<place>.*)`", re.DOTALL)
_INDEX = re.compile(r"\[(\d+)\]")
_SOME_KEY = "[...]"  # a mapping's, which is not named
_MARK = b"\xef\xbb\xbf"  # with which some editors begin a file


def parse_json(raw: bytes) -> Any:  # noqa: ANN401  # JSON is anything
    """Read JSON as the standard has it: without NaN, without halves of characters, not deeper than anybody needs."""
    from pydantic_core import from_json  # noqa: PLC0415  # planning reads no JSON

    _check_length(raw)
    return from_json(raw.removeprefix(_MARK), allow_inf_nan=False)


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Read what another program says in JSON; what is no object has nothing in it."""
    try:
        return as_map(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def as_map(value: object) -> dict[str, Any]:
    """Give an object of JSON; what is none has nothing in it."""
    return value if isinstance(value, dict) else {}


def items_of(value: object, key: str) -> list[dict[str, Any]]:
    """Give the objects in a list of an object, whatever stands there."""
    found = as_map(value).get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def read_json(raw: bytes, kind: type[Kind]) -> Kind:
    """Read JSON as a kind of value; the first part that cannot be one is an error that begins with its place."""
    from msgspec import DecodeError, ValidationError  # noqa: PLC0415  # as above

    _check_length(raw)
    if _LIKELY_MORE in raw.translate(_ALL_DIGITS) and (place := next(_find_more(parse_json(raw)), None)):
        message = f"{place}: a number of more than 19 digits"
        raise ValueError(message)
    try:
        value: Kind = _decoder(cast("Hashable", kind)).decode(raw.removeprefix(_MARK))
    except RecursionError as error:
        message = "it is nested too deeply"
        raise ValueError(message) from error
    except ValidationError as error:
        raise ValueError(_place(error)) from error
    except DecodeError:
        parse_json(raw)  # which says in what line
        raise
    return value


def read_data(data: object, kind: type[Kind]) -> Kind:
    """Read plain data, of TOML for one, as `read_json` reads JSON."""
    from msgspec import ValidationError, convert  # noqa: PLC0415  # as above

    try:
        return convert(data, kind)
    except ValidationError as error:
        raise ValueError(_place(error)) from error


def _place(error: Exception) -> str:
    """Say what is wrong, and before that where."""
    found = _PLACED.fullmatch(str(error))
    place = _INDEX.sub(r".\1", found["place"].replace(_SOME_KEY, "")) if found else "the file"
    return f"{place}: {found['words'] if found else error}"


@cache
def _decoder(kind: Hashable) -> Decoder[Any]:
    from msgspec.json import Decoder  # noqa: PLC0415  # as above

    return Decoder(kind)


def _check_length(raw: bytes) -> None:
    if sum(map(raw.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        message = f"it has more than {_MOST_VALUES:,} values"
        raise ValueError(message)
    if raw.count(b":") > _MOST_KEYS and sum(1 for _ in _KEY.finditer(raw)) > _MOST_KEYS:
        message = f"it has more than {_MOST_KEYS:,} keys"
        raise ValueError(message)


def _find_more(value: object, place: str = "") -> Iterator[str]:
    """Give the place of each number that is too large to be a figure."""
    match value:
        case dict() | list():
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                yield from _find_more(part, f"{place}.{key}" if place else str(key))
        case int() if not -_MOST <= value <= _MOST:
            yield place


def dump_json(value: object, indent: int = 0) -> bytes:
    """Write a value as JSON, by what it is; half of a character, which no file can hold, becomes a question mark."""
    from msgspec import to_builtins  # noqa: PLC0415  # as above
    from msgspec.json import encode, format  # noqa: A004, PLC0415  # as above

    try:
        text = encode(value)
    except UnicodeEncodeError:
        text = encode(json.loads(json.dumps(to_builtins(value), ensure_ascii=False).encode(errors="replace")))
    return format(text, indent=indent) if indent else text
