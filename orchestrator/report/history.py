"""A history as people and machines read it: sparklines, what shifted and why; terminal, Markdown and JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import to_builtins

from orchestrator.judge.history import OUTCOME, SIZE
from orchestrator.report.markdown import render_table
from orchestrator.report.sparkline import draw_figures, draw_outcomes
from orchestrator.report.table import Table, seconds
from orchestrator.report.text import escape_line, escape_markdown, wrap_lines
from orchestrator.smoke.words import one_line, shorten
from orchestrator.units import UNKNOWN, count, megabytes, signed_megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.judge.history import History, Shift, Trend

FORMATS = ("table", "markdown", "json")
_WIDE = 20  # runs that a sparkline shows
_LAYOUTS = ((_WIDE, None), (_WIDE, -1), (12, -1), (8, -1))  # the same for narrower terminals, and the columns that have room
_MOST_GROUPS = 20
_MOST_CELLS = 6
_MOST_LEFT_OUT = 5


def render_history(history: History, kind: str, width: int, options: str = "") -> str:
    """Render a history in one of the formats; only the table is for who typed these options."""
    if kind == "json":
        return json.dumps(to_builtins(history, builtin_types=(datetime,)), indent=2, default=datetime.isoformat) + "\n"
    if kind == "markdown":
        return _render_markdown(history)
    return _render_terminal(history, width, options)


def _make_table(history: History, shown: int) -> Table:
    """Lay cells out with their newest figures and the last runs as sparklines."""
    timed = any(time_s is not None for trend in history.trends for time_s in trend.cold_s)
    headers = ("cell", "outcome", "size MB", "trend", *(("cold s", "trend") if timed else ()), "last shift")
    return Table(headers, tuple(_row(trend, shown, timed=timed) for trend in history.trends))


def _row(trend: Trend, shown: int, *, timed: bool) -> tuple[str, ...]:
    sizes, times = trend.sizes_bytes[-shown:], trend.cold_s[-shown:]
    size = _newest(trend.sizes_bytes)
    estimated = next(
        (mark for mark, known in zip(reversed(trend.estimated), reversed(trend.sizes_bytes), strict=True) if known), False
    )
    last = trend.shifts[-1] if trend.shifts else None
    return (
        one_line(trend.cell),
        draw_outcomes(trend.outcomes[-shown:]),
        ("~" if estimated else "") + megabytes(size),
        draw_figures(sizes),
        *((seconds(_newest(trend.cold_s)), draw_figures(times)) if timed else ()),
        f"{last.at:%Y-%m-%d} {describe_shift(last)}" if last else UNKNOWN,
    )


def _newest(figures: Sequence[float | None]) -> float | None:
    return next((figure for figure in reversed(figures) if figure is not None), None)


def describe_shift(shift: Shift) -> str:
    """Say by how much a figure shifted, or from which outcome to which."""
    if shift.metric == OUTCOME or isinstance(shift.old, str) or isinstance(shift.new, str):
        return f"{shift.old} → {shift.new}"
    amount = shift.new - shift.old
    share = f" ({amount / shift.old:+.1%})" if shift.old else ""
    return f"{signed_megabytes(amount)} MB{share}" if shift.metric == SIZE else f"{amount:+.1f} s{share}"


def make_heading(history: History) -> str:
    """Say which runs a history is made of."""
    first, last = history.runs[0], history.runs[-1]
    span = f"from {first.started_at.astimezone(UTC):%Y-%m-%d} to {last.started_at.astimezone(UTC):%Y-%m-%d}"
    return one_line(f"{history.name}: {count(len(history.runs), 'run')} {span}, the newest {last.id}")


def group_shifts(history: History, options: str = "") -> Iterator[tuple[str, list[str]]]:
    """Give each day on which figures shifted, the newest first: what did in which cells, and what changed that day."""
    found: dict[tuple[str, str, tuple[str, ...]], list[Shift]] = {}
    for shift in sorted((shift for trend in history.trends for shift in trend.shifts), key=lambda one: one.run, reverse=True):
        found.setdefault((shift.run, shift.metric, shift.causes), []).append(shift)
    for (run, metric, causes), shifts in list(found.items())[:_MOST_GROUPS]:
        first = shifts[0]
        changes = list(dict.fromkeys(map(describe_shift, shifts)))
        words = changes[0] if len(changes) == 1 else f"{changes[0]} and others"
        names = ", ".join(one_line(shift.cell) for shift in shifts[:_MOST_CELLS])
        more = f" and {len(shifts) - _MOST_CELLS} more" if len(shifts) > _MOST_CELLS else ""
        head = f"{first.at:%Y-%m-%d}, run {one_line(run)}: {metric} {words} in {names}{more}"
        unread = (f"not looked into: `matrix compare{options} {one_line(first.before)} {one_line(run)}` says why",)
        yield head, [shorten(cause) for cause in causes or unread]
    if len(found) > _MOST_GROUPS:
        yield f"and {len(found) - _MOST_GROUPS} earlier shifts, which --format json has", []


def _notes(history: History, shown: int) -> Iterator[str]:
    if len(history.runs) > shown:
        yield f"Trends show the last {shown} of {len(history.runs)} runs, the newest on the right."
    yield "Outcomes: . as expected, x not, - skipped or excluded, · where a run lacks the cell."
    yield "A shift is a change beyond noise; times are isolated medians of cold builds on like machines."
    if any(any(trend.estimated) for trend in history.trends):
        yield "~ estimated: this image store keeps no compressed layers."
    left_out = [shorten(line) for line in history.left_out]
    yield from (f"Left out: {line}." for line in left_out[:_MOST_LEFT_OUT])
    if len(left_out) > _MOST_LEFT_OUT:
        yield f"Left out: {len(left_out) - _MOST_LEFT_OUT} more, which --format json names."


def _render_terminal(history: History, width: int, options: str) -> str:
    from tabulate import tabulate  # noqa: PLC0415  # only reports need it

    lines, shown = [], 0
    left_out: tuple[str, ...] = ()
    for runs, columns in _LAYOUTS:
        shown = min(runs, len(history.runs))
        table = _make_table(history, shown)
        rows = [row[:columns] for row in table.rows]
        lines = tabulate(rows, headers=table.headers[:columns], tablefmt="simple", disable_numparse=True).splitlines()
        if max(map(len, lines)) <= width:
            left_out = table.headers[columns:] if columns else ()
            break
    else:
        lines = [line for row in table.rows for line in _stack(table.headers, row, width)]
    text = [*wrap_lines([make_heading(history)], width), "", *lines]
    for head, causes in group_shifts(history, options):
        text += ["", *wrap_lines([head], width), *(f"  {line}" for line in wrap_lines(causes, width - 2))]
    notes = list(_notes(history, shown))
    if left_out:
        hint = f"`matrix history{options} --format markdown` has all."
        notes.insert(0, one_line(f"Not shown in {width} columns: {', '.join(left_out)}; {hint}"))
    text += ["", *wrap_lines(notes, width)]
    return "\n".join(line.rstrip() for line in text) + "\n"


def _stack(headers: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """Write a row as a line for each figure, where its columns have no room side by side."""
    lines = wrap_lines([row[0]], width)
    at = 1
    while at < len(headers):
        has_trend = at + 1 < len(headers) and headers[at + 1] == "trend"
        lines += [
            f"  {line}" for line in wrap_lines([f"{headers[at]} {row[at]}{f'  {row[at + 1]}' if has_trend else ''}"], width - 2)
        ]
        at += 1 + has_trend
    return lines


def _render_markdown(history: History) -> str:
    shown = min(_WIDE, len(history.runs))
    table = _make_table(history, shown)
    lines = [f"# {escape_markdown(one_line(history.name))}: history", "", escape_markdown(make_heading(history)), ""]
    lines += render_table(table)
    for head, causes in group_shifts(history):
        lines += ["", f"**{escape_markdown(head)}**", "", *(f"- {escape_line(cause)}" for cause in causes)]
    return "\n".join([*lines, "", *(f"- {escape_line(note)}" for note in _notes(history, shown))]) + "\n"
