"""Links in a reports folder that came from elsewhere: none is followed out of it, by any command, to read or to write."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import StoreError
from orchestrator.events import Event
from orchestrator.store import BASELINES, Reports, RunFolder
from tests.command_line import end_of
from tests.unit.records import make_record, run_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD, NEW = "20261120T050607Z-abc122", "20261121T050607Z-abc123"
CELL = make_record().cells[0].id
CANARY = "what-nobody-may-see"
COMMANDS = (
    ("report", NEW),
    ("report", NEW, "--format", "html"),
    ("compare", OLD, NEW),
    ("explain", NEW, CELL),
    ("trace", NEW, CELL),
    ("history",),
    ("site", "-o", "site"),
    ("merge", NEW),
    ("baseline", NEW),
    ("baseline", "--show"),
)
LINKS = (
    *("run", "run.json", "figures.json", "events.jsonl", BASELINES, "latest"),
    *("cells", "cell", "result.json", "trace.json", "build.log"),
)


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    """Give a folder of two sound runs, and one outside of it that says what nobody may see; nothing there may change."""
    monkeypatch.chdir(tmp_path)
    stored = Reports(tmp_path / "reports")
    outside = tmp_path / "outside"
    for folder, run_id in ((stored.run(OLD), OLD), (stored.run(NEW), NEW), (RunFolder(outside), NEW)):
        folder.create()
        text = run_json().replace(NEW, run_id)
        folder.save_text("run.json", text.replace("otel-python", CANARY) if folder.path == outside else text)
        for name in ("build.log", "smoke.log", "trace.json", "progress.jsonl", "result.json"):
            (folder.cell(CELL) / name).write_text(CANARY if folder.path == outside else "{}\n")
    for name in ("figures.json", "events.jsonl", BASELINES):
        (outside / name).write_text(f'{{"schema": 1, "baselines": {{"otel-python": "{CANARY}"}}}}\n')
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    yield stored
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


def put_link(stored: Reports, name: str) -> None:
    """Put a link that leads out into a place of the newest run."""
    run, outside = stored.run(NEW).path, stored.path.parent / "outside"
    cell = run / "cells" / CELL
    places = {
        "run": (run, outside),
        "cells": (run / "cells", outside / "cells"),
        "cell": (cell, outside / "cells" / CELL),
        BASELINES: (stored.path / BASELINES, outside / BASELINES),
        "latest": (stored.path / "latest", outside),
        **{one: (run / one, outside / one) for one in ("run.json", "figures.json", "events.jsonl")},
        **{one: (cell / one, outside / "cells" / CELL / one) for one in ("result.json", "trace.json", "build.log")},
    }
    place, target = places[name]
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(target)


@pytest.mark.parametrize("link", LINKS)
def test_no_command_follows_a_link_out_of_the_reports_folder(
    link: str, reports: Reports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What lies behind it is in no output and no file, and is not written to; each command answers, or refuses in a sentence."""
    put_link(reports, link)
    for command in COMMANDS:
        assert end_of(monkeypatch, *command) in (0, 1, 2, 3, 5)
        out, err = capsys.readouterr()
        assert CANARY not in out + err
    made = [path for root in ("site", "reports") for path in (reports.path.parent / root).rglob("*") if path.is_file()]
    ours = [path for path in made if not is_behind_a_link(path, reports.path)]
    assert [path for path in ours if CANARY in path.read_text("utf-8", "replace")] == []


def is_behind_a_link(path: Path, top: Path) -> bool:
    """Tell whether a path is one of the links that were put there, or lies behind it."""
    return any(one.is_symlink() for one in (path, *path.parents) if one.is_relative_to(top))


@pytest.mark.parametrize("link", ["run", "cells", "cell", "events.jsonl"])
def test_nothing_is_written_through_a_link(link: str, reports: Reports) -> None:
    """A run that is resumed writes its journal and its cells: into its own folder, or not at all."""
    put_link(reports, link)
    run = reports.run(NEW)
    write = (
        partial(run.append_event, Event("run-resumed"))
        if link == "events.jsonl"
        else partial(run.save_cell, make_record().cells[0])
    )
    with pytest.raises(StoreError, match="is reached by a link that leads out of the run's folder, and is not followed"):
        write()


def test_runs_that_are_links_are_removed_and_what_they_lead_to_stays(reports: Reports) -> None:
    """`matrix clean --runs` takes the link away."""
    put_link(reports, "run")
    assert reports.remove_all(lambda _: True) == (2, [])
    assert reports.run_ids() == []
