"""Simulates the scheduler: cells of pieces of work, so many at once, on so many processors; gives the time that it takes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.execute import cells_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AFTER_BUILD = ("load", "smoke", "tidy")
_DONE_S = 1e-9  # what is left of a piece that has ended, but for rounding


class Work(Struct, frozen=True):
    """A piece of a cell's work: how long it takes with the machine to itself, and how many processors are busy meanwhile.

    Pieces of one name that cells share, such as a common prefix, are done once;
    who comes later waits for the one under way, or finds it done. What comes
    after a cell is built is done beside the builds of others.
    """

    seconds: float
    cores: float = 0.0
    shared: str | None = None
    after_build: bool = False


class _Slot(Struct):
    """A cell under way: what it has left, and its piece of now."""

    left: deque[Work]
    now: Work | None = None
    remaining_s: float = 0.0

    @property
    def is_over(self) -> bool:
        """Tell whether the cell has ended."""
        return self.now is None and not self.left

    @property
    def is_built(self) -> bool:
        """Tell whether the cell has left its place to the next one."""
        piece = self.now or next(iter(self.left), None)
        return piece is None or piece.after_build


def simulate(cells: Sequence[Sequence[Work]], *, jobs: int, cpus: float) -> float:
    """Give the seconds from the start of the first cell to the end of the last.

    Pieces that go on at the same time are all slowed down alike where they ask
    for more processors than there are.
    """
    queue, slots = deque(cells), list[_Slot]()
    done: set[str] = set()
    now_s = 0.0
    while queue or slots:
        if queue and _has_room(slots, jobs):
            slots.append(_Slot(deque(queue.popleft())))
        _begin(slots, done)
        slots = [slot for slot in slots if not slot.is_over]
        if not slots or (queue and _has_room(slots, jobs)):
            continue
        active = [slot for slot in slots if slot.now]
        asked = sum(slot.now.cores for slot in active if slot.now)
        rate = min(1.0, cpus / asked) if asked else 1.0
        step_s = min(slot.remaining_s for slot in active)
        now_s += step_s / rate
        for slot in active:
            slot.remaining_s -= step_s
            if slot.remaining_s <= _DONE_S:
                done.update([slot.now.shared] if slot.now and slot.now.shared else [])
                slot.now = None
    return now_s


def _has_room(slots: Sequence[_Slot], jobs: int) -> bool:
    return len(slots) < cells_at_once(jobs) and sum(not slot.is_built for slot in slots) < jobs


def _begin(slots: Sequence[_Slot], done: set[str]) -> None:
    """Let every slot take up its next piece; one whose piece is under way elsewhere waits."""
    under_way = {slot.now.shared for slot in slots if slot.now and slot.now.shared}
    for slot in slots:
        while slot.now is None and slot.left:
            piece = slot.left[0]
            if piece.shared in under_way:
                break
            slot.left.popleft()
            if piece.seconds <= 0 or (piece.shared and piece.shared in done):
                done.update([piece.shared] if piece.shared else [])
                continue
            slot.now, slot.remaining_s = piece, piece.seconds
            under_way.update([piece.shared] if piece.shared else [])


class Model(Struct, frozen=True):
    """What a run of one kind of project costs in one state, as it was fitted.

    `cell` are the pieces of every cell with their seconds, `prefix_s` the steps
    that all cells share, `cores` how busy the machine is with one cell, and a
    run takes `before_s` and `after_s` besides, and `after_each_s` for each cell:
    its record, its traces and its part of the reports.
    """

    before_s: float
    after_s: float
    after_each_s: float
    prefix_s: float
    cell: tuple[tuple[str, float], ...]
    cores: float

    def works(self, count: int) -> Iterator[tuple[Work, ...]]:
        """Give the work of so many cells."""
        own = tuple(Work(seconds, self.cores, after_build=name in _AFTER_BUILD) for name, seconds in self.cell)
        prefix = Work(self.prefix_s, self.cores, "prefix")
        return ((prefix, *own) for _ in range(count))

    def wall_s(self, count: int, *, jobs: int, cpus: float) -> float:
        """Give the seconds of a whole run."""
        if count < 1:
            return self.before_s + self.after_s
        cells = simulate(list(self.works(count)), jobs=jobs, cpus=cpus)
        return self.before_s + cells + self.after_s + self.after_each_s * count


def solve_cores(model: Model, *, wall_s: float, count: int, jobs: int, cpus: float) -> float:
    """Find how busy one cell keeps the machine, from how long a run with several at once took: more is never quicker."""
    low, high = 0.0, cpus
    for _ in range(50):
        middle = (low + high) / 2
        tried = Model(model.before_s, model.after_s, model.after_each_s, model.prefix_s, model.cell, middle)
        if tried.wall_s(count, jobs=jobs, cpus=cpus) < wall_s:
            low = middle
        else:
            high = middle
    return (low + high) / 2
