"""Which earlier results a run may take over: those of the newest run like it that has the cell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from orchestrator.carry import carry_over, recall_measurement
from orchestrator.model import Cell, Settings, Status
from orchestrator.record import CellInputs, CellRecord, Measurement, Noise, Part, RunRecord, Shard, Smoke
from orchestrator.store import Reports
from tests.unit.records import make_record, make_whole_image

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

INPUTS = CellInputs("sha256:d", "sha256:c")
RUNS = [f"2026112{day}T000000Z-abcdef" for day in range(1, 9)]
ALL = ("a", "b", "c")


def result(cell: str, status: Status = Status.PASSED) -> CellRecord:
    """Make a cell of which nothing has changed since it was built."""
    image = replace(make_whole_image(), base_layers=1)
    return CellRecord(cell, {}, status, Status.PASSED, as_expected=True, inputs=INPUTS, image=image, smoke=Smoke("skipped"))


def save(reports: Reports, at: int, *cells: CellRecord, **fields: Any) -> RunRecord:
    """Store the run of a day that had these cells."""
    run = replace(make_record(), id=RUNS[at], cells=cells, complete=True, interrupted=False, only=(), skip=())
    run = replace(run, **fields)
    reports.run(run.id).create()
    reports.run(run.id).save_record(run)
    return run


def carried(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Say which cells a run of today takes over, and from which run."""
    monkeypatch.setattr("orchestrator.carry.read_inputs", lambda *_: INPUTS)
    today = reports.run("20261130T000000Z-abcdef")
    shop = cast("Any", SimpleNamespace(keep=False, smoke=True, runner="auto", folder=reports.path, contexts=None, run=today))
    cells = [Cell(name, (), Settings()) for name in ALL]
    return {cell.id: cell.carried_from for cell in carry_over(shop, reports, replace(make_record(), id=today.id), cells)}


def test_each_cell_is_taken_from_the_newest_run_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of a plan have a cell each, and lie beside what they were merged into; so does a run of some cells."""
    reports = Reports(tmp_path)
    save(reports, 0, result("a"), result("b"))
    first = save(reports, 1, result("a"), shard=Shard(1, 2, ("a",)))
    save(reports, 2, result("b"), shard=Shard(2, 2, ("b",)))
    part = Part(
        first.id, Shard(1, 2, ("a",)), first.started_at, first.finished_at, first.environment, complete=True, interrupted=False
    )
    save(reports, 3, result("a"), result("b"), result("c"), parts=(part,))
    assert carried(reports, monkeypatch) == {"a": RUNS[1], "b": RUNS[2]}
    save(reports, 4, result("c"), only=("c",))
    assert carried(reports, monkeypatch) == {"a": RUNS[1], "b": RUNS[2], "c": RUNS[4]}


def test_a_night_of_many_parts_is_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are one run: the first of them is not too old to be found."""
    reports = Reports(tmp_path)
    for number in range(1, 60):
        cells = [result(ALL[0])] if number == 1 else []
        save(reports, 0, *cells, id=f"20261121T0000{number:02d}Z-abcdef", shard=Shard(number, 59, ()))
    assert carried(reports, monkeypatch) == {"a": "20261121T000001Z-abcdef"}
    for day in range(1, 8):
        save(reports, day, name="other", id=f"2026112{day + 1}T000000Z-abcdef")
    assert carried(reports, monkeypatch) == {"a": "20261121T000001Z-abcdef"}
    for hour in range(3):
        save(reports, 0, name="other", id=f"20261129T0{hour}0000Z-abcdef")
    assert carried(reports, monkeypatch) == {}, "behind ten runs nobody looks"


def test_how_times_were_taken_comes_with_them_where_all_are_of_one_run(tmp_path: Path) -> None:
    """Also from a run that had taken them over itself; what was measured on two days has no noise in common."""
    reports, build = Reports(tmp_path), make_record().cells[0].build
    on_monday, on_tuesday = (Measurement(7, seed, "a", (Noise("cold", (1.0,), (1.1,), 0.1),)) for seed in (1, 2))
    old, new = (replace(result("a"), build=build, carried_from=run) for run in RUNS[:2])
    save(reports, 0, result("a"), result("b"))
    save(reports, 1, old, result("c"), measurement=on_monday)
    today = replace(make_record(), id="20261130T000000Z-abcdef")
    alike, others = (old, replace(old, id="c"), result("b")), (old, replace(new, id="b"))
    assert recall_measurement(reports, today, alike[:1]) == on_monday
    assert recall_measurement(reports, today, alike) == on_monday
    assert recall_measurement(reports, today, others) is None
    assert recall_measurement(reports, today, [replace(old, carried_from=None)]) is None
    assert recall_measurement(reports, today, [result("a")]) is None
    save(reports, 2, new, measurement=on_tuesday, only=("a",))
    assert recall_measurement(reports, today, alike) is None, "the newest runs that have them timed them differently"


def test_an_older_result_does_not_stand_in_for_a_newer_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed the last time is built again, and what a whole run did not have is new; what was not tried has no result."""
    reports = Reports(tmp_path)
    save(reports, 0, result("c"))
    save(reports, 1, result("a"), result("b"))
    save(reports, 2, result("a", Status.BUILD_FAILED), result("b", Status.SKIPPED), complete=False)
    assert carried(reports, monkeypatch) == {"b": RUNS[1]}
