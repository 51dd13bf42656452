"""Traces as people read them in a terminal: the cells of a run by time, one cell's waterfall, two cells side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from orchestrator.report.table import make_heading, outcome_of
from orchestrator.smoke.words import shorten
from orchestrator.tracing.columns import fit, wrap
from orchestrator.tracing.compare import Pair, compare, instruction_of
from orchestrator.tracing.waterfall import StepOutcome, brief_name
from orchestrator.units import UNKNOWN, count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.tracing.columns import Sheet
    from orchestrator.tracing.compare import Comparison
    from orchestrator.tracing.stored import TracedCell, TracedRun
    from orchestrator.tracing.waterfall import Row, Waterfall

_ROOMY = 60  # from so many columns on, names stand beside figures and not above them
_CRITICAL, _ELSEWHERE = "█", "░"
_FLAGS = {StepOutcome.CACHED.value: "c", StepOutcome.JOINED.value: "j"}
_STYLES = {"!": "red", "c": "dim", "j": "magenta", " ": ""}
_OUTCOMES = "c cached, j joined (another cell's build ran it), ! failed"
_TINY_NS = 5_000_000  # what is written as 0.00


def render_list(traced: TracedRun, sheet: Sheet) -> str:
    """List the cells by time, the longest first, each with its parts and its longest steps."""
    width = sheet.columns
    lines = [*_head(traced.record, width), *wrap("Seconds of each cell, of its parts and of its longest steps:", width), Text()]
    for cell in traced.cells:
        lines += wrap(_title(cell.record), width, label=f"{_seconds(cell.waterfall.wall_ns, 9)}  ", style="bold")
        costs = sorted(cell.waterfall.parts.items(), key=lambda one: -one[1])
        parts = ", ".join(f"{part} {_seconds(cost)}" for part, cost in costs if cost >= _TINY_NS)
        lines += wrap(parts, width, label=" " * 11) if parts else []
        for step in cell.waterfall.longest_steps:
            flag = _flag(step)
            label = f"{_seconds(step.duration_ns, 19)} {flag} "
            lines.append(Text(label + fit(brief_name(step.name), width - len(label)), _STYLES[flag]))
    for record, problem in traced.damaged:
        lines += wrap(f"{record.id}: {shorten(problem)}", width, label=f"{UNKNOWN:>9}  ", style="red")
    if traced.untraced:
        lines += [Text(), *wrap(f"No trace: {'; '.join(map(_title, traced.untraced))}.", width)]
    return sheet.render([*lines, Text(), *wrap(f"{_OUTCOMES}.", width), *_timing([cell.record for cell in traced.cells], width)])


def render_waterfall(record: RunRecord, cell: TracedCell, sheet: Sheet, *, details: bool) -> str:
    """Draw a cell's spans as bars, the critical path marked, and say what each part cost."""
    width, waterfall = sheet.columns, cell.waterfall
    lines = [*_head(record, width), *wrap(_title(cell.record), width, style="bold")]
    lines += wrap(shorten(cell.record.reason), width) if cell.record.reason else []
    lines += [Text(), *_draw_costs(waterfall), Text()]
    bar = width // 4
    name = width - bar - 13
    end = f"{_seconds(waterfall.wall_ns)} s"
    lines.append(Text(f"{'seconds':>11} {'span':<{name}} 0{end:>{bar - 1}}"))
    rows = waterfall.shown(details=details)
    told = _reasons_told_below(rows)
    for row, is_told in zip(rows, told, strict=True):
        lines += _draw_row(row, waterfall.wall_ns, name, bar)
        lines += _draw_notes(row, width, with_reason=not is_told)
    hidden = len(waterfall.rows) - len(rows)
    lines += [Text(), *wrap(f"* and {_CRITICAL} on the critical path, {_OUTCOMES}.", width)]
    if hidden:
        lines += wrap(f"{count(hidden, 'span')} of detail {'is' if hidden == 1 else 'are'} not shown; --details shows them.", width)
    if waterfall.from_progress:
        lines += wrap("There is no trace by the builder: the spans of the build were made from its progress.", width)
    return sheet.render(lines)


