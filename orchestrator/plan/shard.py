"""A part of a plan for one of several machines: stable, and balanced by what cells took the last time."""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.errors import NothingSelectedError, UsageError
from orchestrator.record import Shard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.model import Plan

MOST_SHARDS = 10_000


def parse_shard(words: str) -> tuple[int, int]:
    """Read `2/8`."""
    found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", words)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count <= MOST_SHARDS:
        message = f"--shard '{words}' is not a part such as 2/8: the second of eight, at most {MOST_SHARDS}"
        raise UsageError(message)
    return number, count


def take_shard(plan: Plan, number: int, count: int, seconds: Mapping[str, float]) -> tuple[Plan, Shard]:
    """Give a part of a plan, by what cells took the last time."""
    cells = deal(plan, count, seconds)[number - 1]
    if not cells:
        message = f"shard {number}/{count} is empty: there are {len(plan.cells)} cells, so take at most {len(plan.cells)} shards"
        raise NothingSelectedError(message)
    shard = Shard(number, count, cells)
    return keep_cells(plan, shard), shard


def keep_cells(plan: Plan, shard: Shard) -> Plan:
    """Give the cells of a part; the excluded ones go with the first, so that all parts together have them once."""
    mine = set(shard.cells)
    return replace(
        plan, cells=tuple(cell for cell in plan.cells if cell.id in mine), excluded=plan.excluded if shard.number == 1 else ()
    )


def deal(plan: Plan, count: int, seconds: Mapping[str, float]) -> Sequence[tuple[str, ...]]:
    """Deal all cells out: what takes longest first, each to whoever has least to do; one nobody timed is like the others."""
    usual = median(seconds.values()) if seconds else 1.0
    order = {cell.id: at for at, cell in enumerate(plan.cells)}
    hands: list[list[str]] = [[] for _ in range(count)]
    loads = [0.0] * count
    for cell in sorted(order, key=lambda cell: (-seconds.get(cell, usual), order[cell])):
        least = min(range(count), key=lambda at: (loads[at], len(hands[at]), at))
        hands[least].append(cell)
        loads[least] += seconds.get(cell, usual)
    return [tuple(sorted(hand, key=order.__getitem__)) for hand in hands]
