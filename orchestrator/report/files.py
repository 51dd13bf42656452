"""The reports that every run leaves in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.comment import render_comment
from orchestrator.report.data import render_csv, render_json
from orchestrator.report.evidence import EvidenceOf, find_evidence, no_evidence
from orchestrator.report.html import render_html
from orchestrator.report.junit import render_junit
from orchestrator.report.markdown import render_markdown
from orchestrator.report.text import render_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.record import RunRecord
    from orchestrator.store import RunFolder


def _render_prometheus(record: RunRecord) -> str:
    from orchestrator.report.prometheus import render_prometheus  # noqa: PLC0415  # no run leaves it by itself

    return render_prometheus(record)


RENDERERS: dict[str, Callable[[RunRecord], str]] = {
    "markdown": render_markdown,
    "comment": render_comment,
    "csv": render_csv,
    "junit": render_junit,
    "prometheus": _render_prometheus,
}
FORMATS = ("table", "markdown", "comment", "csv", "json", "junit", "prometheus", "html")


def render(record: RunRecord, kind: str, width: int, evidence_of: EvidenceOf = no_evidence, typed: str = "") -> Iterable[str]:
    """Render a run in one of the formats, in pieces.

    The page shows evidence, the table minds a terminal's width and who typed what.
    """
    if kind == "json":
        return render_json(record)
    if kind == "html":
        return (render_html(record, evidence_of),)
    return (render_terminal(record, width, typed) if kind == "table" else RENDERERS[kind](record),)


def save_reports(run: RunFolder, record: RunRecord) -> None:
    """Write the reports of a run into its folder."""
    run.save_text("report.md", render_markdown(record))
    run.save_text("report.csv", render_csv(record))
    run.save_text("junit.xml", render_junit(record))
    run.save_text("report.html", render_html(record, find_evidence(run, run.path)))
