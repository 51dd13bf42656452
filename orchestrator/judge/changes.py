"""What would have to be otherwise for the second to be taken: which weight, or which figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from orchestrator.judge.contest import added_to, total
from orchestrator.judge.words import render_apart, render_factor, write_apart
from orchestrator.rules import METRICS, SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.judge.candidates import Candidate
    from orchestrator.judge.contest import Margin


_FAR = math.log(1000)  # no figure of an image changes that much


def find_weight_changes(margins: Sequence[Margin], second: str) -> Iterator[str]:
    """Say from which weight of one metric on, the others being as they are, the second would be taken."""
    lead = total(margins) or 0.0
    for margin in margins:
        if not margin.ahead or lead <= 0:
            continue
        needed = margin.weight - lead / margin.ahead
        if needed > 0:
            more = "more" if margin.ahead < 0 else "less"
            than, _ = write_apart(needed, margin.weight, lambda one, digits: f"{one:.{3 + digits}g}")
            yield f"{second} would be taken if {margin.metric} weighed {more} than {than} (now {margin.weight:g})."


def find_figure_changes(margins: Sequence[Margin], first: Candidate, second: Candidate) -> Iterator[str]:
    """Say which figure the second would need, all others being as they are."""
    for margin in margins:
        needed = _needed(margins, margin)
        if needed is None:
            continue
        if margin.ahead is None:
            yield _say_unknown(margin, second.value, first.value, needed)
            continue
        figure = (first.figures[margin.metric].value or 0.0) + added_to(margin.metric)
        limit = figure * math.exp(needed) - added_to(margin.metric)
        if limit > 0:
            today = second.figures[margin.metric].value or 0.0
            below, now = render_apart(limit, today, METRICS[margin.metric])
            yield f"{second.value} would be taken if its {margin.metric} were below {below} (now {now})."


def find_average_changes(margins: Sequence[Margin], first: str, second: str) -> Iterator[str]:
    """Say which share of today's figure the second would need in all groups, all others being as they are."""
    for margin in margins:
        needed = _needed(margins, margin)
        if needed is None:
            continue
        if margin.ahead is None:
            yield _say_unknown(margin, second, first, needed)
        elif not added_to(margin.metric):  # else no share of such a figure means the same in every group
            share, _ = write_apart(math.exp(needed - margin.ahead), 1.0, lambda one, more: f"{one:.{more}%}")
            yield f"{second} would be taken if its {margin.metric} were below {share} of what it is in every group."


def _needed(margins: Sequence[Margin], changed: Margin) -> float | None:
    """Give how far ahead the first may be by one metric for the two to be level; what chance can do is not enough."""
    rest = total([margin for margin in margins if margin is not changed]) or 0.0
    needed = -rest / changed.weight
    if abs(needed) > _FAR:
        return None
    return min(needed, -math.log1p(changed.floor)) if needed <= 0 else needed


def _say_unknown(margin: Margin, second: str, first: str, needed: float) -> str:
    """Say how far a figure that nobody knows would have to go to turn the verdict."""
    times = render_factor(math.exp(-needed))
    what = "built" if METRICS.get(margin.metric) == SECONDS else "were"
    better = "as fast" if METRICS.get(margin.metric) == SECONDS else f"better in {margin.metric}"
    return f"{margin.metric} is not known: {second} would be taken if it {what} more than {times} times {better} as {first}."
