"""Two cells' steps side by side: the same instruction first, then the same place in the Dockerfile."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.digests import DIGEST
from orchestrator.tracing.waterfall import COSTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.tracing.waterfall import Row, Waterfall

_BY_DIGEST = re.compile(rf"@{DIGEST}\b")


class Pair(Struct, frozen=True):
    """A step of one cell and what the other has in its place, if anything."""

    left: Row | None
    right: Row | None

    @property
    def difference_ns(self) -> int:
        """Give how much longer the left one took, in all and wherever it ran."""
        return (self.left.whole_ns if self.left else 0) - (self.right.whole_ns if self.right else 0)


class Comparison(Struct, frozen=True):
    """How the time of one cell differs from that of another; a difference is left minus right."""

    left: Waterfall
    right: Waterfall
    steps: tuple[Pair, ...]

    @property
    def difference_ns(self) -> int:
        """Give how much longer the left cell took."""
        return self.left.wall_ns - self.right.wall_ns

    @property
    def parts(self) -> dict[str, tuple[int | None, int | None]]:
        """Give what each part cost on either side; None where a cell has no such part."""
        sides = self.left.parts, self.right.parts
        return {cost: (sides[0].get(cost), sides[1].get(cost)) for cost in COSTS if cost in sides[0] or cost in sides[1]}


def compare(left: Waterfall, right: Waterfall) -> Comparison:
    """Pair the steps of two cells, in the order of the left one; what only the right one has follows what it follows there."""
    lefts, rights = left.steps, right.steps
    partner = _pair_up(lefts, rights)
    alone: dict[int, list[Pair]] = defaultdict(list)
    taken = {at_right: at_left for at_left, at_right in partner.items()}
    after = -1
    for at, step in enumerate(rights):
        if at in taken:
            after = taken[at]
        else:
            alone[after].append(Pair(None, step))
    steps = alone[-1]
    for at, step in enumerate(lefts):
        steps += [Pair(step, rights[partner[at]] if at in partner else None), *alone[at]]
    return Comparison(left, right, tuple(steps))


def instruction_of(step: Row) -> str:
    """Give what a step does, without the digest of a base: that says nothing about the Dockerfile."""
    return _BY_DIGEST.sub("", " ".join((step.instruction or step.name).split()))


def _pair_up(lefts: Sequence[Row], rights: Sequence[Row]) -> dict[int, int]:
    """Give each step on the left the place of its partner, the surest likeness first, in order where several are alike."""
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for likeness in _LIKENESSES:
        free: dict[tuple[str | None, ...], deque[int]] = defaultdict(deque)
        for at, step in enumerate(rights):
            if at not in taken:
                free[likeness(step)].append(at)
        for at, step in enumerate(lefts):
            if at not in partner and free[likeness(step)]:
                partner[at] = free[likeness(step)].popleft()
                taken.add(partner[at])
    return partner


def _keyword_and_command(step: Row) -> tuple[str, str]:
    """Give the first words that say something: RUN and pip, COPY and the file; flags do not."""
    keyword, *words = instruction_of(step).split()[:20] or [""]
    return keyword.upper(), next((word for word in words if not word.startswith("--")), "")


_LIKENESSES: tuple[Callable[[Row], tuple[str | None, ...]], ...] = (
    lambda step: (step.stage, instruction_of(step)),
    lambda step: (instruction_of(step),),
    lambda step: (step.stage, *_keyword_and_command(step)),
    _keyword_and_command,
    lambda step: (step.stage, _keyword_and_command(step)[0]),
)
