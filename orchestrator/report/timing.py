"""Columns and words for isolated measurements: the only times that are ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.judge.times import floor_of
from orchestrator.units import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.record import CellRecord, RunRecord, Scenario

RELATIVE = "relative time"
CHANCE = "≈"  # before a relative time that may be none of the cell's doing


def timing_headers(record: RunRecord) -> tuple[str, ...]:
    """Name the columns: one for each scenario, and the ranking by the first; none where nothing was measured."""
    names = _scenarios_of(record)
    return (*(f"{name} s" for name in names), RELATIVE) if names else ()


def make_timings(record: RunRecord) -> list[list[str]]:
    """Give each cell's medians with half their spread, and how many times the fastest of its group it took."""
    names = _scenarios_of(record)
    if not names:
        return [[] for _ in record.cells]
    relative = _rank(record, names[0])
    return [[*_medians_of(cell, names), relative.get(cell.id, UNKNOWN)] for cell in record.cells]


def _medians_of(cell: CellRecord, names: tuple[str, ...]) -> Iterator[str]:
    found = {scenario.name: scenario for scenario in (cell.build.scenarios if cell.build else ())}
    return (_render(found.get(name)) for name in names)


def timing_notes(record: RunRecord) -> Iterator[str]:
    """Say how the times were measured, what is mere chance, and what speaks against them."""
    how = record.measurement
    if how is None:
        return
    yield (
        f"{', '.join(_scenarios_of(record))}: isolated, {how.rounds} samples a cell, one build at a time, cells in turn, order "
        f"shuffled with seed {how.seed}: median ± half the width of the middle half (timing: isolated)."
    )
    for noise in how.noise:
        if noise.share is None:
            yield f"Noise of {noise.scenario}: unknown, the control {how.control} has no samples; no time is better than another."
        else:
            yield (
                f"Noise of {noise.scenario}: {noise.share:.1%} ({how.control} measured as if it were two cells); "
                f"smaller differences, and those within the middle half of a cell's own samples, are none, and marked {CHANCE}."
            )
    yield from (f"CAUTION: {warning}." for warning in how.warnings)


def _scenarios_of(record: RunRecord) -> tuple[str, ...]:
    return tuple(noise.scenario for noise in record.measurement.noise) if record.measurement else ()


def _render(scenario: Scenario | None) -> str:
    if scenario is None or scenario.median_s is None:
        return UNKNOWN
    spread = "" if scenario.spread_s is None else f" ±{scenario.spread_s / 2:.2f}"
    return f"{scenario.median_s:.2f}{spread}"


def _rank(record: RunRecord, scenario: str) -> Mapping[str, str]:
    """Rank the cells of each group by their medians; what is within the noise is no difference, and no machine is like another."""
    noise = next((one.share for one in record.measurement.noise if one.scenario == scenario), None) if record.measurement else None
    medians = _medians(record, scenario)
    groups: dict[tuple[object, ...], list[CellRecord]] = {}
    for cell in record.cells:
        if cell.id in medians:
            rest = tuple(sorted((axis, value) for axis, value in cell.axes.items() if axis != record.compare))
            groups.setdefault((cell.part, *rest), []).append(cell)
    found = {}
    for group in groups.values():
        first = min(group, key=lambda cell: medians[cell.id])
        best = medians[first.id]
        for cell in group if best else ():
            mine, floor = medians[cell.id], floor_of(noise, scenario, first, cell)
            is_chance = mine > best and (floor is None or mine / best - 1 <= floor)
            found[cell.id] = f"{CHANCE if is_chance else ''}{mine / best:.2f}"
    return found


def _medians(record: RunRecord, scenario: str) -> Mapping[str, float]:
    """Give the medians of cells that ended as expected; how fast another failed is nothing to compare with."""
    found = ((cell.id, one) for cell in record.cells if cell.build and cell.as_expected for one in cell.build.scenarios)
    return {cell: one.median_s for cell, one in found if one.name == scenario and one.median_s is not None}
