"""The plain values that matrix.yaml is made of: texts, durations, sizes, names."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from orchestrator.units import DURATION_PATTERN, SIZE_PATTERN, parse_duration, parse_size


def _as_text(value: object) -> object:
    """Take a bare word for the text it is: 3, true and 3.10 are fine as an argument."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


_WORDS = [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]  # editors read 3.12 as a number; matrix does not
Text = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"anyOf": _WORDS})]
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"type": "integer", "minimum": 1}]}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 1}]}),
]
Percent = Annotated[str, Field(pattern=r"^\d+(\.\d+)?%$", description="a share, such as 10%")]
AxisValue = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+:@/-]*$",
        description="names folders and images, so letters, digits and _ . + : @ / - only",
    ),
]
AxisName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=60)]
OneOrMore = BeforeValidator(_as_list)
Values = Annotated[
    list[Text],
    OneOrMore,
    WithJsonSchema({"anyOf": [*_WORDS, {"type": "array", "items": {"anyOf": _WORDS}}]}),
]
Where = dict[str, Values]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=60)]


class Noun(BaseModel):
    """A mapping of matrix.yaml, with the keys that it knows and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)
