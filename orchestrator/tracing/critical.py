"""The critical path: which pieces of work a stretch of time was waiting for, so that their times add up to it exactly."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TOUCH_NS = 10_000_000  # pieces that overlap or stand apart by up to this follow upon each other; the rest is book-keeping


class Piece(Struct, frozen=True):
    """A piece of work: when it went on, what its time counts as, and the place of the piece that it is part of."""

    start_ns: int
    end_ns: int
    part: str
    within: int | None = None


class CriticalPath(Struct, frozen=True):
    """How much of each piece lies on the path (with the pieces in it), and what each part costs; the costs are the whole time."""

    pieces_ns: tuple[int, ...]
    parts_ns: dict[str, int]


class _Stretch(Struct, frozen=True):
    """A piece's time on the path, or nobody's; a piece that only went on meanwhile is not looked into."""

    place: int | None
    start_ns: int
    end_ns: int
    look_into: bool = False


def find_critical_path(pieces: Sequence[Piece], wall_ns: int, idle: str) -> CriticalPath:
    """Walk back from the end: what ended last was waited for, then what ended last before that began, and so on.

    Time between two pieces counts as a piece that went on meanwhile, or as the
    part of the piece that both belong to, or as `idle` when there is none.
    """
    inner: dict[int | None, list[int]] = {}
    for place, piece in enumerate(pieces):
        inner.setdefault(piece.within, []).append(place)
    on_path = [0] * len(pieces)
    costs: Counter[str] = Counter()
    left = [_Stretch(None, 0, wall_ns, look_into=True)]
    while left:
        whole = left.pop()
        for stretch in _walk_back(pieces, inner.get(whole.place, ()), whole):
            if stretch.place is not None:
                on_path[stretch.place] += stretch.end_ns - stretch.start_ns
            if stretch.look_into:
                left.append(stretch)
                continue
            owner = whole.place if stretch.place is None else stretch.place
            costs[idle if owner is None else pieces[owner].part] += stretch.end_ns - stretch.start_ns
    return CriticalPath(tuple(on_path), dict(costs))


def _walk_back(pieces: Sequence[Piece], places: Iterable[int], whole: _Stretch) -> Iterator[_Stretch]:
    """Cut a stretch into what was waited for, last first; none of it is left out and none is given twice."""
    cut = [(min(pieces[place].end_ns, whole.end_ns), max(pieces[place].start_ns, whole.start_ns), place) for place in places]
    moment = whole.end_ns
    meanwhile: tuple[int, int] | None = None  # of the pieces that went on beyond this moment, the one that began first
    for end, start, place in sorted(cut, key=lambda one: (-one[0], one[1], one[2])):
        ended = min(end, moment)
        if start >= ended:
            continue
        if end > moment + TOUCH_NS:
            meanwhile = min(meanwhile or (start, place), (start, place))
            continue
        yield from _fill(ended, moment, meanwhile)
        yield _Stretch(place, start, ended, look_into=True)
        moment = start
    yield from _fill(whole.start_ns, moment, meanwhile)


def _fill(start_ns: int, end_ns: int, meanwhile: tuple[int, int] | None) -> Iterator[_Stretch]:
    """Give a gap to what went on meanwhile, as far as it did."""
    if meanwhile is not None and end_ns - start_ns > TOUCH_NS and meanwhile[0] < end_ns:
        began = max(start_ns, meanwhile[0])
        yield _Stretch(meanwhile[1], began, end_ns)
        end_ns = began
    if start_ns < end_ns:
        yield _Stretch(None, start_ns, end_ns)
