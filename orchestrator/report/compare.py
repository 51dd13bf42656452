"""A comparison of two runs as people and machines read it: terminal, Markdown and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec import to_builtins

from orchestrator.report.markdown import render_table
from orchestrator.report.table import Table
from orchestrator.report.text import escape_line, escape_markdown, wrap_lines
from orchestrator.smoke.words import one_line, shorten
from orchestrator.units import UNKNOWN, count, megabytes, signed_megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.judge.differences import Cause, CellChange, CellSeen, Comparison, Difference, RunSeen

FORMATS = ("table", "markdown", "json")
_MOST_CELLS = 6  # named below a cause; the table has them all


def render_comparison(comparison: Comparison, kind: str, width: int) -> str:
    """Render a comparison in one of the formats."""
    if kind == "json":
        return json.dumps(to_builtins(comparison), indent=2) + "\n"
    return _render_markdown(comparison) if kind == "markdown" else _render_terminal(comparison, width)


def _make_table(comparison: Comparison) -> Table:
    """Lay out the cells that differ, a row for each; what did not change is left out."""
    changed = [cell for cell in comparison.cells if cell.differs]
    scenarios = list(dict.fromkeys(time.metric for cell in changed for time in cell.times))
    headers = (
        "cell",
        "outcome",
        "compressed MB",
        "change",
        "unpacked MB",
        "change",
        *(f"{name} s" for name in scenarios),
        "charged to",
    )
    return Table(headers, tuple(_row(cell, scenarios) for cell in changed))


def _row(cell: CellChange, scenarios: Sequence[str]) -> tuple[str, ...]:
    sizes = cell.sizes or (None, None)
    times = {time.metric: time for time in cell.times}
    return (
        one_line(cell.id),
        _outcome(cell),
        *(part for size in sizes for part in _size(size)),
        *(_time(times.get(name)) for name in scenarios),
        ", ".join(dict.fromkeys(cause.kind for cause in cell.causes)) or UNKNOWN,
    )


def _outcome(cell: CellChange) -> str:
    if not cell.outcome_changed:
        return str(cell.new_status)
    if cell.old_status is cell.new_status:
        return f"{cell.new_status} (expected otherwise)"
    return f"{cell.old_status} → {cell.new_status}"


def _size(size: Difference | None) -> tuple[str, str]:
    if size is None:
        return UNKNOWN, UNKNOWN
    if size.new is None:
        return UNKNOWN, UNKNOWN
    new, amount = ("~" if of_estimates else "" for of_estimates in (size.estimated[1], any(size.estimated)))
    change = "≈" if size.is_real is False else f"{amount}{signed_megabytes(size.amount)}{_percent(size)}"
    return new + megabytes(size.new), change if size.amount is not None else UNKNOWN


def _percent(difference: Difference) -> str:
    return "" if difference.share is None else f" ({difference.share:+.1%})"


def _time(time: Difference | None) -> str:
    if time is None or time.old is None or time.new is None:
        return UNKNOWN
    mark = {True: _percent(time), False: " ≈", None: " ?"}[time.is_real]
    return f"{time.old:.1f} → {time.new:.1f}{mark}"


def _heading(comparison: Comparison) -> list[str]:
    return [_side("old", comparison.old), _side("new", comparison.new)]


def _side(word: str, run: RunSeen) -> str:
    commit = f", commit {run.git_commit[:12]}" if run.git_commit else ""
    return one_line(f"{word}: {run.name}, run {run.id}, {run.started_at[:16].replace('T', ' ')}{commit}")


def _summary(comparison: Comparison) -> str:
    changed = sum(cell.differs for cell in comparison.cells)
    differ = "differs" if 1 in (changed, len(comparison.cells)) else "differ"
    parts = [f"{changed} of {count(len(comparison.cells), 'cell')} {differ} by more than noise"]
    apart = ((comparison.added, "added"), (comparison.removed, "removed"), (comparison.not_asked, "not asked for"))
    parts += [f"{len(cells)} {word}" for cells, word in apart if cells]
    return ", ".join(parts) + "."


def _lines_of_cells(comparison: Comparison) -> Iterator[str]:
    """Name cells that only one run has, and why an outcome is another."""
    for cells, word in ((comparison.added, "added"), (comparison.removed, "removed")):
        yield from (f"{word}: {_seen(cell)}" for cell in cells)
    for cell in comparison.cells:
        if cell.differs and cell.reason:
            yield f"{one_line(cell.id)}: {shorten(cell.reason)}"


def _seen(cell: CellSeen) -> str:
    return f"{one_line(cell.id)} ({cell.status})"


def _notes(comparison: Comparison) -> Iterator[str]:
    if comparison.times_refused:
        where = "where" if any(cell.times for cell in comparison.cells) else "because"
        yield (
            f"Times are NOT compared, {where} the machines or tools differ; --force compares them all the same: "
            + "; ".join(map(shorten, comparison.times_refused))
            + "."
        )
    elif comparison.environment:
        yield f"Machine or tools differ: {'; '.join(map(shorten, comparison.environment))}."
    yield from (f"{shorten(note[:1].upper() + note[1:])}." for note in comparison.notes)


def _unfelt(comparison: Comparison) -> Iterator[str]:
    """Name each change that made no difference, once, and in which cells."""
    cells: dict[str, list[str]] = {}
    for cell in comparison.cells:
        for title in cell.unfelt:
            cells.setdefault(title, []).append(one_line(cell.id))
    for title, names in cells.items():
        more = f" and {len(names) - _MOST_CELLS} more" if len(names) > _MOST_CELLS else ""
        changed = shorten(title[:1].upper() + title[1:])
        yield f"{changed}, without a difference beyond noise, in {', '.join(names[:_MOST_CELLS])}{more}."


def _charges(comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Give each cause once, with what it is charged with in which cells, and its evidence where it charges most."""
    found: dict[tuple[str, str], list[tuple[CellChange, Cause]]] = {}
    for cell in comparison.cells:
        for cause in cell.causes:
            found.setdefault((cause.kind, cause.title), []).append((cell, cause))
    for (_, title), charged in found.items():
        names = [one_line(cell.id) for cell, _ in charged[:_MOST_CELLS]]
        more = f" and {len(charged) - _MOST_CELLS} more" if len(charged) > _MOST_CELLS else ""
        _, worst = max(charged, key=lambda one: abs(one[1].bytes or 0))
        head = f"{shorten(title[:1].upper() + title[1:])}: {_charged(charged)}in {', '.join(names)}{more}"
        yield head, [shorten(line) for line in worst.evidence]


