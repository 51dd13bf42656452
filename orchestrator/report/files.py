"""The reports that every run leaves in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.data import render_csv, render_json
from orchestrator.report.text import render_markdown, render_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.record import RunRecord
    from orchestrator.store import RunFolder

RENDERERS: dict[str, Callable[[RunRecord], str]] = {
    "markdown": render_markdown,
    "csv": render_csv,
    "json": render_json,
}
FORMATS = ("table", *RENDERERS)


def render(record: RunRecord, kind: str, width: int) -> str:
    """Render a run in one of the formats; only the table minds the terminal's width."""
    return render_terminal(record, width) if kind == "table" else RENDERERS[kind](record)


def save_reports(run: RunFolder, record: RunRecord) -> None:
    """Write the reports of a run into its folder."""
    run.save_text("report.md", render_markdown(record))
    run.save_text("report.csv", render_csv(record))
