"""A table of figures with their parts, and each row as a picture: parts side by side, all rows on one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.report.bars import UNITS
from orchestrator.report.parts import (
    SIZE_NOTE,
    SIZES,
    TIME_NOTE,
    TIMES,
    UNTOLD,
    make_size_table,
    make_time_table,
    stack_sizes,
    stack_times,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.report.parts import Stacked
    from orchestrator.report.table import Table


class Piece(Struct, frozen=True):
    """One part of a picture, and how it is drawn."""

    kind: str
    x: int
    width: int


class Bar(Struct, frozen=True):
    """One row: its texts, its picture, and the picture in words."""

    cell: CellRecord
    texts: tuple[str, ...]
    pieces: tuple[Piece, ...]
    words: str


class Stacks(Struct, frozen=True):
    """Such a table."""

    name: str
    title: str
    headers: tuple[str, ...]
    parts: tuple[tuple[str, str], ...]  # how each is drawn, and its name
    bars: tuple[Bar, ...]
    notes: tuple[str, ...]


def make_stacks(record: RunRecord) -> list[Stacks]:
    """Draw what is known of sizes and of times; a table without rows is not there."""
    sizes, times = stack_sizes(record), stack_times(record)
    drawn = [
        _draw("sizes", "Sizes by part", sizes, make_size_table(sizes), SIZES, (SIZE_NOTE,)),
        _draw("times", "Build times by part", times, make_time_table(times), TIMES, (TIME_NOTE,)),
    ]
    return [stacks for stacks in drawn if stacks.bars]


def _draw(name: str, title: str, stacked: Sequence[Stacked], table: Table, parts: Sequence[str], notes: tuple[str, ...]) -> Stacks:
    built = [one.whole for one in stacked if one.cell.image]  # a build that was cut short sets no scale
    longest = max(built or [one.whole for one in stacked], default=0)
    if any(one.whole > longest for one in stacked):
        notes = (*notes, "A bar that reaches the right edge and ends open stands for more than fits.")
    bars = tuple(
        Bar(one.cell, texts, tuple(_pieces(one, parts, longest)), _describe(table.headers, texts))
        for one, texts in zip(stacked, table.rows, strict=True)
    )
    kinds = tuple((_kind(at, part), part) for at, part in enumerate(parts, 1))
    has_untold = any(UNTOLD in header for header in table.headers)
    return Stacks(name, title, table.headers, (*kinds, *((("untold", UNTOLD),) if has_untold else ())), bars, notes)


def _kind(at: int, part: str) -> str:
    return "rest" if part == "rest" else f"part-{at}"


def _pieces(one: Stacked, parts: Sequence[str], longest: float) -> Iterator[Piece]:
    x = 0
    kinds = [_kind(at, part) for at, part in enumerate(parts, 1)]
    for kind, amount in zip((*kinds, "untold"), (*one.parts, one.untold), strict=True):
        width = int(min((amount or 0) / longest, 2.0) * UNITS) if longest else 0
        if width:
            yield Piece(kind, x, width)
            x += width


def _describe(headers: Sequence[str], texts: Sequence[str]) -> str:
    return ", ".join(f"{header} {text}" for header, text in zip(headers[1:], texts[1:], strict=True))
