"""The door to judging: a run's record with all that can be said of it by its own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.judge.claims import judge_claims
from orchestrator.judge.decision import decide
from orchestrator.judge.gates import judge_gates

if TYPE_CHECKING:
    from orchestrator.record import RunRecord


def judge_record(record: RunRecord, baseline: RunRecord | None = None) -> RunRecord:
    """Judge a run anew, its growth against a baseline; one whose rules were not stored keeps what it was told when it ended."""
    if record.rules is None:
        return record
    record = replace(record, claims=judge_claims(record), decision=decide(record), baseline=baseline.id if baseline else None)
    return replace(record, gates=judge_gates(record, baseline))
