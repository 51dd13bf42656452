"""Two candidates held against each other by the preferred figures, and the one that none is ahead of.

Each figure says how many times better one candidate is than the other; what
they differ by within the noise counts as nothing. These ratios are taken to the
power of the figure's weight and multiplied. Only ratios of the two count, so
a third candidate never changes which of them is ahead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from orchestrator.judge.noise import floor_between
from orchestrator.rules import COUNT, METRICS, Preference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.judge.candidates import Candidate
    from orchestrator.record import RunRecord
    from orchestrator.rules import Choice

LEVEL = 1e-9  # what is left of a difference of logarithms that is none
_LEAST = 0.001  # what a time or a size of 0 is taken for
_MAY_BE_NONE = ("base", "over_base", "unique", "wasted")
_MEGABYTE = 1_000_000.0

T = TypeVar("T")


class Margin(Struct, frozen=True):
    """How far the first of two is ahead by one metric: the logarithm of how many times better; negative where behind."""

    metric: str
    weight: float
    ahead: float | None
    floor: float = 0.0
    why: str | None = None  # where it is unknown


def preferences_of(choice: Choice) -> tuple[Preference, ...]:
    """Give what decides; where nothing is preferred, the size does."""
    found = tuple(preference for preference in choice.prefer if math.isfinite(preference.weight) and preference.weight > 0)
    return found or (Preference("size"),)


def compare(record: RunRecord, prefer: Sequence[Preference], first: Candidate, second: Candidate) -> tuple[Margin, ...]:
    """Hold two candidates of one group against each other, figure by figure."""
    return tuple(_compare(record, preference, first, second) for preference in prefer)


def _compare(record: RunRecord, preference: Preference, first: Candidate, second: Candidate) -> Margin:
    metric = preference.metric
    one, other = first.figures[metric], second.figures[metric]
    floor = floor_between(record, metric, one, other)
    if one.value is None or other.value is None or floor.share is None:
        lacking = next((candidate for candidate, figure in ((first, one), (second, other)) if not figure.ranked), None)
        why = f"{lacking.cell.id} {lacking.figures[metric].note}" if lacking else floor.why
        return Margin(metric, preference.weight, None, why=why)
    is_chance = max(one.value, other.value) <= min(one.value, other.value) * (1 + floor.share)
    ahead = 0.0 if is_chance else _log(metric, other.value) - _log(metric, one.value)
    return Margin(metric, preference.weight, ahead, floor.share)


def _log(metric: str, value: float) -> float:
    return math.log(max(value + added_to(metric), _LEAST))


def added_to(metric: str) -> float:
    """Give what is added to figures that may well be 0: a first package or megabyte is not infinitely more than none."""
    if metric in _MAY_BE_NONE:
        return _MEGABYTE
    return 1.0 if METRICS.get(metric) == COUNT else 0.0


def average(of_groups: Sequence[Sequence[Margin]]) -> tuple[Margin, ...]:
    """Give the margins of two values over the groups in which both can be taken; unknown ones do not count."""
    found = []
    for margins in zip(*of_groups, strict=True):
        known = [margin.ahead for margin in margins if margin.ahead is not None]
        ahead = math.fsum(known) / len(known) if known else None
        found.append(Margin(margins[0].metric, margins[0].weight, ahead, max(m.floor for m in margins), margins[0].why))
    return tuple(found)


def total(margins: Sequence[Margin]) -> float | None:
    """Give the weighted sum of what is known; 0 where the two are level."""
    known = [margin.weight * margin.ahead for margin in margins if margin.ahead is not None]
    found = math.fsum(known)
    return None if not known else 0.0 if abs(found) < LEVEL else found


def factor(margins: Sequence[Margin]) -> float:
    """Give how many times better the first is, as the mean that the weights make."""
    weight = math.fsum(margin.weight for margin in margins if margin.ahead is not None)
    return math.exp((total(margins) or 0.0) / weight) if weight else 1.0


def unbeaten(candidates: Sequence[T], ahead: Callable[[T, T], float | None]) -> list[T]:
    """Give those that no other is ahead of: one is the winner, several are level with each other."""
    return [one for one in candidates if not any((ahead(other, one) or 0.0) > 0 for other in candidates if other is not one)]
