"""Many runs as trends: the day a figure shifted, what changed that day, and what could not be read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator import trends
from orchestrator.errors import NothingSelectedError, UsageError
from orchestrator.judge.compare import compare_runs
from orchestrator.judge.history import Outcome, make_history
from orchestrator.judge.kept import make_figures
from orchestrator.model import Status
from orchestrator.report.history import render_history
from orchestrator.report.sparkline import draw_figures, draw_outcomes
from orchestrator.store import Reports
from orchestrator.trends import load_history
from tests.unit.golden import assert_golden
from tests.unit.pairs import MACHINE, make_cell, make_image, make_run, with_dockerfile_line, with_moved_base, with_newer_package
from tests.unit.records import HOSTILE, make_hostile_record, make_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from orchestrator.judge.history import Shift
    from orchestrator.record import CellRecord, RunRecord


def keep(reports: Reports, runs: Iterable[RunRecord], *, apart: bool = True) -> Reports:
    """Store runs, with a file for each cell as a run leaves it, or without as a merged one may."""
    for record in runs:
        run = reports.run(record.id)
        run.create()
        run.save_record(record)
        for cell in record.cells if apart else ():
            run.save_cell(cell)
    return reports


def sized(size: int | None, *, estimated: bool = False, unpacked: int | None = 180_000_000) -> CellRecord:
    """Make a cell of this size."""
    image = replace(make_image(), compressed_bytes=size, compressed_estimated=estimated, uncompressed_bytes=unpacked)
    return replace(make_cell(), image=image)


def shifts_of(cells: Sequence[CellRecord | None], *, noise: float | None = None) -> list[Shift]:
    """Find the shifts of a cell over runs, one a day."""
    runs = [
        make_run(cell, day=day, noise=noise) if cell else replace(make_run(day=day), cells=()) for day, cell in enumerate(cells)
    ]
    (trend,) = make_history(list(map(make_figures, runs)), None).trends
    return list(trend.shifts)


def test_a_size_shifts_on_the_day_it_leaves_its_level() -> None:
    """Chance is no shift; a day without the cell is no end of a level."""
    found = shifts_of([sized(50_000_000), sized(50_020_000), None, sized(52_000_000), sized(52_010_000), sized(50_000_000)])
    assert [(shift.run[6:8], shift.before[6:8], shift.old, shift.new, shift.crept) for shift in found] == [
        ("24", "22", 50_020_000, 52_000_000, False),
        ("26", "25", 52_010_000, 50_000_000, False),
    ]


def test_what_creeps_is_found_and_no_day_is_accused() -> None:
    """Each night a little less than noise adds up; the shift says so."""
    (found, *_) = shifts_of([sized(50_000_000 + 20_000 * day) for day in range(4)])
    assert (found.crept, found.old, found.new) == (True, 50_000_000, 50_040_000)


def test_an_estimate_is_no_shift() -> None:
    """A change of the image store changes the compressed figure, and unpacked sizes decide."""
    assert shifts_of([sized(50_000_000), sized(51_000_000, estimated=True)]) == []
    (found,) = shifts_of([sized(50_000_000), sized(51_000_000, estimated=True, unpacked=190_000_000)])
    assert (found.old, found.new) == (180_000_000, 190_000_000)
    assert shifts_of([sized(None), sized(51_000_000), sized(None)]) == []


def test_a_time_shifts_beyond_the_noise_of_like_machines() -> None:
    """Unknown noise, shared times and other machines shift nothing."""

    def times(*medians: float | None, noise: float | None = 0.05) -> list[tuple[str, object, object]]:
        found = shifts_of([make_cell(median_s=median) for median in medians], noise=noise)
        return [(shift.metric, shift.old, shift.new) for shift in found]

    assert times(40.0, 41.0, 50.0, 50.5) == [("time", 41.0, 50.0)]
    assert times(40.0, None, 50.0) == [("time", 40.0, 50.0)]
    assert times(40.0, 41.5, 43.0) == [("time", 40.0, 43.0)]
    assert times(40.0, 90.0, noise=None) == []
    runs = [make_run(make_cell(median_s=40.0 + day), day=day, noise=0.05) for day in (0, 50, 51)]
    runs[1:] = [replace(run, environment=replace(MACHINE, cpus=8)) for run in runs[1:]]
    (trend,) = make_history(list(map(make_figures, runs)), None).trends
    assert trend.shifts == ()


def test_an_outcome_shifts_each_time() -> None:
    """Passing, failing as expected and failing unexpectedly are three outcomes."""
    failed = replace(make_cell(), status=Status.SMOKE_FAILED, as_expected=False)
    expected = replace(failed, expected=Status.SMOKE_FAILED, as_expected=True)
    found = shifts_of([make_cell(), failed, failed, expected, make_cell()])
    assert [(shift.old, shift.new) for shift in found] == [
        ("passed", "smoke-failed (unexpected)"),
        ("smoke-failed (unexpected)", "smoke-failed"),
        ("smoke-failed", "passed"),
    ]


def test_figures_are_drawn_from_least_to_most() -> None:
    """What hardly differs is a flat line, not a mountain range; what is missing is a dot."""
    assert draw_figures([1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇█"
    assert draw_figures([10, None, 20]) == "▁·█"
    assert draw_figures([50_000_000, 50_020_000, None]) == "▄▄·"
    assert draw_figures([None, None]) == "··"
    assert draw_figures([0, 0]) == "▄▄"
    assert draw_figures([]) == ""
    ends = ((Status.PASSED, True), (Status.ERROR, False), None, (Status.SKIPPED, True))
    marks = [Outcome(end[0], as_expected=end[1]) if end else None for end in ends]
    assert draw_outcomes(marks) == ".x·-"


def month() -> list[RunRecord]:
    """Make twelve nightly runs in which four things happened."""
    slim, single = make_cell("slim", median_s=40.0), make_cell("alpine-single-stage", median_s=61.0)
    steady = make_cell("wolfi", median_s=30.0)
    failed = replace(steady, status=Status.BUILD_FAILED, as_expected=False, reason="no wheel", image=None, build=None)
    runs = []
    for day in range(12):
        if day == 3:
            slim, single = with_moved_base(slim), with_moved_base(single)
        if day == 6:
            slim = replace(with_newer_package(slim), build=make_cell(median_s=52.0).build)
        if day == 9:
            single = with_dockerfile_line(single)
        runs.append(make_run(slim, single, *([] if day == 5 else [failed if day == 10 else steady]), day=day, noise=0.04))
    return runs


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    """Give the runs of a month, one of another matrix, a damaged one, a newer one and one that has not ended."""
    stored = keep(Reports(tmp_path), month())
    keep(stored, [replace(make_run(day=7), id="20261128T060000Z-aaaaaa", name="another")])
    keep(stored, [replace(make_run(day=12), finished_at=None)])
    for run_id, text in (("20261127T070000Z-bbbbbb", "{"), ("20261127T080000Z-cccccc", '{"schema": 99}')):
        run = stored.run(run_id)
        run.create()
        run.save_text("run.json", text)
    return stored


@pytest.mark.parametrize(
    ("name", "kind", "width"),
    [
        ("wide.txt", "table", 160),
        ("80.txt", "table", 80),
        ("40.txt", "table", 40),
        ("md.md", "markdown", 80),
        ("json.json", "json", 80),
    ],
)
def test_a_history_reads_as_it_always_did(reports: Reports, name: str, kind: str, width: int) -> None:
    """Trends, shifts with their causes, and what was left out, word for word and within the columns."""
    text = render_history(load_history(reports, None, (), ()), kind, width)
    if kind == "table":
        assert max(map(len, text.splitlines())) <= width
        assert ("Not shown in 80 columns: last shift; `matrix history --format" in text) is (width == 80)
    if kind == "json":
        assert len(json.loads(text)["left_out"]) == 4
    assert_golden(f"history-{name}", text)


def test_what_changed_that_day_is_the_attribution(reports: Reports) -> None:
    """The same causes as `matrix compare` gives for the two runs; a run without files of its cells is read whole."""
    found = {
        (shift.cell, shift.metric, shift.run[6:8]): shift.causes
        for trend in load_history(reports, None, (), ()).trends
        for shift in trend.shifts
    }
    base = "the base moved: docker.io/library/python:3.13-slim (+1.4 MB unpacked)"
    assert found["slim-3.13", "size", "24"] == found["alpine-single-stage-3.13", "size", "24"] == (base,)
    assert found["wolfi-3.13", "outcome", "01"] == ("nothing that is recorded changed",)
    for result in reports.path.glob("runs/*/cells/*/result.json"):
        result.unlink()
    again = [shift.causes for trend in load_history(reports, None, (), ()).trends for shift in trend.shifts]
    assert again == list(found.values())


def test_what_only_compresses_otherwise_is_said_as_in_a_comparison(tmp_path: Path) -> None:
    """Both say why one size is another and the other is not."""
    old, new = make_run(sized(50_000_000)), make_run(sized(60_000_000), day=1)
    (change,) = compare_runs(old, new).cells
    assert [cause.title for cause in change.causes] == ["as many bytes as before compress otherwise"]
    (trend,) = load_history(keep(Reports(tmp_path), (old, new)), None, (), ()).trends
    assert [shift.causes for shift in trend.shifts] == [("as many bytes as before compress otherwise",)]


def test_a_record_that_went_bad_costs_its_cause_only(reports: Reports) -> None:
    """The figures beside it still stand."""
    for result in reports.path.glob("runs/20261124*/cells/*/result.json"):
        result.write_text("{")
    shifts = [
        shift for trend in load_history(reports, None, (), ()).trends for shift in trend.shifts if shift.run.startswith("20261124")
    ]
    assert {shift.causes for shift in shifts} == {("its record cannot be read any more",)}


def test_only_the_newest_shifts_are_looked_into(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are large: of older shifts the figures are told, and the command that says why."""
    monkeypatch.setattr(trends, "_MOST_DAYS", 1)
    text = render_history(load_history(reports, None, (), ()), "table", 120)
    assert "not looked into: `matrix compare 20261123T050607Z-000002 20261124T050607Z-000003` says why" in text
    typed = render_history(load_history(reports, None, (), ()), "table", 120, " -f v1/m.yaml")
    assert "not looked into: `matrix compare -f v1/m.yaml 20261123T050607Z-000002 20261124T050607Z-000003`" in typed
    assert "nothing that is recorded changed" in text


