"""Reports as texts: what the commands print piece by piece, whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report import files
from orchestrator.report.data import render_json
from orchestrator.report.evidence import EvidenceOf, no_evidence

if TYPE_CHECKING:
    from orchestrator.record import RunRecord


def render(record: RunRecord, kind: str, width: int, evidence_of: EvidenceOf = no_evidence, typed: str = "") -> str:
    """Render a run in one of the formats."""
    return "".join(files.render(record, kind, width, evidence_of, typed))


def render_record(record: RunRecord) -> str:
    """Render a run as run.json has it."""
    return "".join(render_json(record))
