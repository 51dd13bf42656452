"""The table as people read it: in a terminal, and as Markdown."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from orchestrator.report.foretold import make_foretold, render_foretold
from orchestrator.report.links import make_trace_links
from orchestrator.report.table import SEVERITIES, Table, make_heading, make_notes, make_table
from orchestrator.smoke.words import one_line
from orchestrator.units import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.record import RunRecord

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
_DROPPED_FIRST = (*reversed(SEVERITIES), "packages", "unique MB", "alone s", "unpacked MB", "smoke", "wasted MB", "over base MB")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~#&])")


def render_terminal(record: RunRecord, width: int) -> str:
    """Draw the table within a width; reasons stand below, where they have room."""
    from tabulate import tabulate  # noqa: PLC0415  # only reports need it

    table = make_table(record)
    shown = [name for name in table.headers if name != "reason"]
    drawn = ""
    for dropped in (None, *_DROPPED_FIRST):
        shown = [name for name in shown if name != dropped]
        headers = [_SHORT.get(name, name) for name in shown]
        drawn = tabulate(_columns(table, shown), headers=headers, tablefmt="simple", disable_numparse=True, colalign=_align(shown))
        if max(map(len, drawn.splitlines())) <= width:
            break
    left_out = [name for name in table.headers if name not in shown and name != "reason"]
    lines = [*wrap_lines(make_heading(record), width), "", drawn, ""]
    if reasons := _reasons(record):
        lines += [*wrap_lines(reasons, width), ""]
    if foretold := render_foretold(record, width):
        lines += [*foretold, ""]
    if left_out:
        lines += wrap_lines(
            [f"Not shown in {width} columns: {', '.join(left_out)}; `matrix report --format markdown` has all."], width
        )
    return "\n".join([*lines, *wrap_lines(make_notes(record), width)]) + "\n"


def _columns(table: Table, shown: list[str]) -> list[list[str]]:
    places = [table.headers.index(name) for name in shown]
    return [[row[place] for place in places] for row in table.rows]


def _align(shown: list[str]) -> list[str]:
    return ["right" if name in _SHORT else "left" for name in shown]


def _reasons(record: RunRecord) -> list[str]:
    """Give each reason once, with the first of its cells: many cells often share one."""
    table = make_table(record)
    place = table.headers.index("reason")
    cells: dict[str, list[str]] = {}
    for cell, row in zip(record.cells, table.rows, strict=True):
        if row[place]:
            cells.setdefault(row[place], []).append(one_line(cell.id))
    return [f"{ids[0]}{f' and {len(ids) - 1} more' if len(ids) > 1 else ''}: {reason}" for reason, ids in cells.items()]


def wrap_lines(lines: Sequence[str], width: int, indent: str = "") -> list[str]:
    """Lay each text out within a width, from its second line on a little further in."""
    room, further = max(width, 20), f"{indent}  "
    return [part for line in lines for part in textwrap.wrap(line, room, initial_indent=indent, subsequent_indent=further) or [""]]


def render_markdown(record: RunRecord) -> str:
    """Write the table as Markdown; nothing that an image said can become markup."""
    table = make_table(record)
    links = make_trace_links(record)
    heading = make_heading(record)
    lines = [f"# {escape_markdown(one_line(record.name))}", "", *(f"{escape_markdown(line)}  " for line in heading), ""]
    lines.append("| " + " | ".join(map(escape_markdown, table.headers)) + " |" + " trace |" * any(links))
    lines.append("|" + "|".join(" ---: " if name in _SHORT else " --- " for name in table.headers) + "|" + " --- |" * any(links))
    ends = [f" {f'[trace](<{link}>)' if link else ''} |" * any(links) for link in links]
    lines += ["| " + " | ".join(map(escape_markdown, row)) + " |" + end for row, end in zip(table.rows, ends, strict=True)]
    if foretold := make_foretold(record):
        lines += [
            "",
            "## Foretold and happened",
            "",
            "| " + " | ".join(foretold.headers) + " |",
            "|" + " --- |" * len(foretold.headers),
        ]
        lines += ["| " + " | ".join(map(escape_markdown, row)) + " |" for row in foretold.rows]
    lines += ["", *(f"- {escape_markdown(note)}" for note in make_notes(record))]
    return "\n".join(lines) + "\n"


def escape_markdown(text: str) -> str:
    """Make text stand for itself in a table cell."""
    line = " ".join(text.split())
    return _MARKDOWN.sub(r"\\\1", line) if line != UNKNOWN else line
