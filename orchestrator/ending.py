"""How a run ended: whether a cell did as expected, all results in the plan's order, and the exit code that its caller gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.errors import ExitCode
from orchestrator.measure.unique import find_unique
from orchestrator.model import Cell, Plan, Status
from orchestrator.record import CellRecord, RunRecord, Smoke

if TYPE_CHECKING:
    from datetime import datetime


def ended_as_expected(record: CellRecord, cell: Cell) -> bool:
    """Tell whether a cell ended as expected; a check that was not run has not shown that it would pass, or end in time."""
    smoke = record.smoke or Smoke("skipped")
    has_untried = bool(cell.settings.smoke) and (
        smoke.outcome == "skipped" or any(one.outcome == "skipped" for one in smoke.checks)
    )
    if record.status is Status.PASSED and has_untried:
        return cell.expected in {Status.PASSED, Status.SMOKE_FAILED, Status.TIMEOUT}
    return record.status is cell.expected


def finish_record(record: RunRecord, plan: Plan, cells: dict[str, CellRecord], at: datetime, *, interrupted: bool) -> RunRecord:
    """Put the results in the plan's order, the excluded combinations behind them."""
    done = [cells[cell.id] for cell in plan.cells if cell.id in cells]
    left_out = [
        CellRecord(cell.id, dict(cell.axes), Status.EXCLUDED, Status.EXCLUDED, as_expected=True, reason=cell.reason)
        for cell in plan.excluded
    ]
    return replace(
        record,
        finished_at=at,
        complete=len(done) == len(plan.cells),
        interrupted=interrupted,
        environment=replace(record.environment, stand_in_bases=_stand_ins_of(done)),
        cells=(*find_unique(done), *left_out),
    )


def _stand_ins_of(cells: list[CellRecord]) -> tuple[str, ...]:
    """Name the bases that only stood for the real ones, by the label that an image has from the one that it starts with.

    Which of several that is, the label does not say.
    """
    found = {(tuple(base.ref for base in cell.inputs.base), cell.inputs.stand_in) for cell in cells if cell.inputs.stand_in}
    return tuple(f"{'one of ' * (len(refs) > 1)}{', '.join(refs)} ({made_from})" for refs, made_from in sorted(found) if refs)


def exit_code_of(record: RunRecord) -> ExitCode:
    """Judge a run as its caller will: by what was expected, and then by its gates.

    What says least of the product comes first: a run that was cut short or that
    the engine failed has not been judged, and a cell that ended unexpectedly
    has no figure that a limit could hold.
    """
    if record.interrupted:
        return ExitCode.INTERRUPTED
    if any(cell.status is Status.ERROR and not cell.as_expected for cell in record.cells):
        return ExitCode.ENGINE
    has_all = not record.parts or {cell.id for cell in record.cells}.issuperset(record.planned)
    if not has_all or not all(cell.as_expected for cell in record.cells):
        return ExitCode.UNEXPECTED
    return ExitCode.GATE if any(gate.passed is False for gate in record.gates) else ExitCode.OK
