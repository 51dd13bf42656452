"""What the schema cannot see: names that point nowhere, ids given twice, files not there."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ConfigError, did_you_mean
from orchestrator.model import StructureCheck
from orchestrator.places import dockerfile_of, is_remote
from orchestrator.plan.expand import PLACEHOLDER, is_glob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.config.schema import Budget, Builder, MatrixFile
    from orchestrator.model import Cell, ExcludedCell, Pairs, Plan

Where = tuple[str | int, ...]
Problem = tuple[Where, str]


def find_name_problems(matrix: MatrixFile) -> Iterator[Problem]:
    """Find axes, values, placeholders and patterns that the file uses and nothing defines."""
    yield from _axis_problems(matrix)
    yield from _settings_problems(matrix)
    yield from _placeholder_problems(matrix)
    yield from _include_problems(matrix)
    for at, rule in enumerate(matrix.exclude):
        if not rule.where:
            yield ("exclude", at), "names no axis, so it would exclude every cell"
        yield from _where_problems(matrix, ("exclude", at), rule.where)
    for at, expect in enumerate(matrix.expect):
        yield from _where_problems(matrix, ("expect", at), expect.where)
    for at, claim in enumerate(matrix.claims):
        yield from _where_problems(matrix, ("claims", at, "left"), claim.left)
        yield from _where_problems(matrix, ("claims", at, "right"), claim.right or {})
    for at, budget in enumerate(matrix.budgets):
        yield from _where_problems(matrix, ("budgets", at, "where"), budget.where)
        yield from _budget_problems(("budgets", at), budget)
    if matrix.decide and matrix.decide.between not in matrix.axes:
        yield ("decide", "between"), _unknown_axis(matrix, matrix.decide.between)
    yield from _builder_problems(matrix.builder)


def _builder_problems(builder: Builder) -> Iterator[Problem]:
    """Find builders that nobody could make."""
    if builder.driver == "remote" and builder.endpoint is None:
        yield ("builder", "driver"), "remote needs an endpoint, such as tcp://build.example:1234"
    if builder.driver in ("auto", "docker"):
        for key in ("nodes", "platforms"):
            if getattr(builder, key):
                yield (
                    ("builder", key),
                    f"needs a driver that has nodes: docker-container, kubernetes or remote, not {builder.driver}",
                )
    for at, node in enumerate(builder.nodes):
        if builder.driver == "remote" and node.endpoint is None:
            yield ("builder", "nodes", at), "needs an endpoint, such as tcp://build.example:1234"


def _budget_problems(path: Where, budget: Budget) -> Iterator[Problem]:
    """Find limits that can never be broken: a step without a limit, a limit of no step, a budget of nothing."""
    of_step = [name for name in ("max", "compiled") if getattr(budget, name) is not None]
    if budget.step is not None and not of_step:
        yield (*path, "step"), "limits nothing by itself; give max (how long it may run) or compiled (how many packages)"
    if budget.step is None and of_step:
        yield (*path, of_step[0]), 'is a limit on steps; say which with step: "*pip install*"'
    if budget.step is not None and not budget.step.strip("*? "):
        yield (*path, "step"), "fits every step; name the instruction that is meant"
    if budget.growth is not None and budget.growth.size is None and budget.growth.build_time is None:
        yield (*path, "growth"), "limits nothing; give size or build_time, such as 5%"
    limits = (budget.size, budget.build_time, budget.growth, budget.step, *of_step)
    if all(limit is None for limit in limits):
        yield path, "limits nothing; give size, build_time, growth or step"


def _unknown_axis(matrix: MatrixFile, name: str) -> str:
    return f"'{name}' is not an axis{did_you_mean(name, matrix.axes) or '; the axes are ' + ', '.join(matrix.axes)}"


def _axis_problems(matrix: MatrixFile) -> Iterator[Problem]:
    for axis, values in matrix.axes.items():
        for at, value in enumerate(values):
            if value in values[:at]:
                yield ("axes", axis, at), f"'{value}' is there twice"


def _values_of(matrix: MatrixFile, axis: str) -> list[str]:
    included = [cell[axis] for cell in matrix.include if axis in cell]
    return list(dict.fromkeys([*matrix.axes[axis], *included]))


def _settings_problems(matrix: MatrixFile) -> Iterator[Problem]:
    for axis, by_value in matrix.settings.items():
        if axis not in matrix.axes:
            yield ("settings", axis), _unknown_axis(matrix, axis)
            continue
        values = _values_of(matrix, axis)
        unused = [value for value in by_value if value not in values]
        for at, value in enumerate(matrix.axes[axis]):
            meant = "" if value in by_value else did_you_mean(value, unused)
            if meant:
                yield ("axes", axis, at), f"'{value}' has no settings{meant}"
                unused = [name for name in unused if f"'{name}'" not in meant]
        for name in unused:
            yield ("settings", axis, name), f"'{name}' is not a value of axis '{axis}'{did_you_mean(name, values)}"


def _placeholder_problems(matrix: MatrixFile) -> Iterator[Problem]:
    places: list[tuple[Where, Any]] = [(("defaults",), matrix.defaults)]
    places += [
        (("settings", axis, value), settings) for axis, by_value in matrix.settings.items() for value, settings in by_value.items()
    ]
    for where, settings in places:
        data = settings.model_dump(by_alias=True, exclude_unset=True)
        for path, text in _texts_with_path(data, where):
            for name in PLACEHOLDER.findall(text):
                if name not in matrix.axes:
                    meant = did_you_mean(name, matrix.axes) or f"; the axes are {', '.join(matrix.axes)}"
                    yield path, f"'{{{name}}}' names no axis{meant}"
            if "smoke" in path and (path[-1] in ("stdout", "body") or path[-2] == "header"):
                yield from _pattern_problems(path, text)


def _pattern_problems(path: Where, pattern: str) -> Iterator[Problem]:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        yield path, f"'{pattern}' is not a regular expression: {error}"


def _texts_with_path(value: object, path: Where) -> Iterator[tuple[Where, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts_with_path(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _texts_with_path(inner, (*path, at))


def _include_problems(matrix: MatrixFile) -> Iterator[Problem]:
    for at, cell in enumerate(matrix.include):
        for axis in cell:
            if axis not in matrix.axes:
                yield ("include", at, axis), _unknown_axis(matrix, axis)
        lacking = [axis for axis in matrix.axes if axis not in cell]
        if lacking:
            yield ("include", at), f"an included cell has a value on every axis; this one lacks {', '.join(lacking)}"


def _where_problems(matrix: MatrixFile, path: Where, where: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    for axis, wanted in where.items():
        if axis not in matrix.axes:
            yield (*path, axis), _unknown_axis(matrix, axis)
            continue
        values = _values_of(matrix, axis)
        for value in wanted:
            if not is_glob(value) and value not in values:
                yield (*path, axis), f"'{value}' is not a value of axis '{axis}'{did_you_mean(value, values)}"


def find_plan_problems(matrix: MatrixFile, plan: Plan) -> Iterator[Problem]:
    """Find ids that two cells share: their folders and images would be one."""
    first: dict[str, Pairs] = {}
    combinations: tuple[Cell | ExcludedCell, ...] = (*plan.cells, *plan.excluded)
    for cell in combinations:
        other = first.setdefault(cell.id, cell.axes)
        if other is not cell.axes:
            words = " and ".join(", ".join(f"{axis}={value}" for axis, value in axes) for axes in (other, cell.axes))
            where: Where = ("include",) if matrix.include and other == cell.axes else ("axes",)
            yield where, f"two cells have the id '{cell.id}' ({words}); rename a value"


def find_file_problems(matrix: MatrixFile, cells: Iterable[Cell], folder: Path) -> Iterator[Problem]:
    """Find Dockerfiles, contexts and other files that cells name and that are not there."""
    seen: set[tuple[str, str]] = set()
    for cell in cells:
        settings = cell.settings
        wanted = [("requirements", settings.requirements), ("source", settings.source)]
        wanted += [("smoke", check.file) for check in settings.smoke if isinstance(check, StructureCheck)]
        if not is_remote(settings.context):  # else the Dockerfile is not on this machine either
            wanted += [("dockerfile", settings.dockerfile), ("context", settings.context)]
        for key, name in wanted:
            if name is None or (key, name) in seen:
                continue
            seen.add((key, name))
            place = dockerfile_of(settings, folder) if key == "dockerfile" else folder / name
            problem = _file_problem(place, name, want_folder=key == "context")
            problems = [problem] if problem else _structure_problems(place, name) if key == "smoke" else []
            yield from ((_setter_of(matrix, cell, key), f"{words} (cell {cell.id})") for words in problems)


def _structure_problems(path: Path, name: str) -> Sequence[str]:
    from orchestrator.config.structure import load_structure  # noqa: PLC0415  # most plans have no such file

    try:
        load_structure(path, name)
    except ConfigError as error:
        return error.problems
    return []


def _file_problem(path: Path, name: str, *, want_folder: bool) -> str | None:
    if want_folder:
        return None if os.path.isdir(path) else f"no such folder: '{name}'"  # noqa: PTH112  # takes names too long for any disk
    if os.path.isfile(path):  # noqa: PTH113  # as above
        return None
    near = sorted(item.name for item in path.parent.iterdir()) if path.parent.is_dir() else []
    return f"no such file: '{name}'{did_you_mean(path.name, near)}"


def _setter_of(matrix: MatrixFile, cell: Cell, key: str) -> Where:
    """Find the place in the file that gave a cell one of its settings."""
    for axis, value in reversed(cell.axes):
        settings = matrix.settings.get(axis, {}).get(value)
        if settings is not None and getattr(settings, key) is not None:
            return ("settings", axis, value, key)
    if getattr(matrix.defaults, key) is not None:
        return ("defaults", key)
    return ("defaults",)
