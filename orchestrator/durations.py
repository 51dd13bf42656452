"""What each cell took in an earlier run: for whoever has to deal cells out, or to start the longest first."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from orchestrator.errors import StoreError
from orchestrator.figures import load_figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.baseline import Selection
    from orchestrator.model import Cell
    from orchestrator.store import Reports

_LOOKED_AT = 20  # stored runs, the newest first
_ALL: Selection = ((), ())


def last_seconds(reports: Reports, name: str, *, whole: Selection | None = None) -> dict[str, float]:
    """Give the seconds of each cell in the newest run of this matrix that can be read; a run that built nothing tells nothing.

    Whoever deals cells out asks for a whole run, of all cells or of those that
    are dealt: parts are dealt at different times, and one must not be dealt by
    what another has taken meanwhile, nor by a run of other cells.
    """
    for run_id in reversed(reports.run_ids()[-_LOOKED_AT:]):
        try:
            figures = load_figures(reports.run(run_id))
        except StoreError:
            continue
        found = {cell.id: cell.took_s for cell in figures.cells if cell.took_s is not None}
        is_whole = figures.finished and not figures.is_shard and (figures.only, figures.skip) in (whole, _ALL)
        if figures.name == name and found and (is_whole or whole is None):
            return found
    return {}


def longest_first(cells: Iterable[Cell], seconds: Mapping[str, float]) -> list[Cell]:
    """Put what took longest first, so that no long cell is left for the end; one nobody timed is like the others."""
    usual = median(seconds.values()) if seconds else 0.0
    return sorted(cells, key=lambda cell: -seconds.get(cell.id, usual))