def test_runs_and_cells_can_be_chosen(reports: Reports) -> None:
    """--last, --name, --only and --skip; a choice that leaves nothing is said, with what there is."""
    assert [run.id for run in load_history(reports, None, (), (), 2).runs] == [run.id for run in month()[-2:]]
    assert [trend.cell for trend in load_history(reports, None, ("base=slim",), ()).trends] == ["slim-3.13"]
    other = load_history(reports, "another", (), ())
    assert (other.name, len(other.runs)) == ("another", 1)
    with pytest.raises(UsageError, match="no stored run is of the matrix 'otel-pyton'; did you mean 'otel-python'"):
        load_history(reports, "otel-pyton", (), ())
    with pytest.raises(NothingSelectedError, match="no cell is left by --only base=debian"):
        load_history(reports, None, ("base=debian",), ())
    with pytest.raises(UsageError, match=r"there are no finished runs in .*; `matrix run` makes one"):
        load_history(Reports(reports.path / "none"), None, (), ())
    found = Reports(reports.path, " -f v1/m.yaml")
    with pytest.raises(NothingSelectedError, match=r"; `matrix history -f v1/m\.yaml` lists them"):
        load_history(found, None, ("base=debian",), ())
    unfinished = replace(make_record(), id="20261231T000000Z-aaaaaa", finished_at=None)
    left_out = load_history(keep(found, [unfinished]), None, (), ()).left_out
    assert any(f"`matrix run -f v1/m.yaml --resume {unfinished.id}` ends it" in line for line in left_out)


@pytest.mark.parametrize("kind", ["table", "markdown", "json"])
def test_histories_of_anything_can_be_read(kind: str, tmp_path: Path) -> None:
    """One run, runs without cells, every status, hostile texts: nothing breaks, and nothing reaches a terminal alive."""
    record = make_record()
    hostile = replace(make_hostile_record(), finished_at=record.finished_at, id="20261123T000000Z-aaaaaa")
    turned = replace(
        hostile, id="20261124T000000Z-aaaaaa", cells=tuple(replace(cell, status=Status.TIMEOUT) for cell in hostile.cells)
    )
    stored = keep(Reports(tmp_path), [record, hostile, turned])
    keep(stored, [replace(record, id="20261101T000000Z-aaaaaa", cells=(), name="empty")])
    for name in (record.name, HOSTILE, "empty"):
        text = render_history(load_history(stored, name, (), ()), kind, 80)
        assert not {"\x1b", "\u202e"} & set(text)
        assert "<script>" not in text or kind != "markdown"
    with pytest.raises(NothingSelectedError, match="the stored runs have no cells"):
        load_history(stored, "empty", ("x",), ())
