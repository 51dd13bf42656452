"""A run's folder: written whole or not at all, read back any time."""

from __future__ import annotations

import errno
import json
import os
import resource
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import NoReturn

import pytest
from msgspec.structs import replace

from orchestrator import stored as reading
from orchestrator.disk import write_whole
from orchestrator.errors import DiskFullError, ExitCode, StoreError
from orchestrator.events import Event
from orchestrator.model import Status
from orchestrator.names import folder_name, make_run_id
from orchestrator.record import SCHEMA
from orchestrator.redact import Redactor
from orchestrator.store import Reports, RunFolder
from tests.rendering import render_record
from tests.unit.records import HOSTILE, make_cell, make_hostile_record, make_record, run_json


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Give the folder of a new run."""
    return Reports(tmp_path).new_run()


def fail_with(number: int) -> object:
    """Make something that fails as the system does."""

    def fail(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_record_is_read_back_as_it_was_written(run: RunFolder) -> None:
    """A stored run is the run, to the last figure and the last hostile text."""
    for record in (make_record(), replace(make_hostile_record(), finished_at=make_record().finished_at)):
        run.save_record(record)
        assert run.load() == record


def test_a_secret_of_digits_damages_no_figure(run: RunFolder) -> None:
    """A cell's size may have the digits of one: the run goes on, and what it stored can be read."""
    record = make_record()
    cell = next(cell for cell in record.cells if cell.image and cell.image.compressed_bytes)
    assert cell.image
    run.redactor = Redactor([str(cell.image.compressed_bytes), "compressed_bytes"])
    assert run.save_cell(cell) == run.load_cell(cell.id) == cell
    told = replace(cell, reason=f"echo {cell.image.compressed_bytes}")
    run.save_record(replace(record, cells=(told,)))
    assert run.load().cells == (replace(cell, reason="echo ***"),)
    run.append_event(Event("cell-finished", cell.id, {"bytes": cell.image.compressed_bytes, "reason": told.reason}))
    event = json.loads((run.path / "events.jsonl").read_text())
    assert event["bytes"] == cell.image.compressed_bytes
    assert event["reason"] == "echo ***"


def test_a_record_from_before_images_were_looked_into_is_read(run: RunFolder) -> None:
    """Stored runs of the same schema that know less still load; what they do not know is unknown."""
    data = json.loads(run_json())
    for cell in data["cells"]:
        if image := cell["image"]:
            known = ("digest", "compressed_bytes", "compressed_estimated", "uncompressed_bytes", "over_base_bytes", "wasted_bytes")
            layers = [{key: layer[key] for key in layer if key != "problem"} for layer in image["layers"]]
            packages = {"os": [], "python": [{"name": "grpcio", "version": "1", "built_from": "wheel", "native": True}]}
            cell["image"] = {key: image[key] for key in known} | {"layers": layers, "packages": packages}
    run.save_text("run.json", json.dumps(data))
    image = run.load().cells[0].image
    assert image
    assert (image.unique_bytes, image.inventory, image.vulnerabilities, image.wasted_paths) == (None, None, None, ())


def test_run_json_is_what_the_json_report_prints(run: RunFolder) -> None:
    """The file on disk and `matrix report --format json` are the same, byte for byte."""
    assert run.save_record(make_record()).read_text(encoding="utf-8") == render_record(make_record())


def test_ids_of_runs_sort_by_time() -> None:
    """An id says when, in UTC, and two runs that start together have two ids."""
    moments = [
        datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC) + timedelta(seconds=step) for step in (0, 0.01, 0.9, 1, 3600, 40 * 86400)
    ]
    ids = [make_run_id(moment) for moment in moments]
    assert ids == sorted(ids)
    assert ids[0].startswith("20260101T235959Z-")
    assert make_run_id(datetime(2026, 1, 1, 2, 0, 0, tzinfo=timezone(timedelta(hours=3)))).startswith("20251231T230000Z-")
    assert make_run_id(moments[0]) != make_run_id(moments[0])


