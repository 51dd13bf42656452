"""The whole of `matrix explain`: a stored run's cells with what was found, or what is found now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.diagnosing import find_causes, load_last_lines
from orchestrator.errors import UsageError, did_you_mean
from orchestrator.model import Status
from orchestrator.report.explain import Explanation
from orchestrator.report.select import select_records
from orchestrator.smoke.words import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.store import RunFolder


def explain_cell(run: RunFolder, name: str, typed: str = "") -> Explanation:
    """Explain one cell of a stored run, which somebody named by these words."""
    record = run.load()
    cell = next((cell for cell in record.cells if cell.id == name), None)
    if cell is None:
        hint = (
            did_you_mean(name, [cell.id for cell in record.cells])
            or f"; `matrix explain {typed or record.id}` lists those with something to explain"
        )
        raise UsageError(one_line(f"run {record.id} has no cell '{name}'{hint}"))
    return _explain(run, record, cell)


def explain_run(
    run: RunFolder, only: Sequence[str] = (), skip: Sequence[str] = (), typed: str = ""
) -> tuple[RunRecord, list[Explanation]]:
    """Explain all cells of a stored run, or those asked for, that have findings, or did not end as expected."""
    record = select_records(run.load(), only, skip, typed)
    found = [_explain(run, record, cell) for cell in record.cells]
    return record, [one for one in found if one.findings or not one.cell.as_expected]


def _explain(run: RunFolder, record: RunRecord, cell: CellRecord) -> Explanation:
    """Take what the run stored; a run older than diagnosis, or one that was cut short, is diagnosed now."""
    findings = cell.diagnosis or find_causes(run, cell)
    is_well = cell.status is Status.PASSED and cell.as_expected
    is_odd = not findings and not is_well and not cell.status.is_left_out
    return Explanation(record.id, cell, findings, load_last_lines(run, cell) if is_odd else ())
