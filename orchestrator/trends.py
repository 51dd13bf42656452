"""The whole of `matrix history`: figures of all stored runs, and of the newest shifts what changed that day."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.errors import NothingSelectedError, StoreError, UsageError, did_you_mean
from orchestrator.figures import load_figures
from orchestrator.judge.compare import find_causes
from orchestrator.judge.history import TIME, History, Shift, make_history
from orchestrator.judge.surroundings import TIMED, WEIGHED, differing
from orchestrator.report.select import select_ids
from orchestrator.units import count, signed_megabytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.judge.differences import Cause
    from orchestrator.judge.kept import RunFigures
    from orchestrator.record import CellRecord, Environment
    from orchestrator.store import Reports

_MOST_DAYS = 10  # of shifts whose records are read: the figures alone are quick, the records behind them are not
_MOST_SHIFTS = 100


def load_history(reports: Reports, name: str | None, only: Sequence[str], skip: Sequence[str], last: int | None = None) -> History:
    """Read the runs of a matrix, by default that of the newest run; what cannot be read is named and left out."""
    found, left_out = _load_runs(reports, reports.run_ids())
    if not found:
        where = f"there are no finished runs in {reports.runs}; `matrix run{reports.options}` makes one"
        raise UsageError("; ".join([where, *left_out[:3]]))
    name = found[-1].name if name is None else name
    runs = [run for run in found if run.name == name]
    if not runs:
        known = sorted({run.name for run in found})
        message = f"no stored run is of the matrix '{name}'{did_you_mean(name, known) or '; there are ' + ', '.join(known)}"
        raise UsageError(message)
    others = len(found) - len(runs)
    if others:
        left_out.append(f"{count(others, 'run')} of other matrices, which --name chooses")
    runs = runs[-last:] if last else runs
    return _explain(reports, make_history(runs, _wanted(reports, runs, only, skip), left_out), runs)


def load_history_of(reports: Reports, run_ids: Sequence[str]) -> History | None:
    """Read these runs and no others, as far as they are of the newest one's matrix; None where none of them has ended."""
    found, left_out = _load_runs(reports, run_ids)
    runs = [run for run in found if run.name == found[-1].name]
    return _explain(reports, make_history(runs, None, left_out), runs) if runs else None


def _load_runs(reports: Reports, run_ids: Sequence[str]) -> tuple[list[RunFigures], list[str]]:
    found, left_out, shards = [], [], 0
    for run_id in run_ids:
        run = reports.run(run_id)
        try:
            figures = load_figures(run)
        except StoreError as error:
            left_out.append(f"run {run_id}: {str(error).replace(f'{run.path}{os.sep}', '')}")
            continue
        if figures.is_shard:
            shards += 1
        elif figures.finished:
            found.append(replace(figures, id=run_id))
        else:
            left_out.append(f"run {run_id} has not ended, or was killed; `matrix run{reports.options} --resume {run_id}` ends it")
    if shards:
        left_out.append(f"{count(shards, 'run')} of a part of a plan, which `matrix merge{reports.options}` makes one run of")
    return found, left_out


def _wanted(reports: Reports, runs: Sequence[RunFigures], only: Sequence[str], skip: Sequence[str]) -> frozenset[str] | None:
    if not only and not skip:
        return None
    cells = {cell.id: cell.axes for run in runs for cell in run.cells}
    if not cells:
        raise NothingSelectedError("the stored runs have no cells")
    axes = tuple(dict.fromkeys(axis for run in reversed(runs) for axis in run.axes))
    return select_ids(cells, axes, only, skip, f"`matrix history{reports.options}` lists them")


def _explain(reports: Reports, history: History, runs: Sequence[RunFigures]) -> History:
    """Say of the newest shifts what changed between the run that has it and the one before."""
    newest = sorted((shift for trend in history.trends for shift in trend.shifts), key=lambda shift: shift.run, reverse=True)
    days = list(dict.fromkeys(shift.run for shift in newest))[:_MOST_DAYS]
    environments = {run.id: run.environment for run in runs}
    reader = _Reader(reports)
    causes: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for shift in [shift for shift in newest if shift.run in days][:_MOST_SHIFTS]:
        causes[_key(shift)] = _causes_of(shift, reader, environments)
    trends = [
        replace(trend, shifts=tuple(replace(shift, causes=causes.get(_key(shift), ())) for shift in trend.shifts))
        for trend in history.trends
    ]
    return replace(history, trends=tuple(trends))


def _key(shift: Shift) -> tuple[str, str, str]:
    return shift.run, shift.cell, shift.metric


def _causes_of(shift: Shift, reader: _Reader, environments: Mapping[str, Environment]) -> tuple[str, ...]:
    if shift.crept:
        return ("it crept: no single run changed it by more than noise",)
    try:
        old, new = reader.cell(shift.before, shift.cell), reader.cell(shift.run, shift.cell)
    except StoreError:
        old = new = None
    if old is None or new is None:
        return ("its record cannot be read any more",)
    fields = differing(environments[shift.before], environments[shift.run], TIMED if shift.metric == TIME else WEIGHED)
    return tuple(map(_render_cause, find_causes(old, new, fields)))


def _render_cause(cause: Cause) -> str:
    return cause.title if cause.bytes is None else f"{cause.title} ({signed_megabytes(cause.bytes)} MB unpacked)"


class _Reader:
    """Cells of stored runs, each read once: from files of their own, or from a run that came without those."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._known: dict[tuple[str, str], CellRecord | None] = {}
        self._whole: set[str] = set()

    def cell(self, run_id: str, cell_id: str) -> CellRecord | None:
        key = run_id, cell_id
        if key not in self._known and run_id not in self._whole:
            run = self._reports.run(run_id)
            self._known[key] = run.load_cell(cell_id)
            if self._known[key] is None:
                self._whole.add(run_id)
                self._known |= {(run_id, cell.id): cell for cell in run.load().cells}
        return self._known.get(key)
