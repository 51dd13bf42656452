"""What each cell took in an earlier run: for whoever has to deal cells out, or to start the longest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import StoreError

if TYPE_CHECKING:
    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.store import Reports

_LOOKED_AT = 20  # stored runs, the newest first


def last_seconds(reports: Reports, name: str) -> dict[str, float]:
    """Give the seconds of each cell in the newest run of this matrix that can be read; a run that built nothing tells nothing."""
    for run in reversed(reports.run_ids()[-_LOOKED_AT:]):
        try:
            record = reports.find(run).load()
        except StoreError:
            continue
        if record.name == name and (found := seconds_of(record)):
            return found
    return {}


def seconds_of(record: RunRecord) -> dict[str, float]:
    """Give the seconds that each cell of a run took, checks included."""
    return {cell.id: seconds for cell in record.cells if (seconds := _seconds(cell)) is not None}


def _seconds(cell: CellRecord) -> float | None:
    if cell.build is None:
        return None
    checks = cell.smoke.checks if cell.smoke else ()
    return (cell.build.alone_s or cell.build.wall_s) + sum(check.duration_s or 0.0 for check in checks)
