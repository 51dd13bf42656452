"""What `matrix trace` shows: the list, a waterfall or a comparison, by how many cells are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.errors import ExitCode, UsageError
from orchestrator.report.select import select_records
from orchestrator.tracing.data import dump_comparison, dump_list, dump_waterfall
from orchestrator.tracing.stored import load_cell, load_run
from orchestrator.tracing.terminal import render_comparison, render_list, render_waterfall

if TYPE_CHECKING:
    from orchestrator.store import RunFolder
    from orchestrator.tracing.columns import Sheet

FORMATS = ("text", "json")
_MOST = 2  # cells that can be laid side by side


class Asked(Struct, frozen=True):
    """What of a run's traces somebody wants to see."""

    cells: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    details: bool = False
    typed: str = ""  # what somebody typed to name the run

    def check(self) -> None:
        """Refuse what would be ignored."""
        if len(self.cells) > _MOST:
            message = f"{len(self.cells)} cells are too many: none lists all, one draws its waterfall, two are compared"
            raise UsageError(message)
        if self.cells and (self.only or self.skip):
            raise UsageError("--only and --skip choose the cells of the list; leave them out where cells are named")
        if self.details and len(self.cells) != 1:
            raise UsageError("--details is for the waterfall of one cell; name that cell")


def view_traces(run: RunFolder, asked: Asked, sheet: Sheet | None) -> tuple[str, ExitCode]:
    """Show what is asked for, as JSON where there is no sheet; a damaged trace in the list is said, and no success."""
    asked.check()
    record = run.load()
    match [load_cell(run, record, name, asked.typed) for name in asked.cells]:
        case [cell]:
            if sheet is None:
                return dump_waterfall(record, cell, details=asked.details), ExitCode.OK
            return render_waterfall(record, cell, sheet, details=asked.details), ExitCode.OK
        case [left, right]:
            return dump_comparison(record, left, right) if sheet is None else render_comparison(
                record, left, right, sheet
            ), ExitCode.OK
    traced = load_run(run, select_records(record, asked.only, asked.skip, asked.typed))
    return dump_list(traced) if sheet is None else render_list(traced, sheet), ExitCode.USAGE if traced.damaged else ExitCode.OK
