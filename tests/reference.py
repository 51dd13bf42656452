"""The tables of docs/matrix-yaml.md, from the JSON Schema of matrix.yaml: a section for each mapping, a row for each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from orchestrator.config.checks import CHECKS
from orchestrator.config.schema import MatrixFile
from orchestrator.config.words import AxisValue, Duration, Percent, Size, Text, Values
from orchestrator.units import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Schema = dict[str, Any]
Words = tuple[str, str]  # for one, and for several

_ANY_CHECK = "EveryCheck"  # no mapping of the schema: the keys that all checks share
_SECTIONS = {  # the mappings of the schema, in the order of the page, each with its heading
    "MatrixFile": "The file",
    "Settings": "Settings",
    "Secret": "Secrets",
    "Cache": "Caches",
    "Timeout": "Time limits",
    **{model.__name__: f"{kind.capitalize()} checks" for kind, model in CHECKS.items()},
    "Http": "An http request",
    "Healthy": "A health check",
    _ANY_CHECK: "Every check",
    "Exclude": "Exclusions",
    "Expect": "Expectations",
    "Claim": "Claims",
    "Decide": "The decision",
    "Preference": "Preferences",
    "Budget": "Budgets",
    "Growth": "Growth",
    "Builder": "The builder",
    "Node": "Nodes",
    "Traces": "Traces",
}
_PLAIN: tuple[tuple[Any, Words], ...] = (  # the values that have a name of their own, where their schema would say little
    (Duration, ("a duration", "durations")),
    (Size, ("a size", "sizes")),
    (Percent, ("a share", "shares")),
    (AxisValue, ("a value", "values")),
    (Values, ("a value or a list of values", "values or lists of values")),
    (Text, ("a text", "texts")),
)
_OF_TYPE: Mapping[str, Words] = {
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "boolean": ("`true`, `false`", "`true`, `false`"),
    "string": ("a text", "texts"),
}
_OF_ANY_CHECK = (
    "What a check of any kind takes besides. A check that sets a limit, capabilities or `internal` needs a container:\n"
    "[builders.md](builders.md) says what a step of a build cannot hold to."
)
_ABOUT = ("title", "description", "default")  # what a schema has beside the shape of a value
_CHOICE = " or "
_HEAD = "| key | takes | default | means |\n| --- | --- | --- | --- |\n"


def render_reference() -> str:
    """Write a section for each mapping of matrix.yaml."""
    schema = MatrixFile.model_json_schema()
    mappings = {"MatrixFile": schema, **schema["$defs"], _ANY_CHECK: _make_any_check(schema["$defs"])}
    shared = mappings[_ANY_CHECK]["properties"]
    checks = [model.__name__ for model in CHECKS.values()]
    return "\n".join(
        _render_section(heading, mappings[name], left_out=shared if name in checks else {}) for name, heading in _SECTIONS.items()
    )


def _make_any_check(mappings: Mapping[str, Schema]) -> Schema:
    """Give what all checks have in common as a mapping of its own."""
    first, *others = (mappings[model.__name__]["properties"] for model in CHECKS.values())
    shared = {key: schema for key, schema in first.items() if all(other.get(key) == schema for other in others)}
    return {"description": _OF_ANY_CHECK, "properties": shared}


def _render_section(heading: str, mapping: Schema, left_out: Mapping[str, Schema]) -> str:
    rows = "".join(_render_rows(mapping, left_out))
    return f"### {heading}\n\n{mapping['description']}\n\n{_HEAD}{rows}"


def _render_rows(mapping: Schema, left_out: Mapping[str, Schema]) -> Iterator[str]:
    """Write a row for each key; where any axis may be a key, one for all of them."""
    if axes := mapping.get("additionalProperties"):
        yield _render_row("an axis", axes, UNKNOWN)
    for key, schema in mapping["properties"].items():
        if key not in left_out:
            default = "must be given" if key in mapping.get("required", ()) else _render_default(schema)
            yield _render_row(f"`{key}`", schema, default)


def _render_row(key: str, schema: Schema, default: str) -> str:
    meaning = schema["description"].replace("*", r"\*")
    return f"| {key} | {_describe(schema)[0]} | {default} | {meaning} |\n"


def _render_default(schema: Schema) -> str:
    default = schema.get("default")
    if default is None:
        return UNKNOWN
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _describe(schema: Schema) -> Words:
    """Say in words what a value may be."""
    shape = {key: value for key, value in schema.items() if key not in _ABOUT}
    shapes = [one for one in shape.get("anyOf", shape.get("oneOf", [shape])) if one != {"type": "null"}]
    for kind, words in _PLAIN:
        if shapes == _shapes_of(kind):
            return words
    described = list(dict.fromkeys(_describe_shape(one) for one in shapes))
    return _CHOICE.join(one for one, _ in described), _CHOICE.join(several for _, several in described)


def _shapes_of(kind: Any) -> list[Schema]:
    """Give the shapes that a kind of values may have."""
    schema = TypeAdapter(kind).json_schema()
    shape = {key: value for key, value in schema.items() if key not in _ABOUT}
    return list(shape.get("anyOf", [schema]))


def _describe_shape(shape: Schema) -> Words:
    """Say what a value of one shape is: another mapping, one of a few words, a list, a mapping, a number, a text."""
    if "$ref" in shape:
        link = _link(shape["$ref"].rpartition("/")[2])
        return link, link
    if words := shape.get("enum", [shape["const"]] if "const" in shape else None):
        few = ", ".join(f"`{word}`" for word in words)
        return few, f"any of {few}"
    if shape["type"] == "array":
        inner = _describe(shape["items"])[1]
        return f"a list of {inner}", f"lists of {inner}"
    if shape["type"] == "object":
        inner = _describe(shape.get("additionalProperties") or next(iter(shape["patternProperties"].values())))[1]
        return f"a mapping to {inner}", f"mappings to {inner}"
    one, several = _OF_TYPE[shape["type"]]
    return one + _within(shape), several + _within(shape)


def _within(shape: Schema) -> str:
    """Say how small and how large a number may be."""
    if shape["type"] not in ("integer", "number"):
        return ""
    least = f" from {shape['minimum']:g}" if "minimum" in shape else f" above {shape['exclusiveMinimum']:g}"
    return least + (f" to {shape['maximum']:,}" if "maximum" in shape else " on")


def _link(name: str) -> str:
    heading = _SECTIONS[name]
    return f"[{heading.lower()}](#{heading.lower().replace(' ', '-')})"
