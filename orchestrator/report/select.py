"""--only and --skip on stored runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.errors import NothingSelectedError
from orchestrator.model import Cell, Plan, Settings
from orchestrator.plan.select import choose_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.record import RunRecord


def select_records(record: RunRecord, only: Sequence[str], skip: Sequence[str], typed: str = "") -> RunRecord:
    """Keep the cells of a run, which somebody named by these words, that are asked for, by the same rules as for a plan."""
    if not only and not skip:
        return record
    axes = {cell.id: cell.axes for cell in record.cells}
    return _keep(record, select_ids(axes, record.axes, only, skip, f"`matrix report {typed or record.id}` lists those of the run"))


def select_pair(
    old: RunRecord, new: RunRecord, only: Sequence[str], skip: Sequence[str], options: str = ""
) -> tuple[RunRecord, RunRecord]:
    """Keep the cells of two runs that are asked for; one that only one of them has is enough."""
    if not only and not skip:
        return old, new
    axes = {cell.id: cell.axes for run in (old, new) for cell in run.cells}
    hint = f"`matrix report{options} RUN` lists those of a run"
    wanted = select_ids(axes, tuple(dict.fromkeys((*new.axes, *old.axes))), only, skip, hint)
    return _keep(old, wanted), _keep(new, wanted)


def select_ids(
    cells: Mapping[str, Mapping[str, str]],
    axes: Iterable[str],
    only: Sequence[str],
    skip: Sequence[str],
    hint: str,
) -> frozenset[str]:
    """Give the ids that are asked for, of cells with these axes; what lists them is not the plan of today."""
    planned = tuple(Cell(cell_id, tuple(values.items()), Settings()) for cell_id, values in cells.items())
    try:
        return frozenset(cell.id for cell in choose_cells(Plan("", tuple(axes), planned, ()), only, skip).cells)
    except NothingSelectedError as error:
        words = " ".join([*(f"--only {word}" for word in only), *(f"--skip {word}" for word in skip)])
        message = f"no cell is left by {words}; {hint}"
        raise NothingSelectedError(message) from error


def _keep(record: RunRecord, wanted: frozenset[str]) -> RunRecord:
    return replace(record, cells=tuple(cell for cell in record.cells if cell.id in wanted), excerpt_of=len(record.cells))
