"""The figures of many runs to a trend for each cell, and the runs at which it shifted by more than chance."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.judge.noise import size_noise
from orchestrator.judge.surroundings import differing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from orchestrator.judge.kept import CellFigures, RunFigures
    from orchestrator.model import Status

SCHEMA = 1
SIZE, TIME, OUTCOME = "size", "time", "outcome"


class Shift(Struct, frozen=True):
    """A figure of a cell that is another from some run on; `before` is the run that last had the cell."""

    cell: str
    metric: str  # size, time or outcome
    run: str
    before: str
    at: datetime
    old: float | str
    new: float | str
    crept: bool = False  # no single run changed it by more than noise
    causes: tuple[str, ...] = ()


class Outcome(Struct, frozen=True):
    """How a cell ended in one run."""

    status: Status
    as_expected: bool


_make_outcome = cache(Outcome)  # a hundred thousand, of a few kinds


class Trend(Struct, frozen=True):
    """A cell over all runs, in their order; None where a run has no such figure."""

    cell: str
    axes: Mapping[str, str]
    outcomes: tuple[Outcome | None, ...]
    sizes_bytes: tuple[int | None, ...]
    estimated: tuple[bool, ...]
    cold_s: tuple[float | None, ...]
    shifts: tuple[Shift, ...] = ()


class RunPoint(Struct, frozen=True):
    """One run of a history."""

    id: str
    started_at: datetime
    exit_code: int


class History(Struct, frozen=True):
    """All that is known of a matrix over its stored runs, the oldest first."""

    schema: int
    name: str
    runs: tuple[RunPoint, ...]
    trends: tuple[Trend, ...]
    left_out: tuple[str, ...] = ()


def make_history(runs: Sequence[RunFigures], wanted: frozenset[str] | None, left_out: Sequence[str] = ()) -> History:
    """Lay runs of one matrix side by side; cells in the order of the newest run, those that it lacks behind them."""
    ids = dict.fromkeys(cell.id for run in reversed(runs) for cell in run.cells)
    by_id = [{cell.id: cell for cell in run.cells} for run in runs]
    alike = _Likeness(runs)
    trends = [
        _make_trend([cells.get(cell_id) for cells in by_id], runs, alike) for cell_id in ids if wanted is None or cell_id in wanted
    ]
    return History(
        schema=SCHEMA,
        name=runs[-1].name if runs else "",
        runs=tuple(RunPoint(run.id, run.started_at, run.exit_code) for run in runs),
        trends=tuple(trends),
        left_out=tuple(left_out),
    )


class _Likeness:
    """Whether the times of two runs may be compared, and by how much they differ by chance; asked for each cell, answered once."""

    def __init__(self, runs: Sequence[RunFigures]) -> None:
        self._runs = runs
        self._known: dict[tuple[int, int], float | None] = {}

    def noise(self, old: int, new: int) -> float | None:
        """Give the larger noise floor as a share; None where the machines differ or a floor is not known."""
        if (old, new) not in self._known:
            before, after = self._runs[old], self._runs[new]
            floors = before.noise, after.noise
            comparable = before.environment == after.environment or not differing(before.environment, after.environment)
            known = [floor for floor in floors if floor is not None]
            self._known[old, new] = max(known) if comparable and len(known) == len(floors) else None
        return self._known[old, new]


def _make_trend(cells: Sequence[CellFigures | None], runs: Sequence[RunFigures], alike: _Likeness) -> Trend:
    newest = next(cell for cell in reversed(cells) if cell is not None)
    shifts = [*_size_shifts(cells, runs), *_time_shifts(cells, runs, alike), *_outcome_shifts(cells, runs)]
    return Trend(
        cell=newest.id,
        axes=newest.axes,
        outcomes=tuple(_make_outcome(cell.status, cell.as_expected) if cell else None for cell in cells),
        sizes_bytes=tuple(cell.compressed_bytes if cell else None for cell in cells),
        estimated=tuple(cell.compressed_estimated if cell else False for cell in cells),
        cold_s=tuple(cell.cold_s if cell else None for cell in cells),
        shifts=tuple(sorted(shifts, key=lambda shift: shift.run)),
    )


def _size_shifts(cells: Sequence[CellFigures | None], runs: Sequence[RunFigures]) -> Iterator[Shift]:
    """Find the runs at which a size left the level at which it had been since the last shift."""
    level = last = None
    last_run = 0
    for at, cell in enumerate(cells):
        if cell is None or cell.compressed_bytes is None:
            continue
        if level is None or last is None:
            level = cell
        elif _differs(level, cell):
            crept = not _differs(last, cell)
            old, new = _sizes(level if crept else last, cell) or (0, 0)
            yield Shift(cell.id, SIZE, runs[at].id, runs[last_run].id, runs[at].started_at, old, new, crept=crept)
            level = cell
        last, last_run = cell, at


def _sizes(old: CellFigures, new: CellFigures) -> tuple[int, int] | None:
    """Give two sizes that mean the same: unpacked ones where one of the compressed is an estimate."""
    if old.compressed_estimated == new.compressed_estimated:
        return old.compressed_bytes or 0, new.compressed_bytes or 0
    if old.uncompressed_bytes is None or new.uncompressed_bytes is None:
        return None
    return old.uncompressed_bytes, new.uncompressed_bytes


def _differs(old: CellFigures, new: CellFigures) -> bool:
    sizes = _sizes(old, new)
    return sizes is not None and abs(sizes[1] - sizes[0]) > size_noise(sizes[0])


def _time_shifts(cells: Sequence[CellFigures | None], runs: Sequence[RunFigures], alike: _Likeness) -> Iterator[Shift]:
    """Find the same for isolated times; on another machine a new level begins, and nothing is said."""
    level = last = None
    for at, cell in enumerate(cells):
        if cell is None or cell.cold_s is None:
            continue
        now = (at, cell.cold_s)
        if level is None or last is None or alike.noise(last[0], at) is None:
            level = now
        elif _is_beyond(level, now, alike):
            crept = not _is_beyond(last, now, alike)
            old = level if crept else last
            yield Shift(cell.id, TIME, runs[at].id, runs[last[0]].id, runs[at].started_at, old[1], now[1], crept=crept)
            level = now
        last = now


def _is_beyond(old: tuple[int, float], new: tuple[int, float], alike: _Likeness) -> bool:
    noise = alike.noise(old[0], new[0])
    return noise is not None and abs(new[1] - old[1]) > noise * old[1]


def _outcome_shifts(cells: Sequence[CellFigures | None], runs: Sequence[RunFigures]) -> Iterator[Shift]:
    """Find the runs at which a cell ended otherwise than the time before."""
    last = None
    last_run = 0
    for at, cell in enumerate(cells):
        if cell is None:
            continue
        if last is not None and (last.status, last.as_expected) != (cell.status, cell.as_expected):
            old, new = _words_of(last), _words_of(cell)
            yield Shift(cell.id, OUTCOME, runs[at].id, runs[last_run].id, runs[at].started_at, old, new)
        last, last_run = cell, at


def _words_of(cell: CellFigures) -> str:
    return str(cell.status) if cell.as_expected else f"{cell.status} (unexpected)"
