"""JSON that others may have written, read strictly and within bounds, and written whatever its texts are."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from msgspec import DecodeError, ValidationError, convert, to_builtins
from msgspec import json as msgspec_json
from msgspec.json import Decoder

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

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
    """Read JSON as the standard has it: without NaN, without halves of characters, not deeper than Python goes."""
    _check_length(raw)
    try:
        return _decoder(object).decode(raw.removeprefix(_MARK))
    except (DecodeError, RecursionError):
        from pydantic_core import from_json  # noqa: PLC0415  # which says in what line, and takes long to import

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
    return Decoder(kind)


def count_values(raw: bytes) -> int:
    """Count values in JSON, or a few more."""
    return sum(map(raw.count, (b",", b"[", b"{")))


def check_count(values: int) -> None:
    """Refuse what would take more memory than anybody has."""
    if values > _MOST_VALUES:
        message = f"it has more than {_MOST_VALUES:,} values"
        raise ValueError(message)


def _check_length(raw: bytes) -> None:
    if len(raw) < _MOST_KEYS:  # so each has a letter at least
        return
    check_count(count_values(raw))
    if raw.count(b":") > _MOST_KEYS and sum(1 for _ in _KEY.finditer(raw)) > _MOST_KEYS:
        message = f"it has more than {_MOST_KEYS:,} keys"
        raise ValueError(message)


def _find_more(value: object) -> Iterator[str]:
    """Give the place of each number that is too large to be a figure, however deep it lies."""
    left = [iter([("", value)])]
    while left:
        place, part = next(left[-1], (None, None))
        match part:
            case _ if place is None:
                left.pop()
            case dict() | list():
                left.append(_within(place, part))
            case int() if not -_MOST <= part <= _MOST:
                yield place


def _within(place: str, whole: dict[str, object] | list[object]) -> Iterator[tuple[str, object]]:
    for key, part in whole.items() if isinstance(whole, dict) else enumerate(whole):
        yield f"{place}.{key}" if place else str(key), part


def dump_json(value: object, indent: int = 0) -> bytes:
    """Write a value as JSON, by what it is; half of a character, which no file can hold, becomes a question mark."""
    try:
        text = msgspec_json.encode(value)
    except UnicodeEncodeError:
        text = msgspec_json.encode(json.loads(json.dumps(to_builtins(value), ensure_ascii=False).encode(errors="replace")))
    return msgspec_json.format(text, indent=indent) if indent else text
