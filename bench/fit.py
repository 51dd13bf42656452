"""Fits the simulation to few small runs, and holds it against larger ones."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bench.nouns import AFTER, ALONE, BEFORE, MATRIX, Case, Cost, Measured
from bench.simulate import Model, solve_cores
from orchestrator.execute import usual_jobs
from orchestrator.tracing.waterfall import COSTS

if TYPE_CHECKING:
    from collections.abc import Sequence

FITTED_ON = 20  # cells of the runs that the model is fitted to: fewer are over before all has been imported
CHECKED_ON = (12, 36, 100)
LIMIT = 0.15
_STEPS = "steps"


class Check(Struct, frozen=True):
    """A run that was measured, and what the simulation says of it."""

    case: Case
    measured_s: float
    simulated_s: float

    @property
    def share_off(self) -> float:
        """Give the difference as a share of what was measured."""
        return self.simulated_s / self.measured_s - 1


def samples_of(measured: Measured, case: Case, contender: str) -> tuple[Cost, ...]:
    """Give the samples of one contender in one case."""
    return next((row.samples for row in measured.rows if (row.case, row.contender) == (case, contender)), ())


def fit_model(measured: Measured, project: str, driver: str, state: str) -> Model | None:
    """Fit the model: seconds from runs of one cell at a time, what cells cost each other from a run of two at once."""
    case = Case(project, FITTED_ON, driver, state)
    alone, together = samples_of(measured, case, ALONE), samples_of(measured, case, MATRIX)
    if not alone or not together:
        return None
    single = samples_of(measured, replace(case, cells=1), MATRIX)
    after_s, after_each_s = _after(single, alone)
    had = {name for cost in alone for name in cost.parts}
    names = [name for name in COSTS if name in had]
    cell = tuple((name, _typical(alone, name)) for name in names)
    first = median(cost.parts[_STEPS][0] for cost in alone) if _STEPS in names else 0.0
    model = Model(
        before_s=median(cost.parts[BEFORE][0] for cost in alone),
        after_s=after_s,
        after_each_s=after_each_s,
        prefix_s=max(first - dict(cell).get(_STEPS, 0.0), 0.0),
        cell=cell,
        cores=0.0,
    )
    wall_s = median(cost.wall_s for cost in together)
    return replace(
        model, cores=solve_cores(model, wall_s=wall_s, count=FITTED_ON, jobs=jobs_on(cpus_of(measured)), cpus=cpus_of(measured))
    )


def _after(single: Sequence[Cost], alone: Sequence[Cost]) -> tuple[float, float]:
    """Give what comes after the cells, and how much of it for each; one cell and a few tell the two apart."""
    few = median(cost.parts[AFTER][0] for cost in alone)
    if not single:
        return few, 0.0
    one = median(cost.parts[AFTER][0] for cost in single)
    each = max((few - one) / (FITTED_ON - 1), 0.0)
    return max(few - FITTED_ON * each, 0.0), each


def _typical(alone: Sequence[Cost], name: str) -> float:
    """Give the usual seconds of a part; the first cell also does what others find done."""
    return median(seconds for cost in alone for seconds in cost.parts.get(name, (0.0,))[1:] or (0.0,))


def cpus_of(measured: Measured) -> float:
    """Give the number of processors that it was measured on."""
    return float(measured.machine.get("cpus", "1"))


def jobs_on(cpus: float) -> int:
    """Say how many cells `matrix run` builds at once there unless it is told otherwise."""
    return usual_jobs(int(cpus))


def check_model(measured: Measured, project: str, driver: str, state: str) -> list[Check]:
    """Hold the model against the larger runs, none of which it was fitted to."""
    model = fit_model(measured, project, driver, state)
    if model is None:
        return []
    checks = []
    for count in CHECKED_ON:
        case = Case(project, count, driver, state)
        if samples := samples_of(measured, case, MATRIX):
            simulated_s = model.wall_s(count, jobs=jobs_on(cpus_of(measured)), cpus=cpus_of(measured))
            checks.append(Check(case, median(cost.wall_s for cost in samples), simulated_s))
    return checks


def all_checks(measured: Measured) -> list[Check]:
    """Check every project and state that the model can be fitted to."""
    kinds = dict.fromkeys((row.case.project, row.case.driver, row.case.state) for row in measured.rows)
    return [check for kind in kinds for check in check_model(measured, *kind)]
