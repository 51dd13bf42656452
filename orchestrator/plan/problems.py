"""What the schema cannot see: names that point nowhere, rules about no cell, ids given twice, words that axes bring."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

from orchestrator.config.words import TAKEN_NAMES
from orchestrator.errors import did_you_mean
from orchestrator.plan.expand import find_placeholders, fits, is_glob, matches
from orchestrator.plan.files import find_setter
from orchestrator.plan.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.config.schema import Budget, Builder, MatrixFile
    from orchestrator.model import Cell, ExcludedCell, Pairs, Plan
    from orchestrator.plan.problem import Where

_WORDS = {"network": ("default", "none", "host"), "libc": ("musl", "glibc")}  # of settings that an axis may fill
_MAKING_CELLS: tuple[Where, ...] = (("axes",), ("include",), ("exclude",))
_POSIX_CLASS = re.compile(r"\[\^?[^\]]*\[:\^?[a-z]+:\]")


def find_name_problems(matrix: MatrixFile) -> Iterator[Problem]:
    """Find axes, values, placeholders and patterns that the file uses and nothing defines."""
    yield from _axis_problems(matrix)
    yield from _settings_problems(matrix)
    yield from _placeholder_problems(matrix)
    yield from _include_problems(matrix)
    for at, rule in enumerate(matrix.exclude):
        if not rule.where:
            yield Problem(("exclude", at), "names no axis, so it would exclude every cell", (("exclude", at),))
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
        yield _unknown_axis(matrix, ("decide", "between"), matrix.decide.between)
    yield from _builder_problems(matrix.builder)


def _builder_problems(builder: Builder) -> Iterator[Problem]:
    """Find builders that nobody could make."""
    address = "needs an endpoint, such as tcp://build.example:1234"
    if builder.driver == "remote" and builder.endpoint is None:
        yield Problem(("builder", "driver"), f"remote {address}", (("builder", "endpoint"),))
    if builder.driver in ("auto", "docker"):
        for key in ("nodes", "platforms"):
            if getattr(builder, key):
                words = f"needs a driver that has nodes: docker-container, kubernetes or remote, not {builder.driver}"
                yield Problem(("builder", key), words, (("builder", "driver"),))
    for at, node in enumerate(builder.nodes):
        if builder.driver == "remote" and node.endpoint is None:
            yield Problem(("builder", "nodes", at), address, (("builder", "nodes", at),))


def _budget_problems(path: Where, budget: Budget) -> Iterator[Problem]:
    """Find limits that can never be broken: a step without a limit, a limit of no step, a budget of nothing."""
    of_step = [name for name in ("max", "compiled") if getattr(budget, name) is not None]
    if budget.step is not None and not of_step:
        words = "limits nothing by itself; give max (how long it may run) or compiled (how many packages)"
        yield Problem((*path, "step"), words, ((*path, "max"), (*path, "compiled")))
    if budget.step is None and of_step:
        yield Problem((*path, of_step[0]), 'is a limit on steps; say which with step: "*pip install*"', ((*path, "step"),))
    if budget.step is not None and not budget.step.strip("*? "):
        yield Problem((*path, "step"), "fits every step; name the instruction that is meant")
    if budget.growth is not None and budget.growth.size is None and budget.growth.build_time is None:
        yield Problem((*path, "growth"), "limits nothing; give size or build_time, such as 5%", ((*path, "growth"),))
    limits = (budget.size, budget.build_time, budget.growth, budget.step, *of_step)
    if all(limit is None for limit in limits):
        yield Problem(path, "limits nothing; give size, build_time, growth or step", (path,))


def _unknown_axis(matrix: MatrixFile, where: Where, name: str) -> Problem:
    words = f"'{name}' is not an axis{did_you_mean(name, matrix.axes) or '; the axes are ' + ', '.join(matrix.axes)}"
    return Problem(where, words, (("axes", name),))


def _unknown_value(matrix: MatrixFile, where: Where, axis: str, value: str, what: str = "is not a value") -> Problem:
    words = f"'{value}' {what} of axis '{axis}'{did_you_mean(value, _values_of(matrix, axis))}"
    return Problem(where, words, (("axes", axis, value),))


def _axis_problems(matrix: MatrixFile) -> Iterator[Problem]:
    for axis, values in matrix.axes.items():
        if axis in TAKEN_NAMES:
            yield Problem(("axes", axis), f"'{axis}' cannot name an axis: {TAKEN_NAMES[axis]}")
        for at, value in enumerate(values):
            if value in values[:at]:
                yield Problem(("axes", axis, at), f"'{value}' is there twice")


def _values_of(matrix: MatrixFile, axis: str) -> list[str]:
    included = [cell[axis] for cell in matrix.include if axis in cell]
    return list(dict.fromkeys([*matrix.axes[axis], *included]))


def _settings_problems(matrix: MatrixFile) -> Iterator[Problem]:
    for axis, by_value in matrix.settings.items():
        if axis not in matrix.axes:
            yield _lacking_axis(matrix, axis) or _unknown_axis(matrix, ("settings", axis), axis)
            continue
        values = _values_of(matrix, axis)
        unused = [value for value in by_value if value not in values]
        misplaced = [name for name in unused if name in type(matrix.defaults).model_fields]
        for name in misplaced:
            words = f"'{name}' is a setting, not a value of axis '{axis}'; write it below a value, or in defaults"
            yield Problem(("settings", axis, name), words, (("axes", axis),), covers=True)
        unused = [value for value in unused if value not in misplaced]
        for at, value in enumerate(matrix.axes[axis]):
            meant = "" if value in by_value else did_you_mean(value, unused)
            if meant:
                yield Problem(("axes", axis, at), f"'{value}' has no settings{meant}", (("settings", axis, value),))
                unused = [name for name in unused if f"'{name}'" not in meant]
        yield from (_unknown_value(matrix, ("settings", axis, name), axis, name) for name in unused)


def _lacking_axis(matrix: MatrixFile, name: str) -> Problem | None:
    """Find settings by value that lack the axis around them."""
    axis = next((axis for axis in matrix.axes if name in _values_of(matrix, axis)), None)
    words = f"'{name}' is a value of axis '{axis}', and settings name the axis first: settings: {{{axis}: {{{name}: …}}}}"
    return Problem(("settings", name), words, (("axes", name),), covers=True) if axis else None


def _placeholder_problems(matrix: MatrixFile) -> Iterator[Problem]:
    places: list[tuple[Where, Any]] = [(("defaults",), matrix.defaults)]
    places += [
        (("settings", axis, value), settings) for axis, by_value in matrix.settings.items() for value, settings in by_value.items()
    ]
    for where, settings in places:
        data = settings.model_dump(by_alias=True, exclude_unset=True)
        for path, text in _texts_with_path(data, where):
            for name in find_placeholders(text):
                if name not in matrix.axes:
                    meant = did_you_mean(name, matrix.axes) or f"; the axes are {', '.join(matrix.axes)}"
                    words = f"'{{{name}}}' names no axis (the text itself is written '{{{{{name}}}}}'){meant}"
                    yield Problem(path, words, (("axes", name),))
            if path[len(where)] == "smoke" and (path[-1] in ("stdout", "body") or path[-2] == "header"):
                yield from _pattern_problems(path, text)


def _pattern_problems(path: Where, pattern: str) -> Iterator[Problem]:
    if found := _POSIX_CLASS.search(pattern):
        yield Problem(path, f"'{found[0]}]' is no class of letters here; write [A-Za-z], \\w, \\d or \\s")
    try:
        with warnings.catch_warnings():  # of what other versions of Python may read otherwise
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        yield Problem(path, f"'{pattern}' is not a regular expression: {error}")


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
        if cell in matrix.include[:at]:
            yield Problem(("include", at), "is there twice; remove one", (("include", at),))
        for axis in cell:
            if axis not in matrix.axes:
                yield _unknown_axis(matrix, ("include", at, axis), axis)
        lacking = [axis for axis in matrix.axes if axis not in cell]
        if lacking:
            words = f"an included cell has a value on every axis; this one lacks {', '.join(lacking)}"
            yield Problem(("include", at), words, (("include", at),))


def _where_problems(matrix: MatrixFile, path: Where, where: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    for axis, wanted in where.items():
        if axis not in matrix.axes:
            yield _unknown_axis(matrix, (*path, axis), axis)
            continue
        values = _values_of(matrix, axis)
        for value in wanted:
            if not any(fits(value, known) for known in values):
                yield _unknown_value(matrix, (*path, axis), axis, value, "fits no value" if is_glob(value) else "is not a value")


def find_plan_problems(matrix: MatrixFile, plan: Plan) -> Iterator[Problem]:
    """Find ids that two cells share, since their folders would be one, words that axes bring into settings, idle rules."""
    first: dict[str, Pairs] = {}
    combinations: tuple[Cell | ExcludedCell, ...] = (*plan.cells, *plan.excluded)
    for cell in combinations:
        other = first.setdefault(cell.id, cell.axes)
        if other != cell.axes:  # else a value or an included cell is there twice, which is said of that
            words = " and ".join(", ".join(f"{axis}={value}" for axis, value in axes) for axes in (other, cell.axes))
            yield Problem(("axes",), f"two cells have the id '{cell.id}' ({words}); rename a value", (("axes",), ("include",)))
    yield from _filled_problems(matrix, plan)
    yield from _idle_exclusions(matrix, plan)
    yield from _idle_rules(matrix, plan)


def _idle_exclusions(matrix: MatrixFile, plan: Plan) -> Iterator[Problem]:
    """Find exclusions that take no cell, or none that those before them have left."""
    rules = [rule.where for rule in matrix.exclude]
    firsts = {next((at for at, where in enumerate(rules) if matches(where, cell.axes)), None) for cell in plan.excluded}
    for at, where in enumerate(rules):
        path: Where = ("exclude", at)
        if at not in firsts and where and not any(_where_problems(matrix, path, where)):
            taken = any(matches(where, cell.axes) for cell in plan.excluded)
            words = "excludes no cell that those before it have left" if taken else "names no cell of the matrix"
            yield Problem(path, f"{words}; remove it", _MAKING_CELLS)


def _idle_rules(matrix: MatrixFile, plan: Plan) -> Iterator[Problem]:
    """Find expectations, claims and budgets that are about no cell of the plan: nothing would ever be said of them."""
    rules: list[tuple[Where, Mapping[str, Sequence[str]]]] = []
    rules += [(("expect", at), rule.where) for at, rule in enumerate(matrix.expect)]
    rules += [(("claims", at, "left"), claim.left) for at, claim in enumerate(matrix.claims)]
    rules += [(("claims", at, "right"), claim.right) for at, claim in enumerate(matrix.claims) if claim.right is not None]
    rules += [(("budgets", at, "where"), budget.where) for at, budget in enumerate(matrix.budgets)]
    planned: dict[frozenset[str], set[Pairs]] = {}
    for path, where in rules:
        named = frozenset(where)
        if named not in planned:
            planned[named] = {tuple([pair for pair in cell.axes if pair[0] in named]) for cell in plan.cells}
        is_idle = where and not any(matches(where, pairs) for pairs in planned[named])
        if is_idle and not any(_where_problems(matrix, path, where)):
            excluded = any(matches(where, cell.axes) for cell in plan.excluded)
            words = "names only cells that are excluded" if excluded else "names no cell of the matrix"
            yield Problem(path, words, (*_MAKING_CELLS, path))


def _filled_problems(matrix: MatrixFile, plan: Plan) -> Iterator[Problem]:
    """Find settings that have one of a few words, and that an axis gave another."""
    seen: set[Where] = set()
    for cell in plan.cells:
        for name, words in _WORDS.items():
            value = getattr(cell.settings, name)
            if value is None or value in words:
                continue
            where, _ = find_setter(matrix, cell, (name,))
            if where not in seen:
                seen.add(where)
                few = "', '".join(words[:-1])
                yield Problem(where, f"'{value}' must be '{few}' or '{words[-1]}' (cell {cell.id})")
