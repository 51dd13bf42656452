"""What was foretold of a cell against what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.model import Status
from orchestrator.preflight.nouns import Outlook

if TYPE_CHECKING:
    from orchestrator.record import CellRecord, RunRecord

_FAILS = (Outlook.FAILED, Outlook.LIKELY)
_BUILT = (Status.PASSED, Status.SMOKE_FAILED)


class Comparison(Struct, frozen=True):
    """One cell: what was foretold, what came, and whether that was right; None where nobody can say."""

    cell: str
    foretold: str
    happened: str
    right: bool | None
    why: tuple[str, ...]


def foretell(record: RunRecord) -> tuple[Comparison, ...]:
    """Compare the forecasts that a run knew with its outcome; cells without a forecast, or never built, are left out."""
    return tuple(found for cell in record.cells if (found := _compare(cell)) is not None)


def _compare(cell: CellRecord) -> Comparison | None:
    if cell.foretold is None or cell.status in (Status.SKIPPED, Status.EXCLUDED):
        return None
    built = has_built(cell)
    right = None if built is None or cell.foretold.outlook == Outlook.UNKNOWN else built is (cell.foretold.outlook not in _FAILS)
    seconds = f" in {cell.build.wall_s:.1f} s" if cell.build else ""
    happened = {True: f"built{seconds}", False: f"build-failed{seconds}", None: str(cell.status)}[built]
    return Comparison(cell.id, cell.foretold.outlook, happened, right, cell.foretold.why)


def has_built(cell: CellRecord) -> bool | None:
    """Tell whether a cell's build came to its end; None where something else ended it, such as the engine or a time limit."""
    if cell.status in _BUILT or (cell.status is Status.TIMEOUT and cell.image is not None):
        return True
    return False if cell.status is Status.BUILD_FAILED else None
