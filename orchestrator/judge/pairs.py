"""Which cells a claim compares: those that differ in nothing but what its two sides name."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from orchestrator.model import Status
from orchestrator.plan.expand import matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.record import CellRecord
    from orchestrator.rules import Claim, Where

MOST_PAIRS = 10_000  # of one claim: two sides that name many values of an axis each give their product
Place = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Two cells to compare, or one by itself; `place` is what they have in common."""

    left: CellRecord
    right: CellRecord | None
    place: Place


@dataclass(frozen=True, slots=True)
class Matches:
    """All that a claim compares, whatever the order of the cells, and how many cells have no counterpart."""

    found: tuple[Match, ...]
    alone: int = 0
    left_out: int = 0


def find_matches(cells: Sequence[CellRecord], claim: Claim) -> Matches:
    """Pair the cells of both sides; without a right side each cell of the left is one match."""
    tried = sorted((cell for cell in cells if cell.status is not Status.EXCLUDED), key=lambda cell: cell.id)
    lefts = [cell for cell in tried if _is_in(claim.left, cell)]
    if claim.right is None:
        return _bounded(iter([Match(cell, None, _place_of(cell, frozenset())) for cell in lefts]))
    compared = compared_axes(claim.left, claim.right)
    partners: dict[Place, list[CellRecord]] = {}
    for cell in tried:
        if _is_in(claim.right, cell):
            partners.setdefault(_place_of(cell, compared), []).append(cell)
    places = {_place_of(cell, compared) for cell in lefts}
    alone = sum(_place_of(cell, compared) not in partners for cell in lefts)
    alone += sum(len(found) for place, found in partners.items() if place not in places)
    return _bounded(_pair(lefts, partners, compared), alone)


def compared_axes(left: Where, right: Where) -> frozenset[str]:
    """Give the axes on which the sides may differ: those for which both name values, and not the same ones.

    An axis that one side names, or both with the same values, only says where
    to look: there both cells are equal, as on the axes that no side names.
    """
    return frozenset(axis for axis in left if axis in right and set(left[axis]) != set(right[axis]))


def _is_in(where: Where, cell: CellRecord) -> bool:
    return matches(where, tuple(cell.axes.items()))


def _place_of(cell: CellRecord, compared: frozenset[str]) -> Place:
    return tuple((axis, value) for axis, value in sorted(cell.axes.items()) if axis not in compared)


def _pair(lefts: Sequence[CellRecord], partners: dict[Place, list[CellRecord]], compared: frozenset[str]) -> Iterator[Match]:
    for left in lefts:
        place = _place_of(left, compared)
        yield from (Match(left, right, place) for right in partners.get(place, ()) if right.id != left.id)


def _bounded(found: Iterator[Match], alone: int = 0) -> Matches:
    first = tuple(islice(found, MOST_PAIRS))
    return Matches(first, alone, sum(1 for _ in islice(found, MOST_PAIRS)))
