"""A run as people read it in a terminal: the verdict, the table, and what was judged."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from orchestrator.report.foretold import render_foretold
from orchestrator.report.gates import render_gate
from orchestrator.report.judged import (
    bounded_evidence,
    claim_evidence,
    gate_word,
    make_diagnosis,
    make_reasons,
    make_verdict,
    name_cells,
    say_group,
    unexplained,
)
from orchestrator.report.table import SEVERITIES, Table, make_heading, make_notes, make_table
from orchestrator.report.timing import RELATIVE
from orchestrator.smoke.words import one_line
from orchestrator.units import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.record import CellRecord, RunRecord

_SHORT = {
    "compressed MB": "compr.\nMB",
    "unpacked MB": "unpack.\nMB",
    "over base MB": "+base\nMB",
    "wasted MB": "waste\nMB",
    "unique MB": "unique\nMB",
    "packages": "pack-\nages",
    **{severity: severity for severity in SEVERITIES},
    "build s": "build\ns",
    "alone s": "alone\ns",
    "relative size": "rel.\nsize",
    **{f"{name} s": f"{name}\ns" for name in ("cold", "cached", "code", "deps")},
    "relative time": "rel.\ntime",
}
# what a narrow terminal does without, in this order
_DROPPED_FIRST = (
    *reversed(SEVERITIES), "packages", "unique MB", "alone s", "unpacked MB", "smoke", "wasted MB", "over base MB",
)  # fmt: skip
_DROPPED_IF_MEASURED = ("build s", RELATIVE)
_MOST_LINES = 3  # of evidence for one thing
_REASON = -1  # the last column, which stands below the table
_BEGINS = re.compile(r"^(?:[-+](?=\s|$)|[-=]+(?=$)|(?P<number>\d{1,9})(?=[.)](?:\s|$)))")  # items, rules, headings above a line
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~#&])")


def render_terminal(record: RunRecord, width: int, typed: str = "") -> str:
    """Draw the table within a width; reasons stand below, where they have room. `typed` is what names the run after a command."""
    typed = typed or record.id
    table = make_table(record)
    drawn, shown = _draw(table, width)
    left_out = [name for at, name in enumerate(table.headers[:_REASON]) if at not in shown]
    lines = [*wrap_lines([make_verdict(record)], width), "", *wrap_lines(make_heading(record), width), "", *drawn, ""]
    if reasons := _reasons(record):
        lines += [*wrap_lines(reasons, width), ""]
    if left_out:
        hint = f"`matrix report {typed} --format markdown` has all."
        lines += wrap_lines([one_line(f"Not shown in {width} columns: {', '.join(left_out)}; {hint}")], width)
    lines += [*wrap_lines(make_notes(record), width), "", *_judgement(record, width, typed), *render_foretold(record, width)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _draw(table: Table, width: int) -> tuple[list[str], list[int]]:
    """Draw the table with as many columns as fit, or, where too few would be left, a paragraph for each cell; say which columns."""
    from tabulate import tabulate  # noqa: PLC0415  # only reports need it

    names, outcome = table.headers, table.axes
    shown = [*range(len(names))][:_REASON]
    for dropped in (None, *_DROPPED_FIRST, *(_DROPPED_IF_MEASURED if RELATIVE in names else ())):
        shown = [at for at in shown if at < table.axes or names[at] != dropped]
        headers = [names[at] if at < table.axes else _SHORT.get(names[at], names[at]) for at in shown]
        align = ["right" if table.is_figure(at) else "left" for at in shown]
        rows = [[row[at] for at in shown] for row in table.rows]
        drawn = tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True, colalign=align)
        if max(map(len, drawn.splitlines())) <= width:
            return drawn.splitlines(), shown
    lines = [
        f"{'-'.join(row[:outcome])}: {row[outcome]}"
        + "".join(f"; {names[at]} {row[at]}" for at in shown if at > outcome and row[at] != UNKNOWN)
        for row in table.rows
    ]
    return wrap_lines(lines, width), shown


def _judgement(record: RunRecord, width: int, typed: str) -> list[str]:
    """Draw what was judged as paragraphs, which fit any width."""
    parts = (
        ("Claims", list(_claims(record))),
        ("Gates", list(_gates(record))),
        ("Decision", list(_decision(record))),
        ("Diagnosis", list(_diagnosis(record, typed))),
    )
    return [
        line
        for title, lines in parts
        if lines
        for line in (title, *(part for depth, text in lines for part in wrap_lines([text], width, "  " * depth)), "")
    ]


def _claims(record: RunRecord) -> Iterator[tuple[int, str]]:
    for claim in record.claims:
        yield 1, one_line(f"{claim.verdict}: {claim.say}{' (must hold)' if claim.must else ''}")
        yield from ((2, line) for line in claim_evidence(claim)[:_MOST_LINES])


def _gates(record: RunRecord) -> Iterator[tuple[int, str]]:
    """Give the gates that did not hold, one by one, and count the others."""
    for gate in record.gates:
        if not gate.passed:
            yield 1, f"{gate_word(gate)}: {render_gate(gate)}"
    if held := sum(gate.passed is True for gate in record.gates):
        yield 1, f"passed: {held} of {len(record.gates)}"


def _decision(record: RunRecord) -> Iterator[tuple[int, str]]:
    for group in record.decision.per_group if record.decision else ():
        where = ", ".join(f"{axis} {value}" for axis, value in group.axes.items()) or "all cells"
        rather = f", rather than {group.runner_up}" if group.runner_up else ""
        yield 1, one_line(f"{where}: {f'take {group.winner}{rather}' if group.winner else 'none is named'}")
        yield from ((2, line) for line in say_group(group)[:_MOST_LINES])
    yield from ((1, line) for line in make_reasons(record))


def _diagnosis(record: RunRecord, typed: str) -> Iterator[tuple[int, str]]:
    for one in make_diagnosis(record):
        if one.finding is None:
            yield 1, f"{name_cells(one.cells)}: {unexplained(record, one.cells, typed)}"
            continue
        yield 1, one_line(f"{name_cells(one.cells)}: {one.finding.title}")
        yield from ((2, f"| {line}") for line in list(bounded_evidence(one.finding))[:_MOST_LINES])
        yield 2, one_line(f"Remedy: {one.finding.remedy}")


def _reasons(record: RunRecord) -> list[str]:
    """Give each reason once, with the first of its cells: many cells often share one."""
    cells: dict[str, list[CellRecord]] = {}
    for cell, row in zip(record.cells, make_table(record).rows, strict=True):
        if row[_REASON]:
            cells.setdefault(row[_REASON], []).append(cell)
    return [f"{name_cells(alike)}: {reason}" for reason, alike in cells.items()]


def wrap_lines(lines: Sequence[str], width: int, indent: str = "") -> list[str]:
    """Lay each text out within a width, from its second line on a little further in."""
    room, further = max(width, 20), f"{indent}  "
    return [part for line in lines for part in textwrap.wrap(line, room, initial_indent=indent, subsequent_indent=further) or [""]]


def escape_markdown(text: str) -> str:
    """Make text stand for itself in a table cell, or within a line."""
    line = " ".join(text.split())
    return _MARKDOWN.sub(r"\\\1", line) if line != UNKNOWN else line


def escape_line(text: str) -> str:
    """Make text stand for itself also where it begins a line or an item: what a shell traces begins with a plus."""
    return _BEGINS.sub(lambda found: f"{found[0]}\\" if found["number"] else f"\\{found[0]}", escape_markdown(text))
