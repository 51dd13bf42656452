"""Periods of time: what they cover together, and what is left of them without others."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Period = tuple[datetime, datetime]


def merge(periods: Iterable[Period]) -> list[Period]:
    """Give the same time in periods that neither touch nor overlap, in order."""
    found: list[Period] = []
    for first, last in sorted(period for period in periods if period[0] < period[1]):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def covered_s(periods: Iterable[Period]) -> float:
    """Add up the seconds that any of the periods covers, overlaps once."""
    return sum((last - first).total_seconds() for first, last in merge(periods)) or 0.0  # a figure, also of none


def without(periods: Sequence[Period], others: Sequence[Period]) -> list[Period]:
    """Give what is left of the periods where none of the others is."""
    left = merge(periods)
    for begin, end in merge(others):
        left = [
            piece for first, last in left for piece in ((first, min(last, begin)), (max(first, end), last)) if piece[0] < piece[1]
        ]
    return left
