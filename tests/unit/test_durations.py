"""What cells took the last time, and the order that follows from it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.durations import last_seconds, longest_first
from orchestrator.model import Cell, Settings
from orchestrator.record import Shard
from orchestrator.store import Reports
from tests.unit.pairs import make_cell, make_run

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.record import RunRecord


def cells(*ids: str) -> list[Cell]:
    """Make cells."""
    return [Cell(cell_id, (("a", cell_id),), Settings()) for cell_id in ids]


def keep(reports: Reports, record: RunRecord) -> None:
    """Store a run."""
    run = reports.run(record.id)
    run.create()
    run.save_record(record)


def test_what_took_longest_the_last_time_begins_first() -> None:
    """A cell that nobody timed is like the middle one; equals stay in the order of the plan."""
    seconds = {"short": 1.0, "long": 60.0, "usual": 10.0, "like it": 10.0}
    order = longest_first(cells("short", "usual", "new", "like it", "long"), seconds)
    assert [cell.id for cell in order] == ["long", "usual", "new", "like it", "short"]


def test_without_an_earlier_run_cells_begin_in_the_order_of_the_plan() -> None:
    """Nothing is known, so nothing is moved; times of cells that are gone move nothing either."""
    assert [cell.id for cell in longest_first(cells(*"cab"), {})] == list("cab")
    assert [cell.id for cell in longest_first(cells(*"cab"), {"gone": 3.0})] == list("cab")
    assert longest_first([], {"gone": 3.0}) == []


def test_the_seconds_are_those_of_the_newest_run_of_this_matrix_that_built_something(tmp_path: Path) -> None:
    """A run of another matrix, one that built nothing and one that is damaged are passed over."""
    reports = Reports(tmp_path)
    assert last_seconds(reports, "otel-python") == {}
    cell = make_cell()
    assert cell.build is not None
    timed = replace(cell, build=replace(cell.build, wall_s=50.0, alone_s=40.0), smoke=None)
    keep(reports, make_run(timed, day=0))
    keep(reports, replace(make_run(replace(timed, build=replace(cell.build, alone_s=7.0)), day=1), name="other"))
    keep(reports, make_run(replace(timed, build=None), day=2))
    damaged = reports.run(make_run(day=3).id)
    damaged.create()
    damaged.save_text("run.json", "{")
    assert last_seconds(reports, "otel-python") == {cell.id: 40.0}
    slow = replace(make_run(replace(timed, build=replace(cell.build, alone_s=99.0)), day=3), id="20261209T050607Z-abc123")
    keep(reports, replace(slow, shard=Shard(1, 2, (cell.id,))))
    assert last_seconds(reports, "otel-python") == {cell.id: 99.0}
    whole = partial(last_seconds, reports, "otel-python")
    assert whole(whole=((), ())) == {cell.id: 40.0}, "parts are dealt by what no part has changed"
    keep(reports, replace(slow, id="20261210T050607Z-abc123", only=("python=3.12",)))
    assert whole(whole=((), ())) == {cell.id: 40.0}, "nor are they by a run of some cells"
    assert whole(whole=(("base=slim",), ())) == {cell.id: 40.0}
    assert whole(whole=(("python=3.12",), ())) == {cell.id: 99.0}, "unless they are the same"
    reports.remove_all(lambda run_id: run_id == "20261210T050607Z-abc123")
    reports.remove_all(lambda run_id: run_id == slow.id)
    keep(reports, make_run(replace(timed, build=replace(cell.build, wall_s=50.0, alone_s=None)), day=4))
    assert last_seconds(reports, "otel-python") == {cell.id: 50.0}
