"""Who did the work: steps that several cells needed at the same moment are given to the one that ran them.

A step that cells share runs once, and whoever joins it waits for a part of it
only, or for nothing. So a cell's wall time depends on which others happened to
be built beside it. Three figures say what does not: `own_s` is the wall time
without the moments in which the cell merely waited for steps of another,
`shared_s` the full time of those steps, and `alone_s` both together: what the
build would have taken by itself, on a machine as busy as this one was. Own
times of several cells never count a step twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.measure.periods import covered_s, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.measure.periods import Period
    from orchestrator.record import Build, CellRecord, Step

_NEVER = datetime.max.replace(tzinfo=UTC)
_ONE_RUN = timedelta(microseconds=5)  # by which two builds' words of how long one step ran may differ: each moves its clock
_APART = timedelta(seconds=1)  # by which those clocks are, at the most


class _Seen(Struct, frozen=True):
    """A step as one cell saw it run."""

    cell: str
    began: datetime
    period: Period


def share_work(cells: Sequence[CellRecord], ran: Mapping[str, str], *, of_pods: bool = False) -> tuple[CellRecord, ...]:
    """Give the cells with each step executed, joined or cached, and with what that means for their times.

    What was taken over from another run is as it was: nobody built it beside these.
    Pods of a cluster know nothing of each other: there, a step that two cells saw
    at the same moment was one run only if both were told the same duration.

    Which cell ran a step is known from the traces (`ran`, by the step's digest).
    Without them it is taken to be the one whose build began first: only one can
    have run it, and no figure but who is named depends on which.
    """
    seen = _gather(cell for cell in cells if not cell.carried_from)
    return tuple(
        replace(cell, build=_with_shares(cell.id, cell.build, seen, ran, of_pods=of_pods))
        if cell.build and cell.build.started_at and not cell.carried_from
        else cell
        for cell in cells
    )


def _gather(cells: Iterable[CellRecord]) -> dict[str, list[_Seen]]:
    """Give, for each step that ran, all the cells that saw it run, and when."""
    found: dict[str, list[_Seen]] = {}
    for cell in cells:
        for step in cell.build.steps if cell.build else ():
            if step.digest and step.outcome != "cached" and (period := period_of(step)):
                found.setdefault(step.digest, []).append(_Seen(cell.id, _began(cell), period))
    return found


def _began(cell: CellRecord) -> datetime:
    return cell.build.started_at or _NEVER if cell.build else _NEVER


def period_of(step: Step) -> Period | None:
    """Give when a step ran."""
    if step.started_at is None or step.duration_s is None:
        return None
    return step.started_at, step.started_at + timedelta(seconds=step.duration_s)


def _length(period: Period) -> timedelta:
    return period[1] - period[0]


def _is_one_run(one: Period, other: Period, *, of_pods: bool) -> bool:
    """Tell whether two cells saw one run of a step, each by its own clock, between which a short one may be over."""
    overlap = one[0] < other[1] and other[0] < one[1]
    as_long = abs(_length(one) - _length(other)) <= _ONE_RUN
    if overlap:
        return as_long or not of_pods
    return as_long and abs(one[0] - other[0]) <= _APART


def _with_shares(cell: str, build: Build, seen: Mapping[str, list[_Seen]], ran: Mapping[str, str], *, of_pods: bool) -> Build:
    steps = tuple(_place(cell, step, seen, ran, of_pods=of_pods) for step in build.steps)
    own = [period for step in steps if step.outcome == "executed" and (period := period_of(step))]
    joined = [period for step in steps if step.outcome == "joined" and (period := period_of(step))]
    waited = without(joined, own)
    began = build.started_at or _NEVER
    own_s = max(0.0, build.wall_s - covered_s((max(first, began), last) for first, last in waited))
    shared_s = covered_s(waited)
    return replace(build, steps=steps, own_s=round(own_s, 3), shared_s=round(shared_s, 3), alone_s=round(own_s + shared_s, 3))


def _place(cell: str, step: Step, seen: Mapping[str, list[_Seen]], ran: Mapping[str, str], *, of_pods: bool) -> Step:
    """Say of one step whether this cell ran it or joined another."""
    period = period_of(step)
    if step.outcome == "cached" or not step.digest or period is None:
        return step
    together = [one for one in seen[step.digest] if _is_one_run(one.period, period, of_pods=of_pods)]
    known = ran.get(step.digest)
    first = min(together, key=lambda one: one.began, default=None)
    runner = known if known in {one.cell for one in together} else first.cell if first else cell
    return replace(step, outcome="executed", ran_in=None) if runner == cell else replace(step, outcome="joined", ran_in=runner)
