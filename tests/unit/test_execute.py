"""Cells side by side: bounded, independent, and stopped when asked to."""

from __future__ import annotations

from threading import Barrier, Event, Lock

import pytest

from orchestrator.errors import DiskFullError
from orchestrator.execute import run_cells, usual_jobs
from orchestrator.model import Cell, Settings, Status
from orchestrator.record import CellRecord
from orchestrator.workshop import CancelledError

PATIENCE_S = 10.0


def cells(*ids: str) -> list[Cell]:
    """Make cells."""
    return [Cell(cell_id, (("a", cell_id),), Settings()) for cell_id in ids]


def passed(cell: Cell) -> CellRecord:
    """Make a cell's record at once."""
    return CellRecord(cell.id, dict(cell.axes), Status.PASSED, Status.PASSED, as_expected=True)


@pytest.mark.parametrize(("cpus", "jobs"), [(0, 2), (1, 2), (2, 2), (5, 5), (8, 8), (64, 8)])
def test_as_many_cells_are_built_at_once_as_there_are_processors(cpus: int, jobs: int) -> None:
    """Two where there are fewer, or nobody knows; no more than disk and network can follow."""
    assert usual_jobs(cpus) == jobs


def test_every_cell_has_its_record() -> None:
    """All cells are run, one at once or all."""
    for at_once in (1, 8):
        found = run_cells(cells("a", "b", "c"), passed, at_once=at_once, cancel=Event())
        assert sorted(record.id for record in found) == ["a", "b", "c"]
    assert list(run_cells([], passed, at_once=2, cancel=Event())) == []


def test_one_by_one_cells_run_in_the_order_of_the_plan() -> None:
    """One at a time means in order."""
    order: list[str] = []

    def work(cell: Cell) -> CellRecord:
        order.append(cell.id)
        return passed(cell)

    list(run_cells(cells(*"edcba"), work, at_once=1, cancel=Event()))
    assert order == list("edcba")


def test_a_cell_that_ends_early_is_given_early() -> None:
    """Records come as cells end, not in the order in which they began."""
    first_may_end = Event()

    def work(cell: Cell) -> CellRecord:
        if cell.id == "slow":
            assert first_may_end.wait(PATIENCE_S)
        return passed(cell)

    found = []
    for record in run_cells(cells("slow", "quick", "quicker"), work, at_once=2, cancel=Event()):
        found.append(record.id)
        if len(found) == 2:
            first_may_end.set()
    assert found == ["quick", "quicker", "slow"]


def test_never_more_cells_at_once_than_may_be() -> None:
    """As many cells as may really run side by side, and never one more."""
    at_once, lock, side_by_side = 3, Lock(), Barrier(3)
    now = most = 0

    def work(cell: Cell) -> CellRecord:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        side_by_side.wait(PATIENCE_S)  # is passed only by three at once
        with lock:
            now -= 1
        return passed(cell)

    assert len(list(run_cells(cells(*"abcdefghi"), work, at_once=at_once, cancel=Event()))) == 9
    assert most == at_once


def test_a_cell_that_fails_stops_no_other() -> None:
    """Failure is a record like any other."""

    def work(cell: Cell) -> CellRecord:
        failed = cell.id == "b"
        return CellRecord(cell.id, {}, Status.ERROR if failed else Status.PASSED, Status.PASSED, as_expected=not failed)

    found = {record.id: record.status for record in run_cells(cells("a", "b", "c"), work, at_once=2, cancel=Event())}
    assert found == {"a": Status.PASSED, "b": Status.ERROR, "c": Status.PASSED}


def test_after_a_cancellation_no_further_cell_begins() -> None:
    """What is under way may end; what has not begun does not begin."""
    cancel, begun = Event(), []

    def work(cell: Cell) -> CellRecord:
        begun.append(cell.id)
        return passed(cell)

    found = []
    for record in run_cells(cells(*"abcdef"), work, at_once=1, cancel=cancel):
        found.append(record.id)
        if record.id == "b":
            cancel.set()
    assert found[:2] == ["a", "b"]
    assert begun == found
    assert len(begun) <= 3


def test_a_cancelled_cell_has_no_record() -> None:
    """A cell that was stopped half-way is left for the next run, and those that ended are kept."""
    cancel = Event()

    def work(cell: Cell) -> CellRecord:
        if cell.id == "a":
            cancel.set()
            raise CancelledError
        return passed(cell)

    assert list(run_cells(cells("a", "b"), work, at_once=1, cancel=cancel)) == []


@pytest.mark.parametrize("error", [DiskFullError("no room"), ZeroDivisionError("ours")], ids=["disk", "bug"])
def test_what_no_cell_can_help_ends_the_run(error: Exception) -> None:
    """A full disk or a bug of ours is raised, after the cells under way have been told and have ended."""
    cancel, other_began, ended = Event(), Event(), []

    def work(cell: Cell) -> CellRecord:
        if cell.id == "bad":
            assert other_began.wait(PATIENCE_S)
            raise error
        other_began.set()
        assert cancel.wait(PATIENCE_S)
        ended.append(cell.id)
        raise CancelledError

    with pytest.raises(type(error), match=str(error)):
        list(run_cells(cells("bad", "other", "never"), work, at_once=2, cancel=cancel))
    assert ended == ["other"]


def test_what_is_finished_when_another_breaks_is_kept() -> None:
    """Beside it or after it: only then does the run end."""
    cancel = Event()

    def work(cell: Cell) -> CellRecord:
        if cell.id == "bad":
            raise ZeroDivisionError
        assert cancel.wait(PATIENCE_S)
        return passed(cell)

    found: list[str] = []
    with pytest.raises(ZeroDivisionError):
        found.extend(record.id for record in run_cells(cells("a", "bad", "b", "never"), work, at_once=3, cancel=cancel))
    assert sorted(found) == ["a", "b"]


def test_a_caller_that_stops_listening_cancels_the_rest() -> None:
    """When the loop over the records is left, cells under way are told to stop and none is left running."""
    cancel, ended = Event(), Event()

    def work(cell: Cell) -> CellRecord:
        if cell.id == "first":
            return passed(cell)
        assert cancel.wait(PATIENCE_S)
        ended.set()
        raise CancelledError

    records = run_cells(cells("first", "second"), work, at_once=2, cancel=cancel)
    assert next(iter(records)).id == "first"
    records.close()  # type: ignore[attr-defined]  # a generator
    assert ended.is_set()
