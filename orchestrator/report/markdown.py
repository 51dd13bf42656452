"""A run as Markdown: blocks that stand by themselves, so that one can be put elsewhere, or left out where room is short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.report.foretold import make_foretold
from orchestrator.report.judged import (
    bounded_evidence,
    make_claims,
    make_diagnosis,
    make_gates,
    make_groups,
    make_reasons,
    make_verdict,
    unexplained,
)
from orchestrator.report.links import make_trace_links
from orchestrator.report.parts import (
    SIZE_NOTE,
    TIME_NOTE,
    make_size_table,
    make_time_table,
    stack_sizes,
    stack_times,
)
from orchestrator.report.table import Table, make_heading, make_notes, make_table
from orchestrator.report.text import escape_line, escape_markdown
from orchestrator.smoke.words import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.record import CellRecord, RunRecord

_MOST_CELLS = 20  # named for one cause


class Block(Struct, frozen=True):
    """A part of a report. Its items are whole without each other: rows below a table's head, paragraphs or list items."""

    name: str
    title: str | None
    head: tuple[str, ...]
    items: tuple[str, ...]
    foot: tuple[str, ...] = ()
    urgent: frozenset[int] = frozenset()  # the items to keep first

    def render(self, kept: Sequence[int] | None = None) -> list[str]:
        """Write the block, or it with some of its items."""
        items = self.items if kept is None else [self.items[at] for at in kept]
        title = [f"## {self.title}", ""] if self.title else []
        return [*title, *self.head, *items, *(("", *self.foot) if self.foot else ())]


def render_markdown(record: RunRecord) -> str:
    """Write a run; nothing that an image said can become markup."""
    lines = [f"# {escape_markdown(one_line(record.name))}"]
    for block in make_blocks(record):
        lines += ["", *block.render()]
    return "\n".join(lines) + "\n"


def make_blocks(record: RunRecord) -> list[Block]:
    """Give all that a report says, in its order: the verdict, the table, and what it rests on."""
    notes = tuple(f"- {escape_line(note)}" for note in make_notes(record))
    blocks = [
        Block("verdict", None, (), (escape_line(make_verdict(record)),)),
        Block("run", None, (), tuple(f"{escape_line(line)}  " for line in make_heading(record))),
        _make_comparison(record),
        Block("notes", None, (), notes),
        _of_table("claims", "Claims", make_claims(record)),
        _of_table("gates", "Gates", make_gates(record)),
        _make_decision(record),
        Block("diagnosis", "Diagnosis", (), tuple(_diagnosis(record))),
        _of_table("sizes", "Sizes by part", _filled(make_size_table(stack_sizes(record))), (SIZE_NOTE,)),
        _of_table("times", "Build times by part", _filled(make_time_table(stack_times(record))), (TIME_NOTE,)),
        _of_table("foretold", "Foretold and happened", make_foretold(record)),
    ]
    return [block for block in blocks if block is not None and (block.items or block.head)]


def _filled(table: Table) -> Table | None:
    return table if table.rows else None


def _make_comparison(record: RunRecord) -> Block:
    table, links = make_table(record), make_trace_links(record)
    is_linked = any(links)
    ends = [f" {f'[trace](<{link}>)' if link else ''} |" * is_linked for link in links]
    head = _head_of(table)
    return Block(
        "table",
        None,
        (head[0] + " trace |" * is_linked, head[1] + " --- |" * is_linked),
        tuple(_row_of(row) + end for row, end in zip(table.rows, ends, strict=True)),
        urgent=frozenset(at for at, cell in enumerate(record.cells) if not cell.as_expected),
    )


def _of_table(name: str, title: str, table: Table | None, notes: Sequence[str] = ()) -> Block | None:
    if table is None:
        return None
    foot = tuple(escape_line(note) for note in notes)
    return Block(name, title, tuple(_head_of(table)), tuple(map(_row_of, table.rows)), foot)


def render_table(table: Table) -> list[str]:
    """Write a table as lines of Markdown."""
    return [*_head_of(table), *map(_row_of, table.rows)]


def _head_of(table: Table) -> list[str]:
    rule = "|" + "|".join(" ---: " if table.is_figure(at) else " --- " for at in range(len(table.headers))) + "|"
    return [_row_of(table.headers), rule]


def _row_of(texts: Sequence[str]) -> str:
    return "| " + " | ".join(map(escape_markdown, texts)) + " |"


def _make_decision(record: RunRecord) -> Block | None:
    groups, reasons = make_groups(record), tuple(f"- {escape_line(line)}" for line in make_reasons(record))
    if groups is None:
        return Block("decision", "Decision", (), reasons) if reasons else None
    return Block("decision", "Decision", tuple(_head_of(groups)), tuple(map(_row_of, groups.rows)), reasons)


def _diagnosis(record: RunRecord) -> Iterator[str]:
    for one in make_diagnosis(record):
        names = _named(one.cells)
        if one.finding is None:
            yield f"- {names}: {escape_markdown(unexplained(record, one.cells))}"
            continue
        lines = [f"- {escape_line(one_line(one.finding.title))} ({names})"]
        lines += [f"  - {escape_line(line)}" for line in bounded_evidence(one.finding) if line]
        yield "\n".join([*lines, f"  - Remedy: {escape_markdown(one_line(one.finding.remedy))}"])


def _named(cells: Sequence[CellRecord]) -> str:
    more = f" and {len(cells) - _MOST_CELLS} more" if len(cells) > _MOST_CELLS else ""
    return ", ".join(escape_markdown(one_line(cell.id)) for cell in cells[:_MOST_CELLS]) + more
