"""A cell's waterfall as a page draws it: each row's words and where its bar lies, cut to the rows that say most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.smoke.words import one_line, shorten
from orchestrator.tracing.waterfall import StepOutcome, brief_name
from orchestrator.units import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.tracing.waterfall import Row, Waterfall

UNITS = 1_000_000  # the width of a whole waterfall
_TICKS = 4
_DEEPEST = 9  # what is deeper is drawn as deep
_LONGEST_NAME = 1000
_TINY_NS = 5_000_000  # what is written as 0.00


class Bar(Struct, frozen=True):
    """One row. Its classes say how it is drawn: how deep, how deep among rows that are no detail, and what kind it is."""

    name: str
    classes: str
    is_critical: bool
    seconds: str
    x: int
    width: int
    marks: tuple[str, ...]  # its kind in words
    where: str | None  # where it ran when that was elsewhere
    why: str | None
    tip: str


class Cost(Struct, frozen=True):
    """What a part of a cell's time cost."""

    part: str
    seconds: str
    share: str
    most: bool
    x: int
    width: int


class Chart(Struct, frozen=True):
    """A waterfall to be drawn."""

    wall_s: float
    bars: tuple[Bar, ...]
    details: int
    left_out: int
    ticks: tuple[str, ...]
    costs: tuple[Cost, ...]
    from_progress: bool


def make_chart(waterfall: Waterfall, limit: int) -> Chart:
    """Lay a waterfall out, with no more rows than the limit."""
    kept = _choose(waterfall.rows, limit)
    rows = [waterfall.rows[place] for place in kept]
    told = _told_below(rows)
    brief = _brief_depths(rows)
    bars = tuple(
        _make_bar(row, depth, waterfall.wall_ns, why=not is_told) for row, depth, is_told in zip(rows, brief, told, strict=True)
    )
    wall = waterfall.wall_s
    return Chart(
        wall_s=wall,
        bars=bars,
        details=sum(row.detail for row in rows),
        left_out=len(waterfall.rows) - len(rows),
        ticks=tuple(f"{wall * tick / _TICKS:.1f} s" for tick in range(_TICKS + 1)),
        costs=tuple(_make_costs(waterfall)),
        from_progress=waterfall.from_progress,
    )


def _choose(rows: Sequence[Row], limit: int) -> list[int]:
    """Keep the rows that say most, each with those above it: no details, then errors, the critical path, and what took long."""
    if len(rows) <= limit:
        return list(range(len(rows)))
    parents: list[int] = []
    above: list[int] = []
    for place, row in enumerate(rows):
        del above[row.depth :]
        parents.append(above[-1] if above else place)
        above.append(place)
    kept = {0}
    first = sorted(range(len(rows)), key=lambda place: _weight(rows[place]))
    for place in first[: 4 * limit]:
        chain: list[int] = []
        at = place
        while at not in kept and len(chain) < limit:
            chain.append(at)
            at = parents[at]
        if len(kept) + len(chain) <= limit:
            kept.update(chain)
    return sorted(kept)


def _weight(row: Row) -> tuple[bool, bool, bool, int]:
    return row.detail, row.error is None, not row.is_critical, -row.duration_ns


def _told_below(rows: Sequence[Row]) -> list[bool]:
    """Tell of each row whether a later one gives the same reason: it is said once, where it came from."""
    seen: set[str] = set()
    told = []
    for row in reversed(rows):
        told.append(row.error in seen)
        if row.error is not None:
            seen.add(row.error)
    return told[::-1]


def _brief_depths(rows: Sequence[Row]) -> list[int]:
    depths = []
    above: list[Row] = []
    for row in rows:
        while above and above[-1].depth >= row.depth:
            above.pop()
        depths.append(len(above))
        if not row.detail:
            above.append(row)
    return depths


def _make_bar(row: Row, brief_depth: int, wall_ns: int, *, why: bool) -> Bar:
    name = one_line(row.name[: 4 * _LONGEST_NAME])[:_LONGEST_NAME]
    x = row.start_ns * UNITS // wall_ns if wall_ns else 0
    end = (row.start_ns + row.duration_ns) * UNITS // wall_ns if wall_ns else UNITS
    return Bar(
        name=shorten(brief_name(name)) or "(no name)",
        classes=" ".join(["bar", f"d{min(row.depth, _DEEPEST)}", f"b{min(brief_depth, _DEEPEST)}", *_kinds(row)]),
        is_critical=row.is_critical,
        seconds=f"{row.duration_s:.2f}",
        x=x,
        width=max(end - x, 1),
        marks=tuple(_marks(row)),
        where=_where(row),
        why=shorten(row.error) if row.error and why else None,
        tip="\n".join(_describe(row, name)),
    )


def _kinds(row: Row) -> Iterator[str]:
    if row.is_critical:
        yield "critical"
    if row.error is not None:
        yield "failed"
    if row.outcome in (StepOutcome.CACHED, StepOutcome.JOINED):
        yield str(row.outcome)
    if row.detail:
        yield "detail"


def _marks(row: Row) -> Iterator[str]:
    if row.error is not None:
        yield "✗ failed"
    if row.outcome == StepOutcome.CACHED:
        yield "cached"
    if row.outcome == StepOutcome.JOINED:
        yield "joined"


def _where(row: Row) -> str | None:
    if not row.ran_in:
        return None
    in_all = f", {row.whole_s:.2f} s in all" if row.whole_ns - row.duration_ns >= _TINY_NS else ""
    return f"ran in {shorten(row.ran_in)}{in_all}"


def _describe(row: Row, name: str) -> Iterator[str]:
    """Say all that is known of a row."""
    yield name
    yield f"{row.duration_s:.3f} s, from {row.start_s:.3f} to {row.start_s + row.duration_s:.3f} s"
    if row.whole_ns - row.duration_ns >= _TINY_NS:
        yield f"{row.whole_s:.3f} s in all: it began before the cell did, or ended after it"
    if row.is_critical:
        yield f"{row.critical_s:.3f} s of it on the critical path"
    about = [("part", row.part), ("stage", row.stage), ("outcome", row.outcome), ("ran in", row.ran_in)]
    known = [f"{label} {shorten(value)}" for label, value in about if value]
    if known:
        yield ", ".join(known)
    if row.error:
        yield shorten(row.error)


def _make_costs(waterfall: Waterfall) -> Iterator[Cost]:
    """Say what each part cost; together they are the whole."""
    before = 0
    most = max(waterfall.parts, key=lambda part: waterfall.parts[part], default=None)
    wall = waterfall.wall_ns
    for part, cost in waterfall.parts.items():
        x, before = before, before + cost
        share = f"{100 * cost / wall:.1f} %" if wall else UNKNOWN
        place, width = (x * UNITS // wall, cost * UNITS // wall) if wall else (0, 0)
        yield Cost(part, f"{cost / 1e9:.2f}", share, part == most, place, width)
