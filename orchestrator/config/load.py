"""matrix.yaml to a checked MatrixFile; all that is wrong with it is said at once."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from pydantic import BaseModel, ValidationError

from orchestrator.config import schema
from orchestrator.config.repair import Repair
from orchestrator.config.source import MAX_BYTES, Source, decode, parse_source
from orchestrator.errors import ConfigError, did_you_mean
from orchestrator.plan.claimed import find_judging_problems
from orchestrator.plan.expand import make_plan
from orchestrator.plan.files import find_file_problems
from orchestrator.plan.problems import find_name_problems, find_plan_problems

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from orchestrator.model import Plan

_QUOTED = re.compile("'([^']+)'")
_MAX_REPAIRS = 4  # each leaves out what the schema refused


class Matrix(Struct, frozen=True):
    """A checked matrix.yaml, the plan that follows from it, and where it lies."""

    path: Path
    digest: str
    file: schema.MatrixFile
    plan: Plan

    @property
    def folder(self) -> Path:
        """Give the folder that paths in the file are relative to."""
        return self.path.parent


def load_matrix(path: Path) -> Matrix:
    """Read and check matrix.yaml and plan it, or raise a ConfigError with every problem."""
    text = _read(path)
    file, plan = parse_matrix(text, str(path), path.parent)
    return Matrix(path, f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", file, plan)


def parse_matrix(text: str, name: str, folder: Path) -> tuple[schema.MatrixFile, Plan]:
    """Check the text of a matrix.yaml and the files that it names."""
    source = parse_source(text, name)
    if not isinstance(source.data, dict):
        raise ConfigError([f"{name}:1: matrix.yaml must be a mapping with version, name and axes; `matrix init` writes one"])
    problems = list(source.problems)
    file, plan = None, None
    repair = Repair(source.data)
    for _ in range(_MAX_REPAIRS):
        try:
            file = schema.MatrixFile.model_validate(repair.data)
            break
        except ValidationError as error:
            if repair.data is source.data:
                problems += [_describe(source, detail) for detail in error.errors()]
            repair.leave_out([_path_in_file(repair.data, detail["loc"]) for detail in error.errors()])
    if file is not None:
        plan = make_plan(file)
        found = [*find_name_problems(file), *find_plan_problems(file, plan), *find_judging_problems(file, plan)]
        found += find_file_problems(file, plan.cells, folder)
        places = [(repair.original_path(one.where), one.words) for one in found if not repair.explains(one)]
        problems += [(source.line_of(place), f"{_render_path(place)}: {words}") for place, words in places]
    if problems or file is None or plan is None:
        raise ConfigError(f"{name}:{line}: {words}" for line, words in sorted(set(problems)))
    return file, plan


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError([f"{path}: no such file; `matrix init` writes one, -f/--file names another"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    return decode(raw, str(path), "matrix.yaml")


def _describe(source: Source, detail: ErrorDetails) -> tuple[int, str]:
    """Turn one of pydantic's errors into a line number and a sentence."""
    path = _path_in_file(source.data, detail["loc"])
    key = _render_path(path)
    words = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    given = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            known = _known_keys(detail["loc"][:-1])
            words = f"unknown key{did_you_mean(str(path[-1]), known)}"
            if "; did" not in words and known:
                words += f"; known here: {', '.join(known)}"
        case "missing":
            words = "is missing"
            key = _render_path((*path, str(detail["loc"][-1])))
        case "string_type" if isinstance(given, (dict, list)) or given is None:
            words = f"must be a text, not {_kind_of(given)}"
        case "model_type" | "dict_type":
            words = f"must be a mapping, not {_kind_of(given)}"
        case "list_type":
            words = f"must be a list, not {_kind_of(given)}"
        case "string_pattern_mismatch" if _is_axis_value(path):
            words = f"'{given}' cannot name a cell; use letters, digits and _ . + : @ / -, not a mark in front"
        case "literal_error":
            words = f"'{given}' {words}{did_you_mean(str(given), _QUOTED.findall(words))}"
        case "int_parsing" | "int_type":
            words = f"'{given}' is not a whole number"
    return source.line_of(path), f"{key}: {words}"


def _path_in_file(data: Any, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:  # noqa: ANN401  # YAML data is anything
    """Drop the parts of pydantic's location that name a variant, not a key of the file."""
    path: list[str | int] = []
    for at, part in enumerate(loc):
        if part in schema.CHECKS and path[-2:-1] == ["smoke"] and loc[at - 1] == path[-1]:
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
    if part in schema.CHECKS:
        return schema.CHECKS[str(part)]
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


def _is_axis_value(path: tuple[str | int, ...]) -> bool:
    return len(path) == 3 and path[0] in ("axes", "include")  # noqa: PLR2004  # axes, its name, its place


def _render_path(path: tuple[str | int, ...]) -> str:
    """Write a location as people do: `axes.base[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "matrix.yaml"
