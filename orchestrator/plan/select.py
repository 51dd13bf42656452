"""--only and --skip: which of the planned cells a command is about."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from orchestrator.errors import NothingSelectedError, UsageError, did_you_mean
from orchestrator.model import Cell, ExcludedCell, Plan
from orchestrator.plan.expand import matches

if TYPE_CHECKING:
    from collections.abc import Sequence


def select_cells(plan: Plan, only: Sequence[str], skip: Sequence[str]) -> Plan:
    """Keep the cells that any --only names and no --skip does."""
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
