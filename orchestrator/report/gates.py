"""A gate as a sentence: what was limited, to what, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.judged import write_limited
from orchestrator.smoke.words import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.record import RunRecord
    from orchestrator.verdicts import Gate

_MOST = 20


def render_broken(record: RunRecord) -> Iterator[str]:
    """Say which gates failed, for whoever only sees an exit code."""
    broken = [gate for gate in record.gates if gate.passed is False]
    yield from (f"gate failed: {render_gate(gate)}" for gate in broken[:_MOST])
    if len(broken) > _MOST:
        yield f"gate failed: and {len(broken) - _MOST} more"


def render_gate(gate: Gate) -> str:
    """Write a gate in one line."""
    where = f" of {gate.cell}" if gate.cell else ""
    actual, limit = write_limited(gate)
    found = f": {actual}, limit {limit}"
    return shorten(f"{gate.gate}{where}{'' if gate.limit is None else found}{f' ({gate.reason})' if gate.reason else ''}")
