"""Why a cell is as it is, as text for any width, Markdown or JSON; and a run's cells that have something to explain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.model import Status
from orchestrator.report.table import outcome_of
from orchestrator.report.text import escape_line, escape_markdown
from orchestrator.smoke.words import inert, one_line

if TYPE_CHECKING:
    from rich.text import Text

    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.tracing.columns import Sheet
    from orchestrator.verdicts import Finding

SCHEMA = 1
FORMATS = ("text", "markdown", "json")
NOTHING_FOUND = "No rule has found a cause."


class Explanation(Struct, frozen=True):
    """A cell of a run with its findings, and the last lines of its logs where there are none."""

    run: str
    cell: CellRecord
    findings: tuple[Finding, ...]
    last_lines: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """Say how many causes were found, or why none was looked for."""
        if self.findings:
            return f"{len(self.findings)} {'finding' if len(self.findings) == 1 else 'findings'}"
        if self.cell.status.is_left_out:
            return "It was not built: there is nothing to explain."
        if self.cell.status is Status.PASSED and self.cell.as_expected:
            return "It passed, and nothing makes it slow or large that a rule knows."
        return f"{NOTHING_FOUND} {'Its last lines:' if self.last_lines else 'It has left no log.'}"


def render_explanation(one: Explanation, kind: str, sheet: Sheet) -> str:
    """Write down why one cell is as it is."""
    if kind == "json":
        return _dump(
            {"schema": SCHEMA, "run": inert(one.run), **_data_of(one), "last_lines": [inert(line) for line in one.last_lines]}
        )
    return _markdown(one) if kind == "markdown" else sheet.render(_text(one, sheet))


def render_overview(record: RunRecord, found: list[Explanation], kind: str, sheet: Sheet) -> str:
    """Write down a line for each cell of a run that has something to explain."""
    run = record.id
    if kind == "json":
        return _dump({"schema": SCHEMA, "run": inert(run), "cells": [_data_of(one) for one in found]})
    if kind == "markdown":
        rows = [" | ".join(map(escape_markdown, (one_line(one.cell.id), outcome_of(one.cell), _titles(one)))) for one in found]
        head = ["| cell | outcome | findings |", "| --- | --- | --- |"] if rows else [_nothing(record)]
        return "\n".join([f"# {escape_markdown(one_line(run))}", "", *head, *(f"| {row} |" for row in rows)]) + "\n"
    return sheet.render(_overview(record, found, sheet))


def _nothing(record: RunRecord) -> str:
    limits = ["were asked for"] if record.excerpt_of is not None else []
    limits += [] if record.complete else ["have a result"]
    which = f"All cells{' that ' * bool(limits)}{' and '.join(limits)}"
    return f"{which} of run {one_line(record.id)} ended as expected, and no rule has found anything."


def _titles(one: Explanation) -> str:
    return "; ".join(one_line(finding.title) for finding in one.findings) or NOTHING_FOUND


def _overview(record: RunRecord, found: list[Explanation], sheet: Sheet) -> list[Text]:
    from orchestrator.tracing.columns import wrap  # noqa: PLC0415  # rich is for text only

    lines = wrap(f"run {record.id}", sheet.columns, style="bold") if found else wrap(_nothing(record), sheet.columns)
    for one in found:
        lines += wrap(f"{one.cell.id}: {outcome_of(one.cell)}: {_titles(one)}", sheet.columns)
    return lines


def _text(one: Explanation, sheet: Sheet) -> list[Text]:
    from orchestrator.tracing.columns import wrap  # noqa: PLC0415  # rich is for text only

    width = sheet.columns
    good = one.cell.as_expected
    lines = wrap(one.cell.id, width, style="bold")
    for line in _heading(one):
        lines += wrap(line, width, style="green" if good and line.endswith("as expected") else "")
    for number, finding in enumerate(one.findings, 1):
        lines += [*wrap("", width), *wrap(finding.title, width, label=f"{number}. ", style="bold")]
        for line in finding.evidence:
            lines += wrap(line, width, label="   | ", style="dim")
        lines += wrap(f"{finding.remedy} ({finding.code})", width, label="   -> ")
    if not one.findings:
        lines += [*wrap("", width), *wrap(one.summary, width)]
        for line in one.last_lines:
            lines += wrap(line, width, label="   | ", style="dim")
    return lines


def _markdown(one: Explanation) -> str:
    lines = [f"# {escape_markdown(one_line(one.cell.id))}", "", *(f"- {escape_line(line)}" for line in _heading(one)), ""]
    for finding in one.findings:
        lines += [f"## {escape_markdown(one_line(finding.title))}", ""]
        lines += [f"- {escape_line(line)}" for line in map(one_line, finding.evidence) if line]
        lines += ["", f"**Remedy:** {escape_markdown(one_line(finding.remedy))} (`{escape_markdown(one_line(finding.code))}`)", ""]
    if not one.findings:
        lines += [escape_markdown(one.summary), ""]
        lines += [f"    {one_line(line)}" for line in one.last_lines]
    return "\n".join(lines).rstrip() + "\n"


def _heading(one: Explanation) -> list[str]:
    cell = one.cell
    expected = "" if cell.expected is Status.PASSED else f", {cell.expected} was expected"
    expected += f" ({cell.expected_reason})" if cell.expected_reason else ""
    lines = [
        one_line(f"run {one.run}"),
        one_line(f"{cell.status}{expected}: {'as expected' if cell.as_expected else 'not as expected'}"),
    ]
    return [*lines, one_line(cell.reason)] if cell.reason else lines


def _data_of(one: Explanation) -> dict[str, object]:
    cell = one.cell
    return {
        "id": inert(cell.id),
        "axes": {inert(axis): inert(value) for axis, value in cell.axes.items()},
        "status": cell.status,
        "expected": cell.expected,
        "as_expected": cell.as_expected,
        "reason": None if cell.reason is None else inert(cell.reason),
        "diagnosis": [
            {
                "code": inert(finding.code),
                "title": inert(finding.title),
                "evidence": [inert(line) for line in finding.evidence],
                "remedy": inert(finding.remedy),
            }
            for finding in one.findings
        ],
    }


def _dump(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
