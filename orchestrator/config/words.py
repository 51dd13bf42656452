"""The plain values that matrix.yaml is made of: texts, numbers, durations, sizes, names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.config import JsonDict
from pydantic_core.core_schema import no_info_before_validator_function

from orchestrator.units import (
    DURATION_PATTERN,
    LARGEST_PLAIN,
    LONGEST_S,
    MORE_THAN_NOTHING,
    SIZE_PATTERN,
    parse_duration,
    parse_size,
)

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

_SHARE = re.compile(r"(0|[1-9]\d{0,11})?\.\d{1,12}")


def _as_text(value: object) -> object:
    """Take a bare word for the text it is: 3, true and 3.10 are fine as an argument."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _as_number(value: object) -> object:
    """Take a whole number, or one with a point, which is a text to our YAML; not what Python would take besides."""
    if not (type(value) is int or (isinstance(value, str) and _SHARE.fullmatch(value))):
        message = f"'{_as_text(value)}' is not a number; write 2 or 0.5"
        raise ValueError(message)
    return value


def _as_version(value: object) -> object:
    if isinstance(value, bool):
        message = "must be 1"
        raise ValueError(message)  # noqa: TRY004  # pydantic makes a problem of it
    if value == "1":
        message = "'1' is a text; write 1, without quotes"
        raise ValueError(message)
    return value


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


class _Number:
    """A number, which is a text to our YAML where it has a point: an editor is to take it in quotes, too."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401  # pydantic's
        return no_info_before_validator_function(_as_number, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = {"type": "string", "allOf": [{"pattern": f"^({_SHARE.pattern})$"}, {"pattern": MORE_THAN_NOTHING}]}
        return {"anyOf": [handler(core), text]}


def _measure(pattern: str, largest: int) -> dict[str, Any]:
    """Give the JSON Schema of a number that may have a unit."""
    text = {"type": "string", "allOf": [{"pattern": pattern}, {"pattern": MORE_THAN_NOTHING}]}
    return {"anyOf": [text, {"type": "integer", "minimum": 1, "maximum": largest}]}


# The patterns of texts, and what to say of a text that does not fit.
_AXIS_VALUE = r"^[A-Za-z0-9_][A-Za-z0-9_.+:@/-]*$"
_AXIS_NAME = r"^[A-Za-z][A-Za-z0-9_-]*$"
_NAME = r"^[a-z0-9][a-z0-9_.-]*$"
_PERCENT = r"^\d+(\.\d+)?%$"
BUILDER_NAME = r"^[A-Za-z][A-Za-z0-9_.-]*$"
NETWORK = r"^(default|none|host|\{.*\})$"
LIBC = r"^(musl|glibc|\{.*\})$"
ONE_PLATFORM = r"^[^,]*$"
REQUEST_PATH = r"^/"
TRACE_PAGE = r"^https?://[^/\s@]+/\S*\{trace_id\}\S*$"
MISFITS = {
    _AXIS_VALUE: "cannot name a cell; use letters (a to z), digits and _ . + : @ / -, not a mark in front",
    _AXIS_NAME: "cannot name an axis; use letters (a to z), digits, _ and -, with a letter in front",
    _NAME: "cannot be a name; use small letters (a to z), digits and _ . -, not a mark in front",
    _PERCENT: "is not a share; write 10%",
    BUILDER_NAME: "cannot name a builder; use letters (a to z), digits and _ . -, with a letter in front",
    NETWORK: "is not a network of a build; write default, none, host or an axis such as {network}",
    LIBC: "is not a C library; write musl, glibc or an axis such as {libc}",
    ONE_PLATFORM: "is more than one platform; give each its own cell: a platform axis",
    REQUEST_PATH: "is not a path of a request; it begins with /",
    TRACE_PAGE: "is not a page; write http:// or https:// and a host without a user, with {trace_id} in the path",
}

_LONGEST_VALUE = 100
LONGEST_NAME = 60
TAKEN_NAMES = {  # what cannot name an axis, because a key of that name stands beside those of axes
    "reason": "exclude and expect have a key of that name",
    "outcome": "expect has a key of that name",
}

Whole = Annotated[int, Field(strict=True)]  # not true, and not 012
Flag = Annotated[bool, Field(strict=True)]  # not yes, and not 1
Number = _Number()
Version = BeforeValidator(_as_version)
_OTHERS = [{"type": "number"}, {"type": "boolean"}]  # editors read 3.12 as a number; matrix does not
_WORDS = [{"type": "string"}, *_OTHERS]
Text = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"anyOf": _WORDS})]
Duration = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema(_measure(DURATION_PATTERN, LONGEST_S))]
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_measure(SIZE_PATTERN, LARGEST_PLAIN))]
Percent = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(pattern=_PERCENT),
    WithJsonSchema({"description": "a share, such as 10%", "pattern": _PERCENT, "type": "string"}),
]
AxisValue = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(min_length=1, max_length=_LONGEST_VALUE, pattern=_AXIS_VALUE),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": _LONGEST_VALUE, "pattern": _AXIS_VALUE},
                {"type": "number", "minimum": 0},
                {"type": "boolean"},
            ],
            "description": "names folders and images, so letters, digits and _ . + : @ / - only",
        }
    ),
]
AxisName = Annotated[str, Field(pattern=_AXIS_NAME, max_length=LONGEST_NAME)]
AXIS_NAMES: JsonDict = {"propertyNames": {"pattern": _AXIS_NAME, "maxLength": LONGEST_NAME, "not": {"enum": list(TAKEN_NAMES)}}}
OneOrMore = BeforeValidator(_as_list)
Values = Annotated[
    list[Text],
    Field(min_length=1),
    OneOrMore,
    WithJsonSchema(
        {
            "anyOf": [*_WORDS, {"type": "array", "items": {"anyOf": _WORDS}, "minItems": 1}],
            "description": "one of these values has to fit; * ? and [ab] make a glob of one",
        }
    ),
]
Where = dict[str, Values]
Name = Annotated[str, Field(pattern=_NAME, max_length=LONGEST_NAME)]


class Noun(BaseModel):
    """A mapping of matrix.yaml, with the keys that it knows and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
