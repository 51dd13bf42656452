"""How long a cell's build takes, and how that is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeGuard

from msgspec import Struct

if TYPE_CHECKING:
    from orchestrator.record import Build, CellRecord, RunRecord, Step

COLD = "cold"  # the scenario in which a build does all of its work


class BuildTime(Struct, frozen=True):
    """A time, how it was taken, and whether the build would have taken at least as long."""

    seconds: float | None
    how: str
    at_least: bool = False


def medians_of(cell: CellRecord) -> dict[str, float]:
    """Give a cell's isolated medians by scenario; what a damaged record has in place of a time is none."""
    found = ((one.name, one.median_s) for one in (cell.build.scenarios if cell.build else ()))
    return {name: median_s for name, median_s in found if is_figure(median_s)}


def cold_median_of(cell: CellRecord) -> float | None:
    """Give the isolated median of builds that did all of their work."""
    return medians_of(cell).get(COLD)


def noises_of(run: RunRecord) -> dict[str, float | None]:
    """Give a run's noise floors by scenario, as shares."""
    found = run.measurement.noise if run.measurement else ()
    return {noise.scenario: noise.share if is_figure(noise.share) else None for noise in found}


def floor_of(noise: float | None, scenario: str, *cells: CellRecord) -> float | None:
    """Give the share up to which two cells' medians do not differ: the run's noise, or how far the samples of one lie apart.

    The noise is measured with one cell, and another may have been disturbed more.
    """
    return None if noise is None else max([noise, *(_width_of(cell, scenario) for cell in cells)])


def _width_of(cell: CellRecord, scenario: str) -> float:
    """Give the width of the middle half of a cell's samples, as a share of their median."""
    found = next((one for one in (cell.build.scenarios if cell.build else ()) if one.name == scenario), None)
    if found is None or not is_figure(found.median_s) or not is_figure(found.spread_s) or not found.median_s:
        return 0.0
    return found.spread_s / found.median_s


def is_figure(figure: float | None) -> TypeGuard[float]:
    """Tell whether a figure is one at all, and not below zero."""
    return figure is not None and math.isfinite(figure) and figure >= 0


def build_time_of(cell: CellRecord) -> BuildTime:
    """Give the best that is known: the isolated median, or else what the build would have taken alone."""
    if cell.build is None:
        return BuildTime(None, "there was no build")
    median_s = cold_median_of(cell)
    if median_s is not None:
        return BuildTime(median_s, "isolated: the median of cold builds, one at a time")
    if not is_figure(cell.build.alone_s):
        return BuildTime(None, "neither measured by itself (`matrix run --measure 7`) nor reckoned from its steps")
    how = "not isolated: what the build would have taken alone, while others ran beside it"
    cached = _cached_steps(cell.build)
    if cached:
        how += f"; {cached} of {len(cell.build.steps)} steps came from the cache, so it takes at least that"
    return BuildTime(cell.build.alone_s, how, at_least=cached > 0)


def _cached_steps(build: Build) -> int:
    """Count the steps that a build on a fresh machine would have run; its bases are the registry's work."""
    return sum(step.outcome == "cached" and not is_from(step) for step in build.steps)


def is_from(step: Step) -> bool:
    """Tell whether a step merely names a base."""
    return step.instruction.upper().startswith("FROM ")
