"""What was promised, held against what was measured: each bar with its figure and whether it is met."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bench.fit import samples_of
from bench.nouns import (
    BAKE,
    BARE,
    CARRIED,
    FULL,
    FULL_PAGE,
    FULL_RECORD,
    HELP,
    IN_CONTAINER,
    IN_ENGINE,
    IN_GRAPH,
    LARGE_PLAN,
    MATRIX,
    NOTHING_KEPT,
    PAGE,
    PLAN,
    REPORT,
    WITHOUT_SMOKE,
    Case,
    Measured,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.nouns import Cost

_CHECKED_THERE = ", `smoke: graph`"
_PARTS = {NOTHING_KEPT: "steps alone", BARE: "containers alone", WITHOUT_SMOKE: "without checks"}
_MOST_BYTES = 1_000_000_000
_MOST_CPU_S = 0.05


class Bar(Struct, frozen=True):
    """A promise, what was found, and whether it holds; None where nothing was measured that tells."""

    promise: str
    limit: str
    figure: str | None
    met: bool | None
    beside: str = ""  # what parts of it take by themselves


def make_bars(measured: Measured, real_cells: int) -> list[Bar]:
    """Hold all that was measured against all that was promised."""
    large = {driver: Case("large", 12, driver, "unchanged") for driver in (IN_CONTAINER, IN_ENGINE)}
    where = {IN_CONTAINER: "a docker-container builder", IN_ENGINE: "the engine's own BuildKit"}
    bars = [
        _ratio(measured, large[driver], contender, limit, f"12 cells on a base of 300 MB, nothing changed, {where[driver]}{words}")
        for contender, words, limits in (
            (MATRIX, "", {IN_CONTAINER: 0.25, IN_ENGINE: 2.5}),
            (IN_GRAPH, _CHECKED_THERE, {IN_ENGINE: 2.5}),
            (CARRIED, ", `--skip-unchanged`", {IN_CONTAINER: 0.05, IN_ENGINE: 0.5}),
        )
        for driver, limit in limits.items()
    ]
    bars += [
        _ratio(
            measured,
            Case("real", real_cells, driver, "cold"),
            MATRIX,
            0.8,
            f"{real_cells} cells of the default matrix, cold, {where[driver]}",
        )
        for driver in (IN_CONTAINER, IN_ENGINE)
    ]
    bars += [
        _ratio(measured, Case("tiny", cells, driver, state), contender, 1.5, f"{cells} tiny cells, {state}, {where[driver]}{words}")
        for driver, cells in ((IN_CONTAINER, 12), (IN_ENGINE, 12), (IN_ENGINE, 100))
        for state in ("cold", "unchanged")
        for contender, words in ((MATRIX, ""), (IN_GRAPH, _CHECKED_THERE), (WITHOUT_SMOKE, ", without checks, as bake has none"))
        if (contender, driver) != (IN_GRAPH, IN_CONTAINER)  # where they run anyway
    ]
    bars.append(_failing(measured, Case("tiny", 12, IN_ENGINE, "one fails early")))
    bars.append(_own_cpu(measured))
    bars += [_seconds(measured, *row) for row in ((HELP, 0.15), (PLAN, 0.3), (LARGE_PLAN, 2.0))]
    reports = (REPORT, PAGE, FULL, FULL_PAGE, FULL_RECORD)
    return bars + [_seconds(measured, name, 10.0) for name in reports] + [_memory(measured, name) for name in reports]


def _ratio(measured: Measured, case: Case, contender: str, limit: float, words: str) -> Bar:
    """Compare two medians of the same rounds."""
    ours, theirs = (samples_of(measured, case, one) for one in (contender, BAKE))
    promise, bound = f"{words}: time, against `bake --load`", f"≤ {limit:g} of it"
    if not ours or not theirs:
        return Bar(promise, bound, None, None)
    found = _median_s(ours) / _median_s(theirs)
    parts = {part: samples_of(measured, case, part) for part in _PARTS} if contender == MATRIX else {}
    beside = ", ".join(f"{_PARTS[part]} {_median_s(alone) / _median_s(theirs):.2f}" for part, alone in parts.items() if alone)
    return Bar(promise, bound, f"{found:.{3 if limit < 1 else 2}f} of it", found <= limit, beside)


def _median_s(costs: Sequence[Cost]) -> float:
    return median(cost.wall_s for cost in costs)


def _failing(measured: Measured, case: Case) -> Bar:
    ours, theirs = (samples_of(measured, case, one) for one in (MATRIX, BAKE))
    promise = f"{case.cells} tiny cells, one fails early: results"
    bound = f"{case.cells - 1}"
    if not ours or not theirs:
        return Bar(promise, bound, None, None)
    least, most = min(cost.results or 0 for cost in ours), max(cost.results or 0 for cost in theirs)
    return Bar(promise, bound, f"{least}, of bake {most}", least == case.cells - 1)


def _own_cpu(measured: Measured) -> Bar:
    """Take what 99 more cells cost us, so that what a run costs without any cell is left out."""
    case = Case("tiny", 100, IN_ENGINE, "unchanged")
    many, one = samples_of(measured, case, MATRIX), samples_of(measured, replace(case, cells=1), MATRIX)
    promise, bound = "our own CPU time for each cell, beside buildx's", f"≤ {_MOST_CPU_S:g} s"
    if not many or not one:
        return Bar(promise, bound, None, None)
    found = (median(cost.own_cpu_s for cost in many) - median(cost.own_cpu_s for cost in one)) / (case.cells - 1)
    return Bar(promise, bound, f"{found:.3f} s", found <= _MOST_CPU_S)


def _seconds(measured: Measured, name: str, limit_s: float) -> Bar:
    """Hold a command of ours against its time."""
    costs = next((timed.samples for timed in measured.commands if timed.name == name), ())
    bound = f"≤ {limit_s:g} s"
    if not costs:
        return Bar(f"{name}: time", bound, None, None)
    found = median(cost.wall_s for cost in costs)
    return Bar(f"{name}: time", bound, f"{found:.2f} s", found <= limit_s)


def _memory(measured: Measured, name: str) -> Bar:
    """Hold a command of ours against the most memory that it may take."""
    peaks = [cost.peak_bytes for timed in measured.commands if timed.name == name for cost in timed.samples if cost.peak_bytes]
    bound = f"≤ {_MOST_BYTES / 1e9:g} GB"
    if not peaks:
        return Bar(f"{name}: memory", bound, None, None)
    return Bar(f"{name}: memory", bound, f"{max(peaks) / 1e9:.2f} GB", max(peaks) <= _MOST_BYTES)
