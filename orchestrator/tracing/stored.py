"""The traces of a stored run: found, read and laid out, and why one is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.errors import MatrixError, NothingSelectedError, StoreError, UsageError, did_you_mean
from orchestrator.smoke.words import one_line
from orchestrator.tracing.otlp import NotATraceError, load_lines
from orchestrator.tracing.waterfall import Waterfall, make_waterfall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.store import RunFolder
    from orchestrator.tracing.spans import Span


class TracedCell(Struct, frozen=True):
    """A cell and where its time went."""

    record: CellRecord
    waterfall: Waterfall


class TracedRun(Struct, frozen=True):
    """A run's cells by time, the longest first; those that were never traced, and those whose trace cannot be read."""

    record: RunRecord
    cells: tuple[TracedCell, ...]
    untraced: tuple[CellRecord, ...]
    damaged: tuple[tuple[CellRecord, str], ...]


def load_cell(run: RunFolder, record: RunRecord, name: str, typed: str = "") -> TracedCell:
    """Read the trace of one cell of a run, which somebody named by these words."""
    cell = next((cell for cell in record.cells if cell.id == name), None)
    if cell is None:
        ids = [cell.id for cell in record.cells]
        hint = did_you_mean(name, ids) or f"; `matrix trace {typed or record.id}` lists those with a trace"
        raise UsageError(one_line(f"run {record.id} has no cell '{name}'{hint}"))
    waterfall = load_waterfall(run, cell)
    if waterfall is None:
        never_built = cell.status.is_left_out
        why = f"it was {cell.status}" if never_built else f"{run.trace_path(cell.id)} is not there"
        message = f"cell '{cell.id}' of run {record.id} has no trace: {why}"
        raise NothingSelectedError(one_line(message))
    return TracedCell(cell, waterfall)


def load_run(run: RunFolder, record: RunRecord) -> TracedRun:
    """Read the traces of all cells of a run; a damaged one takes no other with it."""
    traced, untraced, damaged = [], [], []
    for cell in record.cells:
        try:
            waterfall = load_waterfall(run, cell)
        except StoreError as error:
            damaged.append((cell, str(error)))
            continue
        if waterfall is None:
            untraced.append(cell)
        else:
            traced.append(TracedCell(cell, waterfall))
    if not traced and not damaged:
        raise _without_traces(run, record)
    traced.sort(key=lambda cell: -cell.waterfall.wall_ns)
    return TracedRun(record, tuple(traced), tuple(untraced), tuple(damaged))


def _without_traces(run: RunFolder, record: RunRecord) -> MatrixError:
    """Say why there is nothing to show: cells without a trace, or a run that has lost all but its record."""
    if not run.path.joinpath("cells").is_dir():
        return StoreError(
            f"there is no folder of cells in {run.path}; if the run was made on another machine, copy its whole folder"
        )
    counted = "the only cell" if len(record.cells) == 1 else f"none of the {len(record.cells)} cells"
    verb = "has no" if len(record.cells) == 1 else "has a"
    return NothingSelectedError(f"{counted} of run {record.id} {verb} trace; `matrix run` leaves one for each that it builds")


def load_waterfall(run: RunFolder, cell: CellRecord) -> Waterfall | None:
    """Read where a cell's time went; None when it has no trace, StoreError when the trace cannot be read."""
    text = run.read_trace(cell.id)
    if text is None:
        return None
    try:
        return make_waterfall(load_lines(text))
    except NotATraceError as error:
        message = f"{run.trace_path(cell.id)} is damaged: {error}"
        raise StoreError(message) from error


def load_all_spans(run: RunFolder, cells: Sequence[str], typed: str = "") -> list[Span]:
    """Read the spans of a run and of all its cells, or of the cells that are named, as they are."""
    record = run.load()
    if cells:
        wanted: list[str | None] = [load_cell(run, record, name, typed).record.id for name in cells]
    else:
        wanted = [None, *(cell.id for cell in record.cells)]
    spans = [span for name in wanted for span in _load_spans(run, name)]
    if not spans:
        raise _without_traces(run, record)
    return spans


def _load_spans(run: RunFolder, cell: str | None) -> list[Span]:
    try:
        return load_lines(run.read_trace(cell) or "")
    except NotATraceError as error:
        message = f"{run.trace_path(cell)} is damaged: {error}"
        raise StoreError(message) from error
