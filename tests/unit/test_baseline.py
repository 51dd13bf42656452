"""Which run growth is held against; and the few figures of a run that are kept beside it."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator import figures as module
from orchestrator.baseline import choose_baseline, find_baseline, forget_baselines, load_choices, pick_baseline, wants_baseline
from orchestrator.errors import ExitCode, StoreError, UsageError
from orchestrator.figures import load_figures, save_figures
from orchestrator.judge.kept import CellFigures, make_figures
from orchestrator.model import Status
from orchestrator.record import Shard
from orchestrator.rules import Limit, Rules
from orchestrator.store import Reports, RunFolder
from orchestrator.verdicts import Gate
from tests.unit.pairs import make_cell, make_run
from tests.unit.records import make_hostile_record, make_record

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.record import RunRecord

ALL: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
NAME = "otel-python"


def keep(reports: Reports, record: RunRecord) -> RunFolder:
    """Store a run."""
    run = reports.run(record.id)
    run.create()
    run.save_record(record)
    return run


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    """Give a folder with one good run, and behind it one of each kind that is not."""
    stored = Reports(tmp_path)
    broken = (Gate("size", None, 1, 2, passed=False),)
    unexpected = replace(make_cell(), status=Status.SMOKE_FAILED, as_expected=False)
    for run in (
        make_run(day=0),
        make_run(day=1),
        replace(make_run(day=2), complete=False),
        replace(make_run(day=3), gates=broken),
        make_run(unexpected, day=4),
        replace(make_run(day=5), name="other"),
        replace(make_run(day=6), finished_at=None),
        replace(make_run(day=7), only=("base=slim",)),
    ):
        keep(stored, run)
    damaged = stored.run(make_run(day=8).id)
    damaged.create()
    damaged.save_text("run.json", "{")
    newer = stored.run(make_run(day=9).id)
    newer.create()
    newer.save_text("run.json", '{"schema": 99}')
    return stored


def found(reports: Reports, asked: str | None = None, **more: object) -> str | None:
    """Give the id of the baseline."""
    record = find_baseline(reports, NAME, asked, **{"selection": ALL, **more})  # type: ignore[arg-type]  # any option
    return record.id if record else None


def test_the_last_good_run_of_the_same_matrix_is_the_baseline(reports: Reports) -> None:
    """Complete, all as expected, no gate broken, the same cells; damaged and newer runs are passed over."""
    assert found(reports) == make_run(day=1).id
    assert found(reports, before=make_run(day=1).id) == make_run(day=0).id
    assert found(reports, before=make_run(day=0).id) is None
    assert found(reports, selection=(("base=slim",), ())) == make_run(day=7).id
    assert found(Reports(reports.path / "empty")) is None


def test_a_baseline_can_be_named(reports: Reports) -> None:
    """Whatever became of it; but of this matrix, and not the run itself."""
    wanted = make_run(day=3).id
    assert found(reports, asked=wanted) == wanted
    with pytest.raises(UsageError, match="is of the matrix 'other', not of 'otel-python'; name another with --baseline"):
        found(reports, asked=make_run(day=5).id)
    with pytest.raises(UsageError, match="cannot be held against itself"):
        found(reports, asked=wanted, before=wanted)
    with pytest.raises(UsageError, match="there is no run 'gone'"):
        found(reports, asked="gone")


def test_todays_figures_become_the_baseline_and_can_be_let_go(reports: Reports) -> None:
    """A run that grew on purpose is taken by one command; the choice is kept for each matrix."""
    grown = reports.run(make_run(day=3).id)
    assert choose_baseline(reports, grown).id == grown.id
    choose_baseline(reports, reports.run(make_run(day=5).id))
    assert load_choices(reports) == {"otel-python": grown.id, "other": make_run(day=5).id}
    assert found(reports) == grown.id
    forget_baselines(reports)
    forget_baselines(reports)
    assert found(reports) == make_run(day=1).id


def test_what_cannot_be_a_baseline_is_refused(reports: Reports, tmp_path: Path) -> None:
    """An incomplete run lacks cells that could grow unseen; one that lies elsewhere may be gone tomorrow."""
    for day in (2, 6):
        with pytest.raises(UsageError, match="is incomplete, so cells that it lacks could grow unseen; `matrix run --resume"):
            choose_baseline(reports, reports.run(make_run(day=day).id))
    elsewhere = RunFolder(tmp_path / "elsewhere")
    elsewhere.create()
    elsewhere.save_record(make_run())
    with pytest.raises(UsageError, match=r"lies outside of .*; copy it there, or name it with `matrix run --baseline`"):
        choose_baseline(reports, elsewhere)


def test_what_to_type_names_the_same_file_and_folder(reports: Reports) -> None:
    """A command that is typed as it is printed finds what this one has found."""
    found = Reports(reports.path, " -f v1/m.yaml --reports r")
    with pytest.raises(UsageError, match=r"; `matrix run -f v1/m\.yaml --reports r --resume 2026"):
        choose_baseline(found, found.run(make_run(day=2).id))
    choose_baseline(found, found.run(make_run(day=1).id))
    shutil.rmtree(found.run(make_run(day=1).id).path)
    with pytest.raises(UsageError, match=r"`matrix baseline -f v1/m\.yaml --reports r RUN` chooses another"):
        find_baseline(found, NAME, None, selection=ALL)
    (found.path / "baselines.json").write_text("{")
    with pytest.raises(StoreError, match=r"; `matrix baseline -f v1/m\.yaml --reports r --clear` removes it"):
        load_choices(found)
    with pytest.raises(UsageError, match=r"; `matrix run -f m\.yaml` makes one"):
        Reports(reports.path / "none", " -f m.yaml").find("latest")


def test_a_choice_that_is_gone_or_damaged_is_no_reason_to_guess(reports: Reports) -> None:
    """Silently taking another run would let growth pass; the words say what to do."""
    path = reports.path / "baselines.json"
    path.write_text(json.dumps({"schema": 1, "baselines": {NAME: "20200101T000000Z-aaaaaa"}}))
    with pytest.raises(UsageError, match=r"is run 20200101T000000Z-aaaaaa, which is not in .*`matrix baseline --clear` goes back"):
        found(reports)
    for text in ("{", "[]", '{"schema": 2, "baselines": {}}', '{"schema": 1, "baselines": {"a": 1}}'):
        path.write_text(text)
        with pytest.raises(StoreError, match=r"damaged.*`matrix baseline --clear` removes it"):
            found(reports)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        load_choices(reports)


def test_a_run_is_no_measure_for_itself_and_a_part_for_no_other(reports: Reports) -> None:
    """Held against itself nothing ever grows; what a part lacks could grow unseen."""
    chosen = make_run(day=1).id
    choose_baseline(reports, reports.run(chosen))
    assert found(reports, before=chosen) == make_run(day=0).id
    part = reports.run("20261209T050607Z-abc123")
    part.create()
    part.save_record(replace(make_run(), id=part.id, shard=Shard(1, 2, ())))
    with pytest.raises(UsageError, match="is a part of a plan, so cells that it lacks could grow unseen; merge it"):
        choose_baseline(reports, part)


def test_choices_go_away_with_the_last_run(reports: Reports) -> None:
    """`matrix clean --runs` must not leave a choice behind that stops the next run."""
    choose_baseline(reports, reports.run(make_run(day=1).id))
    reports.remove_all(lambda run: run != make_run(day=0).id)
    assert load_choices(reports)
    reports.remove_all(lambda _: True)
    assert load_choices(reports) == {}


def test_only_limits_of_growth_want_a_baseline() -> None:
    """A run without them looks for none."""
    assert not wants_baseline(None)
    assert not wants_baseline(Rules(limits=(Limit({}, size_bytes=1, step="x", compiled=0),)))
    assert wants_baseline(Rules(limits=(Limit({}, size_growth_share=0.05),)))
    assert wants_baseline(Rules(limits=(Limit({}, build_time_growth_share=0.05),)))


def test_a_run_that_is_resumed_keeps_its_baseline(reports: Reports) -> None:
    """What it was begun with counts, unless another is named; never what came after it."""
    rules, first = Rules(limits=(Limit({}, size_growth_share=0.05),)), make_run(day=0).id
    begun = replace(make_run(day=6), baseline=first)

    def picked(asked: str | None, earlier: RunRecord | None, rules: Rules = rules) -> str | None:
        record = pick_baseline(reports, NAME, rules, asked, ALL, earlier)
        return record.id if record else None

    assert picked(None, begun) == first
    assert picked(make_run(day=3).id, begun) == make_run(day=3).id
    assert picked(None, replace(begun, baseline=None)) == make_run(day=1).id
    assert picked(None, replace(begun, baseline="20200101T000000Z-aaaaaa")) == make_run(day=1).id, "gone, and no reason to stop"
    assert picked(None, make_run(day=1)) == first
    assert picked(None, None, Rules()) is None
    assert picked(first, None, Rules()) == first


def test_figures_are_those_of_the_record(tmp_path: Path) -> None:
    """What a trend needs, and how the run ended; read back as it was made."""
    run = keep(Reports(tmp_path), make_run(make_cell(median_s=40.0), noise=0.05))
    figures = load_figures(run)
    assert figures.cells == (
        CellFigures(
            "slim-3.13", {"base": "slim", "python": "3.13"}, Status.PASSED, as_expected=True,
            compressed_bytes=58_303_000, uncompressed_bytes=180_712_000, cold_s=40.0,
            took_s=45.0,
        ),
    )  # fmt: skip
    assert (figures.noise, figures.exit_code, figures.is_good) == (0.05, ExitCode.OK, True)
    for record in (make_record(), make_hostile_record()):
        run.save_record(record)
        assert load_figures(run) == load_figures(run) == make_figures(run.load())


def test_kept_figures_are_used_until_run_json_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read instead of the record, made anew when that changes, and damage to them is none to the run."""
    run = keep(Reports(tmp_path), make_run())
    save_figures(run, make_run())
    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "load", lambda _: pytest.fail("the record was read"))
        assert load_figures(run).id == make_run().id
    kept = tmp_path / "runs" / run.id / "figures.json"
    good = kept.read_text()
    for text in ("", "{", "[]", good.replace("58303000", '"x"'), good.replace('"format":1', '"format":0')):
        kept.write_text(text)
        assert load_figures(run) == make_figures(make_run())
        assert kept.read_text() == good
    monkeypatch.setattr(module, "_MOST_BYTES", 10)
    assert load_figures(run).id == make_run().id
    monkeypatch.undo()
    run.save_record(replace(make_run(), name="another"))
    assert load_figures(run).name == "another"
    (run.path / "run.json").unlink()
    with pytest.raises(StoreError, match=r"run.json cannot be read: No such file"):
        load_figures(run)


def test_figures_of_a_folder_that_cannot_be_written_are_made_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on a read-only disk can be looked at; an unfinished one is not kept, since it still grows."""
    run = keep(Reports(tmp_path), make_run())

    def refuse(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        assert load_figures(run).is_good
    run.save_record(replace(make_run(), finished_at=None))
    assert not load_figures(run).finished
    assert not (run.path / "figures.json").exists()
