"""The cells between which a choice lies, group by group, and whether each meets what is required."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.judge.figures import describe_end, figure_of
from orchestrator.judge.words import order_axes
from orchestrator.model import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.judge.figures import Figure
    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.rules import Choice

ALWAYS = ("size", "build_time", "packages")  # what the front is drawn over, besides the outcome

Place = tuple[tuple[str, str], ...]


class Fit(Enum):
    """Whether a cell meets what is required."""

    MEETS = "meets"
    FAILS = "fails"
    UNKNOWN = "unknown"


class Candidate(Struct, frozen=True):
    """A value of the axis in one group: its cell, its figures, and whether it can be taken at all."""

    value: str
    cell: CellRecord
    fit: Fit
    why: str
    figures: Mapping[str, Figure]


class Group(Struct, frozen=True):
    """Cells that are equal on all other axes, by their value; `absent` were not tried there."""

    place: Place
    candidates: tuple[Candidate, ...]
    absent: tuple[tuple[str, str], ...] = ()

    @property
    def fit(self) -> tuple[Candidate, ...]:
        """Give those that meet what is required."""
        return tuple(one for one in self.candidates if one.fit is Fit.MEETS)


def find_groups(record: RunRecord, choice: Choice) -> tuple[Group, ...]:
    """Sort the cells of a run into groups; the order of the cells does not matter."""
    metrics = {*ALWAYS, *(preference.metric for preference in choice.prefer)}
    groups: dict[Place, list[CellRecord]] = {}
    for cell in sorted(record.cells, key=lambda cell: cell.id):
        if choice.between in cell.axes:
            place = order_axes(cell.axes, record.axes, {choice.between})
            groups.setdefault(place, []).append(cell)
    return tuple(_make_group(place, groups[place], choice, metrics) for place in sorted(groups))


def _make_group(place: Place, cells: Sequence[CellRecord], choice: Choice, metrics: set[str]) -> Group:
    candidates, absent = [], []
    for cell in cells:
        value = cell.axes[choice.between]
        if cell.status.is_left_out:
            absent.append((value, f"{cell.id} {describe_end(cell)}"))
            continue
        fit, why = _fit_of(cell, choice.require)
        figures = {metric: figure_of(cell, metric) for metric in metrics}
        candidates.append(Candidate(value, cell, fit, f"{cell.id} {why}", figures))
    return Group(place, tuple(candidates), tuple(absent))


def _fit_of(cell: CellRecord, require: Sequence[str]) -> tuple[Fit, str]:
    """Hold a cell against what is required; without an image there is nothing to take, whatever is required."""
    if cell.status is Status.ERROR:
        return Fit.UNKNOWN, describe_end(cell)
    if cell.image is None and cell.status is not Status.PASSED:
        return Fit.FAILS, describe_end(cell)
    if foreign := sorted({*require} - {"build", "smoke", "expected"}):
        return Fit.UNKNOWN, f"cannot be held against '{foreign[0]}': matrix knows no such requirement"
    if ("expected" in require and not cell.as_expected) or ("smoke" in require and cell.status is not Status.PASSED):
        return Fit.FAILS, describe_end(cell)
    if "smoke" in require and (cell.smoke is None or cell.smoke.outcome != "passed"):
        return Fit.UNKNOWN, "was built, and its checks were not run"
    return Fit.MEETS, describe_end(cell)
