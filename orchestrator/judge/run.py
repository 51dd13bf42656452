"""The door to judging: a run's record with all that can be said of it by its own rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.judge.claims import judge_claims
from orchestrator.judge.decision import decide

if TYPE_CHECKING:
    from orchestrator.record import RunRecord


def judge_record(record: RunRecord) -> RunRecord:
    """Judge a run anew; one whose rules were not stored keeps what it was told when it ended."""
    if record.rules is None:
        return record
    return replace(record, claims=judge_claims(record), decision=decide(record))
