"""What spans say of a run, a cell and a check: OpenTelemetry's names where it has one, and matrix's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.model import Status
from orchestrator.tracing import names
from orchestrator.tracing.spans import Code, SpanStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.model import Cell, Plan
    from orchestrator.record import CellRecord, CheckResult, RunRecord
    from orchestrator.tracing.spans import Value
    from orchestrator.tracing.trace import OpenSpan

_RESULTS = {
    Status.PASSED: "success",
    Status.TIMEOUT: "timeout",
    Status.ERROR: "error",
    Status.EXCLUDED: "skip",
    Status.SKIPPED: "skip",
}
_CASES = {"passed": "pass", "skipped": "skip"}


def describe_run(run: str, plan: Plan) -> dict[str, Value]:
    """Say which run of which matrix this is."""
    return {"cicd.pipeline.name": plan.name, "cicd.pipeline.run.id": run, "matrix.cells": len(plan.cells)}


def describe_outcome(span: OpenSpan, record: RunRecord) -> None:
    """Say how a run went; a cell that did not end as expected is its failure."""
    unexpected = [cell for cell in record.cells if not cell.as_expected]
    result = "cancellation" if record.interrupted else "failure" if unexpected else "success"
    span.attributes["cicd.pipeline.result"] = result
    if record.interrupted:
        span.fail("interrupted", "cancellation")
    elif unexpected:
        span.fail(f"{len(unexpected)} of {len(record.cells)} cells did not end as expected", "unexpected")


def describe_cell(run: str, cell: Cell) -> dict[str, Value]:
    """Say which cell of which run this is."""
    return {
        "cicd.pipeline.task.name": cell.id,
        "cicd.pipeline.task.run.id": f"{run}/{cell.id}",
        "cicd.pipeline.task.type": "build",
        **{f"{names.AXIS}{axis}": value for axis, value in cell.axes},
    }


def describe_result(span: OpenSpan, record: CellRecord) -> None:
    """Say how a cell ended; an expected failure failed all the same."""
    found: dict[str, Value | None] = {
        names.OUTCOME: record.status.value,
        names.AS_EXPECTED: record.as_expected,
        "cicd.pipeline.task.run.result": _RESULTS.get(record.status, "failure"),
    }
    if record.build is not None:
        found |= {
            names.TIMING: record.build.timing,
            names.CACHED_STEPS: record.build.cached_steps,
            names.TOTAL_STEPS: record.build.total_steps,
        }
    if record.image is not None:
        found |= {
            "container.image.id": record.image.digest,
            names.COMPRESSED: record.image.compressed_bytes,
            names.UNCOMPRESSED: record.image.uncompressed_bytes,
        }
    span.attributes |= {key: value for key, value in found.items() if value is not None}
    if record.status is not Status.PASSED:
        span.fail(record.reason or record.status.value, record.status.value)


def describe_check(span: OpenSpan, results: Sequence[CheckResult]) -> None:
    """Say how a check went: the worst of what it found, and the reason of the first that failed."""
    bad = [result for result in results if result.outcome not in _CASES]
    worst = bad[0] if bad else results[0] if results else None
    if worst is None:
        return
    span.attributes[names.CHECK_OUTCOME] = worst.outcome
    span.attributes["test.case.name"] = span.name
    span.attributes["test.case.result.status"] = _CASES.get(worst.outcome, "fail")
    if bad:
        span.status = SpanStatus(Code.ERROR, f"{worst.name}: {worst.reason or worst.outcome}")
        span.attributes["error.type"] = worst.outcome
