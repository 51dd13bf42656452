"""The Pareto front of a group: the cells that no other beats in outcome, size, time and packages at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.judge.candidates import ALWAYS, Fit
from orchestrator.judge.noise import floor_between

if TYPE_CHECKING:
    from orchestrator.judge.candidates import Candidate, Group
    from orchestrator.record import RunRecord


def find_front(record: RunRecord, group: Group) -> tuple[str, ...]:
    """Give the values that nothing else dominates, failed ones among them where they are small or quick."""
    return tuple(
        one.value
        for one in group.candidates
        if not any(_dominates(record, other, one) for other in group.candidates if other is not one)
    )


def _dominates(record: RunRecord, one: Candidate, other: Candidate) -> bool:
    """Tell whether a candidate is nowhere worse than another and somewhere better, beyond the noise."""
    better = _rank(one) - _rank(other)
    if better < 0:
        return False
    if other.cell.image is None and one.cell.image is not None:
        return True
    is_ahead = better > 0
    for metric in ALWAYS:
        figure, against = one.figures[metric], other.figures[metric]
        if figure.value is None and against.value is None:
            continue
        floor = floor_between(record, metric, figure, against).share
        if figure.value is None or against.value is None or floor is None:
            return False  # what is not known of one of them may be where it is better
        if figure.value > against.value * (1 + floor):
            return False
        is_ahead = is_ahead or figure.value * (1 + floor) < against.value
    return is_ahead


def _rank(one: Candidate) -> int:
    return {Fit.MEETS: 2, Fit.UNKNOWN: 1, Fit.FAILS: 0}[one.fit]
