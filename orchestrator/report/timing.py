"""Columns and words for isolated measurements: the only times that are ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.units import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.record import CellRecord, RunRecord, Scenario

RELATIVE = "relative time"


def timing_headers(record: RunRecord) -> tuple[str, ...]:
    """Name the columns: one for each scenario, and the ranking by the first; none where nothing was measured."""
    names = _scenarios_of(record)
    return (*(f"{name} s" for name in names), RELATIVE) if names else ()


def timing_of(record: RunRecord, cell: CellRecord) -> list[str]:
    """Give a cell's medians with half their spread, and how many times the fastest of its group it took."""
    names = _scenarios_of(record)
    if not names:
        return []
    found = {scenario.name: scenario for scenario in (cell.build.scenarios if cell.build else ())}
    return [*(_render(found.get(name)) for name in names), _relative(record, cell, names[0])]


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
                f"smaller differences are none, and marked ≈."
            )
    yield from (f"CAUTION: {warning}." for warning in how.warnings)


def _scenarios_of(record: RunRecord) -> tuple[str, ...]:
    return tuple(noise.scenario for noise in record.measurement.noise) if record.measurement else ()


def _render(scenario: Scenario | None) -> str:
    if scenario is None or scenario.median_s is None:
        return UNKNOWN
    spread = "" if scenario.spread_s is None else f" ±{scenario.spread_s / 2:.2f}"
    return f"{scenario.median_s:.2f}{spread}"


def _relative(record: RunRecord, cell: CellRecord, scenario: str) -> str:
    """Rank a cell in its group; what is within the noise is no difference."""
    medians = _medians(record, scenario)
    mine, best = medians.get(cell.id), min((medians[one.id] for one in _group_of(record, cell) if one.id in medians), default=None)
    if mine is None or not best:
        return UNKNOWN
    noise = next((one.share for one in record.measurement.noise if one.scenario == scenario), None) if record.measurement else None
    is_chance = mine > best and (noise is None or mine / best - 1 <= noise)
    return f"{'≈' if is_chance else ''}{mine / best:.2f}"


def _medians(record: RunRecord, scenario: str) -> Mapping[str, float]:
    """Give the medians of cells that ended as expected; how fast another failed is nothing to compare with."""
    found = ((cell.id, one) for cell in record.cells if cell.build and cell.as_expected for one in cell.build.scenarios)
    return {cell: one.median_s for cell, one in found if one.name == scenario and one.median_s is not None}


def _group_of(record: RunRecord, cell: CellRecord) -> list[CellRecord]:
    def rest(one: CellRecord) -> dict[str, str]:
        return {axis: value for axis, value in one.axes.items() if axis != record.compare}

    return [one for one in record.cells if rest(one) == rest(cell)]