def _charged(charged: Sequence[tuple[CellChange, Cause]]) -> str:
    """Say how many bytes a cause is charged with, and which share of a cell's difference that is, from least to most."""
    known = sorted(((cause.bytes, cell) for cell, cause in charged if cause.bytes is not None), key=lambda one: one[0])
    if not known:
        return ""
    sizes = dict.fromkeys(signed_megabytes(size) for size, _ in (known[0], known[-1]))
    wholes = [(size, cell.sizes[-1].amount) for size, cell in known if cell.sizes]
    shares = sorted(size / whole for size, whole in wholes if whole)
    words = f"{' to '.join(sizes)} MB unpacked"
    if shares:
        words += f" ({' to '.join(dict.fromkeys(f'{share:.0%}' for share in (shares[0], shares[-1])))} of the difference)"
    return f"{words} "


def _render_terminal(comparison: Comparison, width: int) -> str:
    from tabulate import tabulate  # noqa: PLC0415  # only reports need it

    table = _make_table(comparison)
    lines = [*wrap_lines(_heading(comparison), width), "", *wrap_lines([_summary(comparison)], width)]
    if table.rows:
        drawn = tabulate(table.rows, headers=table.headers, tablefmt="simple", disable_numparse=True).splitlines()
        if max(map(len, drawn)) > width:
            drawn = [line for row in table.rows for line in _stack(table.headers, row, width)]
        lines += ["", *drawn]
    if apart := list(_lines_of_cells(comparison)):
        lines += ["", *wrap_lines(apart, width)]
    for head, evidence in _charges(comparison):
        lines += ["", *wrap_lines([head], width), *wrap_lines(evidence, width, indent="    ")]
    for more in (list(_unfelt(comparison)), list(_notes(comparison))):
        if more:
            lines += ["", *wrap_lines(more, width)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _stack(headers: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """Write a row as a few lines, where its columns have no room side by side."""
    parts = [f"{header} {value}" for header, value in zip(headers[1:], row[1:], strict=True) if value not in (UNKNOWN, "")]
    return [*wrap_lines([row[0]], width), *wrap_lines([", ".join(parts)], width, indent="  ")]


def _render_markdown(comparison: Comparison) -> str:
    table = _make_table(comparison)
    lines = [f"# {escape_markdown(one_line(comparison.new.name))}: what changed", ""]
    lines += [f"{escape_line(line)}  " for line in _heading(comparison)]
    lines += ["", escape_markdown(_summary(comparison))]
    if table.rows:
        lines += ["", *render_table(table)]
    if apart := list(_lines_of_cells(comparison)):
        lines += ["", *(f"- {escape_line(line)}" for line in apart)]
    for head, evidence in _charges(comparison):
        lines += ["", f"**{escape_markdown(head)}**", "", *(f"- {escape_line(line)}" for line in evidence)]
    if more := [*_unfelt(comparison), *_notes(comparison)]:
        lines += ["", *(f"- {escape_line(line)}" for line in more)]
    return "\n".join(lines) + "\n"
