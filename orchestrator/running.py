"""The cells of a plan that have no result yet: run in a good order, each result kept when it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.durations import longest_first
from orchestrator.events import Event
from orchestrator.execute import cells_at_once, run_cells
from orchestrator.model import Status
from orchestrator.record import CellRecord
from orchestrator.standins import find_stand_ins, lacking_reason
from orchestrator.tidying import clear_remains, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from orchestrator.model import Cell
    from orchestrator.settling import Settled
    from orchestrator.workshop import Workshop

    Carry = Callable[[Iterable[Cell]], Iterator[CellRecord]]

_IN_MEMORY = 100  # records; those of a longer run are read back at its end, so that it takes no more memory than a short one


def run_missing(
    settled: Settled, shop: Workshop, carried: Carry | None, read_seconds: Callable[[], Mapping[str, float]]
) -> dict[str, CellRecord]:
    """Run the cells that have no result yet, and cannot take one over; give the results of all that have one."""
    plan, options = settled.plan, settled.options
    few = len(plan.cells) <= _IN_MEMORY
    finished: dict[str, CellRecord | None] = {}
    if settled.earlier is not None:
        clear_remains(shop)
        finished = {cell.id: cell if few else None for cell in shop.run.load_cells() if cell.status is not Status.ERROR}
    broken: set[str] = set()
    stand_ins = find_stand_ins()

    def keep(record: CellRecord) -> None:
        record = shop.run.save_cell(record)
        finished[record.id] = record if few else None
        broken.update({record.id} if record.status is Status.ERROR else ())
        shop.emit(_ending(record))
        if options.fail_fast and not record.as_expected:
            shop.cancel.set()

    for cell in plan.cells:
        if cell.id not in finished and (reason := lacking_reason(stand_ins, cell)):
            keep(CellRecord(cell.id, dict(cell.axes), Status.SKIPPED, cell.expected, as_expected=True, reason=reason))
    todo = [cell for cell in plan.cells if cell.id not in finished]
    for old in carried(todo) if carried else ():
        keep(old)
    todo = [cell for cell in todo if cell.id not in finished]
    if 1 < shop.jobs < len(todo):  # else the order makes no difference
        todo = longest_first(todo, read_seconds())
    try:
        for record in _build_all(shop, todo) if todo else ():
            keep(record)
    except BaseException:
        shop.cancel.set()
        raise
    finally:
        tidy(shop, plan, was_cut_short=shop.cancel.is_set() or bool(broken))
    records = (cell for cell in finished.values() if cell) if few else shop.run.load_cells()
    return {cell.id: cell for cell in records if cell.id in finished}


def _build_all(shop: Workshop, cells: list[Cell]) -> Iterator[CellRecord]:
    """Build, measure and test cells; those of which nothing has changed first, since that takes no time."""
    from orchestrator.cell import run_cell  # noqa: PLC0415  # a run that takes all over from an earlier one builds nothing
    from orchestrator.together import GROUP, find_groups  # noqa: PLC0415  # as above

    groups = find_groups(shop, cells)
    ordered = sorted(cells, key=lambda cell: cell.id not in groups)
    at_once = cells_at_once(shop.jobs) + min(len(groups), 2 * GROUP)
    return run_cells(ordered, lambda cell: run_cell(shop, cell, groups.get(cell.id)), at_once=at_once, cancel=shop.cancel)


def _ending(record: CellRecord) -> Event:
    return Event("cell-finished", record.id, {"status": record.status, "as_expected": record.as_expected, "reason": record.reason})
