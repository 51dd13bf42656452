"""What pydantic refuses, as a line of the file and a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from orchestrator.config import schema
from orchestrator.config.checks import CHECKS
from orchestrator.config.words import MISFITS
from orchestrator.errors import did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from orchestrator.config.source import Path, Source

_PLAIN = re.compile(r"[A-Za-z_][\w./ -]{0,60}")  # words that are texts in YAML, without quotes of its or a shell's
_QUOTED = re.compile("'([^']+)'")
_ELSEWHERE = {  # settings that other tools have, where the nearest word would mislead
    "dockerfile_inline": "a Dockerfile is a file here: dockerfile names it",
    "dockerfile-inline": "a Dockerfile is a file here: dockerfile names it",
    "tags": "push names the reference that a cell's image is pushed to",
}
_SHAPES = {"string_type": "a text", "model_type": "a mapping", "dict_type": "a mapping", "list_type": "a list"}


def describe(source: Source, detail: ErrorDetails) -> tuple[int, str]:
    """Turn one of pydantic's errors into a line number and a sentence."""
    path = path_in_file(source.data, detail["loc"])
    key = render_path((*path, str(detail["loc"][-1])) if detail["type"] == "missing" else path)
    words = _say_key(path, detail) or _say_shape(detail) or _say_value(detail)
    return source.line_of(path), f"{key}: {words}"


def _say_key(path: Path, detail: ErrorDetails) -> str | None:
    """Say what is wrong with a key: it is not known, or not there."""
    match detail["type"]:
        case "extra_forbidden":
            known = _known_keys(detail["loc"][:-1])
            if path[-1] in _ELSEWHERE and "dockerfile" in known:
                return f"unknown key; {_ELSEWHERE[path[-1]]}"
            if path[-1] in CHECKS and path[-3:-2] == ("smoke",):
                return f"a check is of one kind; write a check of its own: - {path[-1]}: …"
            words = f"unknown key{did_you_mean(str(path[-1]), known)}"
            return f"{words}; known here: {', '.join(known)}" if "; did" not in words and known else words
        case "missing":
            return "is missing"
    return None


def _say_shape(detail: ErrorDetails) -> str | None:
    """Say that a value is of another kind, or has nothing in it."""
    given = detail["input"]
    if wanted := _SHAPES.get(detail["type"]):
        hint = "; put it in quotes" if wanted == "a text" and isinstance(given, int) else ""
        if wanted == "a list" and isinstance(given, str) and _PLAIN.fullmatch(given):
            hint = f"; write [{', '.join(given.split())}]"
        return f"must be {wanted}, not {_kind_of(given)}{hint}"
    return "must not be empty" if detail["type"] in ("too_short", "string_too_short") else None


def _say_value(detail: ErrorDetails) -> str:
    """Say what is wrong with a value that is of the right kind."""
    given = detail["input"]
    context = detail.get("ctx", {})
    words = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    match detail["type"]:
        case "string_pattern_mismatch":
            words = f"'{given}' {MISFITS[context['pattern']]}"
        case "string_too_long" | "too_long" if isinstance(given, str):
            words = f"must have at most {context['max_length']} characters"
        case "check_kind" if isinstance(given, dict):
            words += next(filter(None, (did_you_mean(str(key), CHECKS) for key in given)), "")
        case "literal_error":
            words = f"'{given}' {words}{did_you_mean(str(given), _QUOTED.findall(words))}"
        case "bool_type":
            words = f"'{given}' is neither true nor false"
        case "int_type" if isinstance(given, str) and given.replace("_", "").isdecimal():
            words = f"'{given}' is a text; write a plain number, without quotes, _ or a 0 in front"
        case "int_type":
            words = f"'{str(given).lower() if isinstance(given, bool) else given}' is not a whole number"
    return words


def path_in_file(data: Any, loc: tuple[str | int, ...]) -> Path:  # noqa: ANN401  # YAML data is anything
    """Drop the parts of pydantic's location that name a variant, not a key of the file."""
    path: list[str | int] = []
    for at, part in enumerate(loc):
        if part in CHECKS and path[-2:-1] == ["smoke"] and loc[at - 1] == path[-1]:
            continue  # the name of a check's kind, which may be a key of the check as well
        inside = (isinstance(data, dict) and part in data) or (isinstance(data, list) and isinstance(part, int))
        if inside:
            path.append(part)
            data = data[part]
        elif at == len(loc) - 1 and part != "[key]":
            break
    return tuple(path)


def _known_keys(loc: tuple[str | int, ...]) -> list[str]:
    """Give the keys that the model at a location knows, for a suggestion."""
    model: Any = schema.MatrixFile
    for part in loc:
        model = _step_into(model, part)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _step_into(model: Any, part: str | int) -> Any:  # noqa: ANN401  # a type annotation is anything
    """Follow one part of a location through models, lists, mappings and unions."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                return _unwrap(field.annotation)
        return None
    if part in CHECKS:
        return CHECKS[str(part)]
    arguments = getattr(model, "__args__", ())
    return _unwrap(arguments[-1]) if arguments else None


def _unwrap(annotation: Any) -> Any:  # noqa: ANN401  # a type annotation is anything
    """Take None and Annotated away from an annotation."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    options = [option for option in getattr(annotation, "__args__", ()) if option is not type(None)]
    is_optional = type(None) in getattr(annotation, "__args__", ())
    return _unwrap(options[0]) if is_optional and len(options) == 1 else annotation


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return "true or false"
        case int():
            return "a number"
    return f"the text '{value}'"


def render_path(path: Path) -> str:
    """Write a location as people do: `axes.base[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "matrix.yaml"
