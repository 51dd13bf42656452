"""--only and --skip: which of the planned cells a command is about."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from orchestrator.errors import NothingSelectedError, UsageError, did_you_mean
from orchestrator.model import Cell, ExcludedCell, Plan
from orchestrator.plan.expand import fits, is_glob, matches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence


def select_cells(plan: Plan, only: Sequence[str], skip: Sequence[str]) -> Plan:
    """Keep the cells that any --only names and no --skip does; a word that names nothing in the whole plan is a mistake."""
    try:
        selected = choose_cells(plan, only, skip)
    except NothingSelectedError as nothing:
        raise NothingSelectedError(next(_find_mistakes(plan, only, skip), str(nothing))) from nothing
    for mistake in _find_mistakes(plan, only, skip):
        raise UsageError(mistake)
    return selected


def _find_mistakes(plan: Plan, only: Sequence[str], skip: Sequence[str]) -> Iterator[str]:
    cells: tuple[Cell | ExcludedCell, ...] = (*plan.cells, *plan.excluded)
    values = {axis: {value for cell in cells for name, value in cell.axes if name == axis} for axis in plan.axes}
    for option, words in [*(("--only", word) for word in only), *(("--skip", word) for word in skip)]:
        rule = _parse(plan, words)
        if isinstance(rule, str):
            yield from _find_wrong_id(option, rule, [cell.id for cell in cells])
        else:
            yield from _find_wrong_values(option, words, rule, values)


def _find_wrong_id(option: str, words: str, ids: Sequence[str]) -> Iterator[str]:
    if not any(fits(words, cell_id) for cell_id in ids):
        yield f"{option} '{words}' names no cell{did_you_mean(words, ids) or '; `matrix plan` lists them'}"


def _find_wrong_values(
    option: str, words: str, rule: Mapping[str, Sequence[str]], values: Mapping[str, Collection[str]]
) -> Iterator[str]:
    for axis, wanted in [(axis, value) for axis, wanteds in rule.items() for value in wanteds]:
        if not any(fits(wanted, value) for value in values[axis]):
            what = "fits no value" if is_glob(wanted) else "is not a value"
            meant = did_you_mean(wanted, sorted(values[axis])) or "; `matrix plan` lists them"
            yield f"'{wanted}' in {option} '{words}' {what} of axis '{axis}'{meant}"


def choose_cells(plan: Plan, only: Sequence[str], skip: Sequence[str]) -> Plan:
    """Keep the cells that any --only names and no --skip does; of a stored run, which may be a part, words may name others."""
    wanted, unwanted = [[_parse(plan, words) for words in group] for group in (only, skip)]

    def chosen(cell: Cell | ExcludedCell) -> bool:
        return (not wanted or any(_meets(cell, rule) for rule in wanted)) and not any(_meets(cell, rule) for rule in unwanted)

    cells = tuple(cell for cell in plan.cells if chosen(cell))
    if not cells:
        words = " ".join([*(f"--only {word}" for word in only), *(f"--skip {word}" for word in skip)])
        message = f"no cell is left by {words}; `matrix plan` lists them" if words else "every cell of the matrix is excluded"
        raise NothingSelectedError(message)
    return Plan(plan.name, plan.axes, cells, tuple(cell for cell in plan.excluded if chosen(cell)))


def _meets(cell: Cell | ExcludedCell, rule: str | dict[str, list[str]]) -> bool:
    return fnmatchcase(cell.id, rule) if isinstance(rule, str) else matches(rule, cell.axes)


def _parse(plan: Plan, words: str) -> str | dict[str, list[str]]:
    """Read `base=alpine,python=3.1*` as axes that must all fit, and anything else as a glob on ids.

    A word without `=` after one with it is a further value: `base=alpine,slim`.
    """
    if "=" not in words:
        return words
    rule: dict[str, list[str]] = {}
    axis = ""
    for word in words.split(","):
        name, equals, value = word.partition("=")
        if equals:
            axis = name.strip()
            if axis not in plan.axes:
                meant = did_you_mean(axis, plan.axes) or f"; the axes are {', '.join(plan.axes)}"
                message = f"'{axis}' in '{words}' is not an axis{meant}"
                raise UsageError(message)
        if not axis:
            message = f"'{word}' in '{words}' has no axis in front of it; write base={word},… or give two options"
            raise UsageError(message)
        rule.setdefault(axis, []).append((value if equals else word).strip())
    return rule