def test_a_run_that_did_not_end_has_the_cells_that_did(run: RunFolder) -> None:
    """After a kill, what was finished is there, and the run says that it is not whole."""
    run.save_record(replace(make_record(), finished_at=None, complete=False, cells=()))
    cells = [make_cell("slim", "3.12", Status.PASSED), make_cell("alpine", "3.12", Status.TIMEOUT, reason=HOSTILE)]
    for cell in cells:
        run.save_cell(cell)
    found = run.load()
    assert {cell.id: cell for cell in found.cells} == {cell.id: cell for cell in cells}
    assert (found.interrupted, found.complete) == (True, False)


def test_a_damaged_cell_is_as_good_as_none(run: RunFolder) -> None:
    """A result that cannot be read does not keep the others from being read; the cell is run again."""
    run.save_cell(make_cell("slim", "3.12", Status.PASSED))
    run.save_cell(make_cell("alpine", "3.12", Status.PASSED))
    (run.cell("alpine-3.12") / "result.json").write_text('{"id": "alpine-3.12"')
    run.cell("wolfi-3.12")
    assert [cell.id for cell in run.load_cells()] == ["slim-3.12"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "run.json is damaged: "),
        ("[]", "run.json is damaged: the file: "),
        ('{"schema": 1}', "run.json is damaged: the file: Object missing required field `id`"),
        ("\xff", "run.json is damaged: "),
    ],
)
def test_a_damaged_record_is_named_with_what_is_wrong(text: str, words: str, run: RunFolder) -> None:
    """A run.json that is cut off or edited badly is an error with the file and the place."""
    (run.path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError) as caught:
        run.load()
    assert words in str(caught.value)


def test_a_wrong_value_in_a_record_is_named_by_its_place(run: RunFolder) -> None:
    """The place of a wrong value is given the way to it."""
    data = json.loads(run_json())
    data["cells"][1]["status"] = "fine"
    (run.path / "run.json").write_text(json.dumps(data))
    with pytest.raises(StoreError, match=r"run\.json is damaged: cells\.1\.status: Invalid enum value 'fine'"):
        run.load()


def test_a_record_of_a_newer_matrix_says_so(run: RunFolder) -> None:
    """A record from tomorrow is not called damaged."""
    run.save_record(replace(make_record(), schema=SCHEMA + 1))
    with pytest.raises(StoreError) as caught:
        run.load()
    assert str(caught.value) == f"{run.path}/run.json was written by a newer matrix (schema {SCHEMA + 1}, this one knows {SCHEMA})"


def test_a_record_of_a_newer_matrix_says_so_whatever_its_shape(run: RunFolder) -> None:
    """A newer schema may have changed anything; its number is what is looked at first."""
    (run.path / "run.json").write_text(json.dumps({"schema": SCHEMA + 1, "cells": {"by": "id"}}))
    with pytest.raises(StoreError, match="was written by a newer matrix"):
        run.load()


def test_a_record_that_is_not_there_is_named(run: RunFolder) -> None:
    """A folder without a run.json is an error in the system's words."""
    with pytest.raises(StoreError, match=r"run\.json cannot be read: No such file or directory"):
        run.load()


