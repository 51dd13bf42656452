"""One case measured: all contenders in turn, round by round, each with the same targets and nothing of another's in its way."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from bench.contenders import (
    Place,
    bootstrap,
    count_results,
    forget_images,
    is_matrix,
    make_argv,
    plan_targets,
    read_parts,
    read_sizes,
)
from bench.gauge import run
from bench.nouns import AFTER, BEFORE, CARRIED, IN_GRAPH, MATRIX, NOTHING_KEPT, WITHOUT_TRACE, Case, Cost, Row
from bench.projects import make_project, save_values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.agenda import Item

_STEADY = "steady"  # the value of a build argument that stays
_FAILED = {True: (1,), False: (1, 123)}  # matrix; bake and xargs


def measure_case(item: Item, folder: Path, builder: str, registry: str | None = None) -> list[Row]:
    """Take as many samples of each contender as there are rounds, the order turned by one in each round."""
    case, contenders = item.case, item.contenders
    name = f"{case.project}-{case.cells}-{case.driver}-{case.state.replace(' ', '-')}"
    site = _Site(case, Place(folder / name, builder), registry)
    site.prepare(contenders)
    found: dict[str, list[Cost]] = {contender: [] for contender in contenders}
    for number in range(item.rounds):
        turn = number % len(contenders)
        for contender in [*contenders[turn:], *contenders[:turn]]:
            found[contender].append(site.sample(contender, number))
    forget_images(site.targets)
    return [Row(case, contender, tuple(costs)) for contender, costs in found.items()]


class _Site:
    """A project in one state, and what has to be seen to before each sample."""

    def __init__(self, case: Case, place: Place, registry: str | None) -> None:
        self.case, self.place, self.lot = case, place, str(time.time_ns())
        self.project: dict[str, Any] = make_project(case.project, case.cells, case.driver, place.folder, registry)
        self.targets: dict[str, Any] = {}

    def prepare(self, contenders: Sequence[str]) -> None:
        """Have the builder, and build all once, so that what is not to change is there; a cold build needs to find nothing."""
        self._set(contenders[0], _STEADY, _STEADY)
        bootstrap(self.place)
        if self.case.state == "cold":
            return
        for contender in contenders:
            self._set(contender, _STEADY, _STEADY)
            self._run(contender, fails=False)

    def sample(self, contender: str, number: int) -> Cost:
        """Take one sample."""
        fresh = f"{self.lot}-{number}-{contender.replace(' ', '')}"
        state = self.case.state
        fails = state == "one fails early"
        self._set(
            contender,
            fresh if state == "cold" else _STEADY,
            _STEADY if state == "unchanged" else fresh,
            failing=(self.project["axes"]["cell"][0],) if fails else (),
        )
        if state == "cold":
            shutil.rmtree(self.place.cache, ignore_errors=True)
        if state != "unchanged":
            forget_images(self.targets)
        if contender == CARRIED:  # from a run like itself: another contender's may have had its checks elsewhere
            self._run(MATRIX, fails=False)
        return self._run(contender, fails=fails)

    def _set(self, contender: str, cold: str, own: str, failing: Sequence[str] = ()) -> None:
        values = [f"{self.case.project}-{value}" for value in (cold, own)]
        smoke = "graph" if contender == IN_GRAPH else "auto"
        save_values(self.project, self.place.folder, cold=values[0], own=values[1], failing=failing, smoke=smoke)
        self.targets = plan_targets(self.place)

    def _run(self, contender: str, *, fails: bool) -> Cost:
        """Run a contender, and see that it did what it was asked for."""
        place = self.place
        began_ns = time.time_ns()
        cost = run(
            make_argv(contender, place, self.targets),
            folder=place.folder,
            environment=place.environment,
            log=place.folder / "log.txt",
            codes=_FAILED[is_matrix(contender)] if fails else (0,),
        )
        ended_ns = began_ns + round(cost.wall_s * 1e9)
        cost = replace(cost, results=count_results(contender, place, self.targets))
        if not fails and cost.results != len(self.targets) and contender != NOTHING_KEPT:
            message = f"{contender} ended with {cost.results} images of {len(self.targets)}: see {place.folder / 'log.txt'}"
            raise RuntimeError(message)
        if not is_matrix(contender) or contender in (WITHOUT_TRACE, CARRIED):
            return cost
        parts, first_ns, last_ns = read_parts(place)
        parts |= {BEFORE: (round((first_ns - began_ns) / 1e9, 4),), AFTER: (round((ended_ns - last_ns) / 1e9, 4),)}
        return replace(cost, parts=parts, sizes=read_sizes(place))
