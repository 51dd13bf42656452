"""Which cells a claim compares: those that differ in nothing but what its two sides name."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.judge.words import order_axes
from orchestrator.model import Status
from orchestrator.plan.expand import matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.rules import Claim, Where

MOST_PAIRS = 10_000  # of one claim: two sides that name many values of an axis each give their product
Place = tuple[tuple[str, str], ...]


class Match(Struct, frozen=True):
    """Two cells to compare, or one by itself; `place` is what they have in common."""

    left: CellRecord
    right: CellRecord | None
    place: Place


class Matches(Struct, frozen=True):
    """All that a claim compares, whatever the order of the cells, and how many cells have no counterpart."""

    found: tuple[Match, ...]
    alone: int = 0
    left_out: int = 0


def find_matches(record: RunRecord, claim: Claim) -> Matches:
    """Pair the cells of both sides; without a right side each cell of the left is one match."""
    tried = sorted((cell for cell in record.cells if cell.status is not Status.EXCLUDED), key=lambda cell: cell.id)
    if claim.right is None:
        found = [cell for cell in tried if _is_in(claim.left, cell)]
        return _bounded(iter([Match(cell, None, order_axes(cell.axes, record.axes)) for cell in found]))
    compared = _compared_axes(claim.left, claim.right)
    looked_at = [{axis: values for axis, values in side.items() if axis not in compared} for side in (claim.left, claim.right)]
    tried = [cell for cell in tried if all(_is_in(where, cell) for where in looked_at)]
    sides: list[dict[Place, list[CellRecord]]] = [{}, {}]
    for where, places in zip((claim.left, claim.right), sides, strict=True):
        for cell in tried:
            if _is_in(where, cell):
                places.setdefault(order_axes(cell.axes, record.axes, compared), []).append(cell)
    lefts, rights = sides
    alone = sum(
        len(cells) for one, other in ((lefts, rights), (rights, lefts)) for place, cells in one.items() if place not in other
    )
    pairs = (
        Match(left, right, place)
        for place in sorted(lefts)
        for left in lefts[place]
        for right in rights.get(place, ())
        if left.id != right.id
    )
    return _bounded(pairs, alone)


def _compared_axes(left: Where, right: Where) -> frozenset[str]:
    """Give the axes on which the sides may differ: those for which both name values, and not the same ones.

    An axis that one side names, or both with the same values, only says where
    to look: there both cells are equal, as on the axes that no side names.
    """
    return frozenset(axis for axis in left if axis in right and set(left[axis]) != set(right[axis]))


def _is_in(where: Where, cell: CellRecord) -> bool:
    return matches(where, tuple(cell.axes.items()))


def _bounded(found: Iterator[Match], alone: int = 0) -> Matches:
    first = tuple(islice(found, MOST_PAIRS))
    return Matches(first, alone, sum(1 for _ in islice(found, MOST_PAIRS)))