def test_a_file_too_large_to_be_a_record_is_not_read(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something put in the place of a record does not fill the memory."""
    monkeypatch.setattr(reading, "MAX_RECORD_BYTES", 10)
    run.save_record(make_record())
    with pytest.raises(StoreError, match="is too large to be a record of a run"):
        run.load()


def test_a_full_disk_leaves_the_file_as_it_was(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is replaced whole or not at all, no half of it is left, and the words name the cure."""
    run.save_text("report.md", "before")
    monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(DiskFullError) as caught:
        run.save_text("report.md", "after")
    assert str(caught.value) == f"no room left on the disk for {run.path}/report.md; free some"
    assert caught.value.exit_code is ExitCode.ENGINE
    assert (run.path / "report.md").read_text() == "before"
    assert [item.name for item in run.path.iterdir()] == ["report.md"]


def test_what_a_kill_left_half_written_is_forgotten_and_nothing_else(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill between writing and renaming leaves a draft; files of others stay, and no link is followed out of the folder."""
    elsewhere = run.path.parent / "elsewhere"
    elsewhere.mkdir()
    run.cell("b").parent.joinpath("linked").symlink_to(elsewhere)
    kept = [run.path / "cells/b/.hidden", run.path / "run.json.0123abcd", elsewhere / ".result.json.0123abcd"]
    for path in kept:
        path.write_text("somebody's")
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", fail_with(errno.EIO))
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        for name in ("run.json", "cells/b/result.json"):
            with pytest.raises(StoreError):
                write_whole(run.path / name, b"half")
    drafts = [*run.path.glob(".run.json.*"), *run.path.glob("cells/b/.result.json.*")]
    assert len(drafts) == 2
    run.forget_drafts()
    assert not any(path.exists() for path in drafts)
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize(("number", "kind"), [(errno.EDQUOT, DiskFullError), (errno.EIO, StoreError), (errno.EROFS, StoreError)])
def test_every_way_in_which_a_disk_refuses_has_its_words(
    number: int, kind: type[StoreError], run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota is a full disk; anything else is told in the system's words, with the file."""
    monkeypatch.setattr(os, "fsync", fail_with(number))
    with pytest.raises(StoreError) as caught:
        run.save_record(make_record())
    assert type(caught.value) is kind
    assert "run.json" in str(caught.value)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file in the place of the reports folder is an error with its path."""
    (tmp_path / "reports").touch()
    with pytest.raises(StoreError, match="cannot be written: Not a directory"):
        Reports(tmp_path / "reports").new_run()


@pytest.mark.parametrize(
    "cell_id", ["../../etc/passwd", "a/../../b", "/etc/passwd", "..", ".", "a/b", "a\\b", "a\0b", "%2e%2e", "…", "-x"]
)
def test_no_cell_id_leads_out_of_its_run(cell_id: str, run: RunFolder) -> None:
    """A cell's folder lies directly in the run's, whatever the cell is called."""
    folder = run.cell(cell_id)
    assert folder.is_dir()
    assert folder.resolve().parent == (run.path / "cells").resolve()


def test_two_cells_never_share_a_folder() -> None:
    """Ids that are escaped stay apart from ids that look like an escape."""
    ids = ["a/b", "a%2Fb", "a b", "a+b", "a:b", "a@b", "a.b", "a_b", "A/B"]
    assert len({folder_name(cell_id) for cell_id in ids}) == len(ids)
    assert folder_name("slim-3.12-b+c@d") == "slim-3.12-b+c@d"


def test_a_folder_has_a_name_that_every_system_takes() -> None:
    """Runs are carried from machine to machine: GitHub's artifacts refuse these, and so does Windows."""
    assert not set('":<>|*?\r\n\\/') & set(folder_name('a":<>|*?\r\n\\/b'))


def test_a_cell_with_a_very_long_id_has_a_folder(run: RunFolder) -> None:
    """Axis values of the length that matrix.yaml allows can be joined to more than a file name holds."""
    first, second = ("-".join(["x" * 100, "y" * 100, "z" * 99 + last]) for last in "12")
    assert run.cell(first) != run.cell(second)


def test_the_journal_has_a_line_for_each_event(run: RunFolder) -> None:
    """What happened is on disk at once, in order, one JSON object a line, whatever texts it holds."""
    run.append_event(Event("run-started", None, {"cells": 2}, datetime(2026, 1, 1, tzinfo=UTC)))
    run.append_event(Event("cell-finished", "a-b", {"reason": HOSTILE, "status": Status.PASSED}))
    first, second = (json.loads(line) for line in (run.path / "events.jsonl").read_text(encoding="utf-8").splitlines())
    assert first == {"at": "2026-01-01T00:00:00+00:00", "kind": "run-started", "cells": 2}
    assert (second["cell"], second["reason"], second["status"]) == ("a-b", HOSTILE, "passed")


def test_half_a_line_in_the_journal_is_taken_back(tmp_path: Path) -> None:
    """A disk that fills up in the middle of a line spoils neither that line nor the next one."""
    run = RunFolder(tmp_path)
    run.append_event(Event("run-started", None, {"cells": 2}))
    journal = tmp_path / "events.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(DiskFullError, match="no room left on the disk"):
            run.append_event(Event("cell-started", "a"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    run.append_event(Event("cell-started", "b"))
    assert [json.loads(line)["kind"] for line in journal.read_text().splitlines()] == ["run-started", "cell-started"]
