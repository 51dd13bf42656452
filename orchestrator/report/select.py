"""--only and --skip on a stored run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.model import Cell, Plan, Settings
from orchestrator.plan.select import select_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.record import RunRecord


def select_records(record: RunRecord, only: Sequence[str], skip: Sequence[str]) -> RunRecord:
    """Keep the cells of a run that are asked for, by the same rules as for a plan."""
    if not only and not skip:
        return record
    cells = tuple(Cell(cell.id, tuple(cell.axes.items()), Settings()) for cell in record.cells)
    wanted = {cell.id for cell in select_cells(Plan(record.name, record.axes, cells, ()), only, skip).cells}
    return replace(record, cells=tuple(cell for cell in record.cells if cell.id in wanted), excerpt_of=len(record.cells))