def _draw_costs(waterfall: Waterfall) -> Iterator[Text]:
    yield Text(f"{'part':<10} {'seconds':>9} {'%':>6}")
    for part, cost in (*waterfall.parts.items(), ("total", waterfall.wall_ns)):
        share = f"{100 * cost / waterfall.wall_ns:.1f}" if waterfall.wall_ns else UNKNOWN
        yield Text(f"{part:<10} {_seconds(cost, 9)} {share:>6}", "bold" if part == "total" else "")


def _draw_row(row: Row, wall_ns: int, name: int, bar: int) -> Iterator[Text]:
    flag = _flag(row)
    indent = " " * min(row.depth, name // 3)
    mark, ink, colour = ("* ", _CRITICAL, "yellow") if row.is_critical else ("  ", _ELSEWHERE, "")
    words = f"{flag}{_seconds(row.duration_ns, 8)} {indent}{fit(brief_name(row.name), name - len(indent))} "
    before, length = _place_bar(row, wall_ns, bar)
    yield Text.assemble((mark, colour), (words, _STYLES[flag]), " " * before, (ink * length, colour))


def _place_bar(row: Row, wall_ns: int, bar: int) -> tuple[int, int]:
    """Give the columns before a bar and those that it takes: whatever went on is seen, and stays within the bar's room."""
    if not wall_ns:
        return 0, 1
    before = min(row.start_ns * bar // wall_ns, bar - 1)
    end = -(-(row.start_ns + row.duration_ns) * bar // wall_ns)
    return before, max(end - before, 1)


def _draw_notes(row: Row, width: int, *, with_reason: bool) -> Iterator[Text]:
    if row.ran_in is not None:
        in_all = f", {_seconds(row.whole_ns)} s in all" if row.whole_ns - row.duration_ns >= _TINY_NS else ""
        yield from wrap(f"ran in {shorten(row.ran_in)}{in_all}", width, label=" " * 12, style=_STYLES["j"])
    if row.error is not None and with_reason:
        yield from wrap(shorten(row.error), width, label=" " * 10 + "! ", style=_STYLES["!"])


def _reasons_told_below(rows: Sequence[Row]) -> list[bool]:
    """Tell of each row whether a row below it in the tree gives the same reason: it is said once, where it came from."""
    told = [False] * len(rows)
    ends: list[tuple[int, int]] = []  # depth and place of later rows; the last that is no deeper ends what is below this row
    next_of: dict[str, int] = {}  # where a reason is given next
    for place in range(len(rows) - 1, -1, -1):
        while ends and ends[-1][0] > rows[place].depth:
            ends.pop()
        error = rows[place].error
        if error is not None:
            told[place] = next_of.get(error, len(rows)) < (ends[-1][1] if ends else len(rows))
            next_of[error] = place
        ends.append((rows[place].depth, place))
    return told


def render_comparison(record: RunRecord, left: TracedCell, right: TracedCell, sheet: Sheet) -> str:
    """Lay the steps of two cells side by side, with the difference, and their parts."""
    width = sheet.columns
    both = compare(left.waterfall, right.waterfall)
    lines = _head(record, width)
    for label, cell in (("A  ", left), ("B  ", right)):
        lines += wrap(f"{_title(cell.record)}, {_seconds(cell.waterfall.wall_ns)} s", width, label=label, style="bold")
    lines += [
        Text(),
        *(line for words in _sum_up(both) for line in wrap(words, width)),
        Text(),
        Text(f"{'A s':>8}  {'B s':>8}  {'A - B':>8}  part"),
    ]
    for part, (cost_a, cost_b) in (*both.parts.items(), ("total", (both.left.wall_ns, both.right.wall_ns))):
        difference = (cost_a or 0) - (cost_b or 0)
        lines.append(Text(f"{_figures((cost_a, ' '), (cost_b, ' '), difference)}{part}", "bold" if part == "total" else ""))
    lines += [Text(), Text(f"{'A s':>8}  {'B s':>8}  {'A - B':>8}  step")]
    for pair in both.steps:
        lines += _draw_pair(pair, width)
    notes = f"Steps: how long each took in all, wherever it ran; {_OUTCOMES}. Parts: what the cell waited for."
    return sheet.render([*lines, Text(), *wrap(notes, width), *_timing([left.record, right.record], width)])


def _sum_up(both: Comparison) -> Iterator[str]:
    """Say which took longer, and which part and which step differ most that way."""
    difference = both.difference_ns
    if abs(difference) < _TINY_NS:
        yield "A and B took the same time."
        return
    sign = 1 if difference > 0 else -1
    yield f"A took {_seconds(abs(difference))} s {'longer' if sign > 0 else 'less'} than B."
    costs = {part: (a or 0) - (b or 0) for part, (a, b) in both.parts.items()}
    part = max(costs, key=lambda one: sign * costs[one])
    yield f"Largest difference by part: {_signed(costs[part])} s, {part}"
    pair = max(both.steps, key=lambda one: sign * one.difference_ns, default=Pair(None, None))
    step = pair.left or pair.right
    if step is not None and sign * pair.difference_ns >= _TINY_NS:
        yield f"Largest difference by step: {_signed(pair.difference_ns)} s, {shorten(_label(step))}"


def _draw_pair(pair: Pair, width: int) -> list[Text]:
    sides = pair.left, pair.right
    labels = [None if side is None else _label(side) for side in sides]
    names = [f"{mark} {label}" for mark, label in zip("AB", labels, strict=True) if label is not None]
    if labels[0] == labels[1]:
        names = [str(labels[0])]
    figures = _figures(_figure_of(pair.left), _figure_of(pair.right), pair.difference_ns)
    style = "red" if "!" in figures else ""
    if width < _ROOMY:
        return [*(Text(fit(name, width)) for name in names), Text(figures, style)]
    leads = [figures, *[" " * len(figures)] * (len(names) - 1)]
    return [Text(lead + fit(name, width - len(lead)), style) for lead, name in zip(leads, names, strict=True)]


def _label(step: Row) -> str:
    instruction = brief_name(instruction_of(step))
    return f"[{step.stage}] {instruction}" if step.stage else instruction


def _figure_of(step: Row | None) -> tuple[int | None, str]:
    return (None, " ") if step is None else (step.whole_ns, _flag(step))


def _figures(left: tuple[int | None, str], right: tuple[int | None, str], difference_ns: int) -> str:
    figures = "".join(f"{_seconds(nanoseconds, 8)}{flag} " for nanoseconds, flag in (left, right))
    return f"{figures}{_signed(difference_ns):>8}  "


def _head(record: RunRecord, width: int) -> list[Text]:
    return [*(line for text in make_heading(record) for line in wrap(text, width)), Text()]


def _timing(cells: list[CellRecord], width: int) -> list[Text]:
    """Warn of times that are no ranking."""
    if all(cell.build is None or cell.build.jobs == 1 for cell in cells):
        return []
    return wrap("Cells were built side by side, with the cache as it was (timing: shared): not a ranking.", width)


def _title(cell: CellRecord) -> str:
    return f"{cell.id}, {outcome_of(cell)}"


def _flag(row: Row) -> str:
    return "!" if row.error is not None else _FLAGS.get(row.outcome or "", " ")


def _seconds(nanoseconds: int | None, width: int = 0) -> str:
    text = UNKNOWN if nanoseconds is None else f"{nanoseconds / 1e9:.2f}"
    return f"{text:>{width}}"


def _signed(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:+.2f}" if abs(nanoseconds) >= _TINY_NS else "0.00"
