"""The site of all runs: its front page, links that stay inside, and reruns that leave nothing stale or half done."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from msgspec.structs import replace

from orchestrator import site
from orchestrator.errors import UsageError
from orchestrator.judge.history import make_history
from orchestrator.judge.kept import make_figures
from orchestrator.model import Status
from orchestrator.report.overview import LeftOut, make_line, render_overview
from orchestrator.report.trendlines import make_trends
from orchestrator.site import make_site
from orchestrator.store import Reports, RunFolder
from tests.unit.golden import assert_golden
from tests.unit.pages import Page
from tests.unit.records import HOSTILE, make_cell, make_hostile_record, make_record
from tests.views.test_history import month

if TYPE_CHECKING:
    from pathlib import Path

IDS = ("20261119T000000Z-aaaaaa", "20261120T000000Z-bbbbbb")
RECORD = make_record()
SMALL = replace(RECORD, cells=RECORD.cells[:2], claims=(), decision=None, gates=())


def store(reports: Reports, run_id: str) -> RunFolder:
    """Store a run with a log."""
    run = RunFolder(reports.path / "runs" / run_id)
    run.create()
    run.save_record(replace(SMALL, id=run_id))
    run.cell("alpine-3.12").joinpath("build.log").write_text("a log\n")
    return run


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    """Give a folder with two runs."""
    folder = Reports(tmp_path / "reports")
    for run_id in IDS:
        store(folder, run_id)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Say where the site goes."""
    return tmp_path / "site"


def files_of(folder: Path) -> dict[str, int]:
    """Give each file with the moment in which it was written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def links_of(path: Path) -> list[str]:
    """Give where a page leads, apart from places in itself."""
    found = [one.attributes["href"] for one in Page(path.read_text(encoding="utf-8")).all("a")]
    return [link for link in found if not link.startswith("#")]


def test_the_front_page_reads_as_it_always_did() -> None:
    """The latest verdict, a row for each run, what is left out; word for word."""
    older = replace(RECORD, id=IDS[0], complete=False, cells=(make_cell("slim", "3.12", Status.PASSED),), gates=(), decision=None)
    trends = make_trends(make_history(list(map(make_figures, month())), None))
    text = render_overview([make_line(older, ("report.md",)), make_line(RECORD, ())], [LeftOut("x", "is damaged")], 3, trends)
    plain = re.sub(r"(<style>).*?(</style>)", r"\1\2", text, flags=re.DOTALL)
    assert_golden("site.html", re.sub(r"sha256-[A-Za-z0-9+/]{43}=", "sha256-…", plain))


def test_every_link_of_a_site_leads_to_a_file_in_it(reports: Reports, folder: Path) -> None:
    """Relative, so that it works from a disk and below any address; logs are taken along."""
    made = make_site(reports, folder)
    assert (made.written, made.unchanged, made.removed, made.left_out) == (2, 0, 0, ())
    pages = list(folder.rglob("*.html"))
    assert len(pages) == 3
    for page in pages:
        for link in links_of(page):
            assert (page.parent / unquote(link)).resolve().is_relative_to(folder.resolve())
            assert (page.parent / unquote(link)).is_file(), link
    assert "./cells/alpine-3.12/build.log" in links_of(folder / "runs" / IDS[0] / "index.html")
    assert links_of(folder / "index.html")[0] == f"runs/{IDS[1]}/index.html"


def test_a_rerun_writes_only_what_changed(reports: Reports, folder: Path) -> None:
    """An unchanged run's files are the same files; a changed one, and a new one, are written."""
    make_site(reports, folder)
    before = files_of(folder / "runs")
    assert make_site(reports, folder).unchanged == 2
    assert files_of(folder / "runs") == before
    RunFolder(reports.path / "runs" / IDS[0]).save_record(replace(SMALL, id=IDS[0], name="renamed"))
    store(reports, "20261121T000000Z-cccccc")
    made = make_site(reports, folder)
    assert (made.written, made.unchanged) == (2, 1)
    assert "renamed" in (folder / "runs" / IDS[0] / "index.html").read_text(encoding="utf-8")
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_a_run_that_is_gone_or_damaged_leaves_no_page(reports: Reports, folder: Path) -> None:
    """A damaged run is named with what is wrong, and others are shown all the same."""
    make_site(reports, folder)
    (reports.path / "runs" / IDS[0] / "run.json").unlink()
    (reports.path / "runs" / IDS[1] / "run.json").write_text("{")
    newer = store(reports, "20261121T000000Z-cccccc")
    newer.path.joinpath("run.json").write_text(json.dumps({"schema": 99}))
    store(reports, "20261122T000000Z-dddddd")
    made = make_site(reports, folder)
    assert [one.id for one in made.left_out] == [IDS[1], "20261121T000000Z-cccccc"]
    assert made.removed == 2
    assert [path.name for path in folder.joinpath("runs").iterdir()] == ["20261122T000000Z-dddddd"]
    text = Page((folder / "index.html").read_text(encoding="utf-8")).all("main")[0].text
    assert f"{IDS[1]} : runs/{IDS[1]}/run.json is damaged" in text
    assert "was written by a newer matrix (schema 99, this one knows 1)" in text
    assert str(reports.path) not in (folder / "index.html").read_text(encoding="utf-8")


def test_a_link_is_not_followed_out_of_the_reports(reports: Reports, folder: Path, tmp_path: Path) -> None:
    """Neither a run, nor its record, nor a cell's folder, nor a log: what lies behind is not published."""
    outside = store(Reports(tmp_path / "elsewhere"), "20261121T000000Z-cccccc")
    (outside.path / "cells/alpine-3.12/build.log").write_text("a secret")
    runs = reports.path / "runs"
    (runs / "20261121T000000Z-cccccc").symlink_to(outside.path)
    (runs / IDS[0] / "run.json").unlink()
    (runs / IDS[0] / "run.json").symlink_to(outside.path / "run.json")
    cells = runs / IDS[1] / "cells"
    (cells / "slim-3.12").symlink_to(outside.path / "cells/alpine-3.12")
    (cells / "alpine-3.12/smoke.log").symlink_to(outside.path / "cells/alpine-3.12/build.log")
    made = make_site(reports, folder)
    assert [(one.id, one.why) for one in made.left_out] == [
        (run_id, "a link leads out of the reports folder, and is not followed") for run_id in (IDS[0], "20261121T000000Z-cccccc")
    ]
    assert not [path for path in folder.rglob("*") if path.is_file() and b"a secret" in path.read_bytes()]
    assert [path.name for path in folder.rglob("*.log")] == ["build.log"]


def test_a_try_that_was_cut_short_leaves_no_half_page(reports: Reports, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had begun is not there, what was there before is whole, and the next try tidies up."""
    make_site(reports, folder)
    before = (folder / "runs" / IDS[0] / "index.html").read_bytes()
    RunFolder(reports.path / "runs" / IDS[0]).save_record(replace(SMALL, id=IDS[0], name="renamed"))

    def fail(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(site, "render_html", fail)
    with pytest.raises(KeyboardInterrupt):
        make_site(reports, folder)
    assert (folder / "runs" / IDS[0] / "index.html").read_bytes() == before
    folder.joinpath(".draft-01234567").mkdir()
    monkeypatch.undo()
    monkeypatch.setenv("MATRIX_CACHE_DIR", str(folder.parent / "cache"))
    assert make_site(reports, folder).written == 1
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "runs", "site.json"]


@pytest.mark.parametrize("state", ["", "{}", '{"runs": {"x": 1}}', '{"runs": []}'])
def test_a_state_that_cannot_be_read_means_that_all_is_made_anew(state: str, reports: Reports, folder: Path) -> None:
    """It is only a memory."""
    make_site(reports, folder)
    (folder / "site.json").write_text(state)
    assert make_site(reports, folder).written == 2
    assert make_site(reports, folder).unchanged == 2


def test_a_folder_of_somebody_elses_is_left_alone(reports: Reports, folder: Path) -> None:
    """Since pages of runs that are gone are removed."""
    folder.mkdir()
    (folder / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds files that are no site of matrix's; name an empty folder"):
        make_site(reports, folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match=r"thesis\.tex is a file; name a folder"):
        make_site(reports, folder / "thesis.tex")
    linked = folder.parent / "linked"
    linked.mkdir()
    (linked / "runs").symlink_to(folder)
    with pytest.raises(UsageError, match="runs is a link; name a folder that is matrix's own"):
        make_site(reports, linked)


def test_without_runs_the_command_that_makes_one_is_named(tmp_path: Path, folder: Path) -> None:
    """And nothing is written."""
    with pytest.raises(UsageError, match=r"there are no runs in .*; `matrix run` makes one"):
        make_site(Reports(tmp_path), folder)
    assert not folder.exists()


def test_a_site_is_bounded(reports: Reports, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many runs, the newest, and so many bytes of logs; the front page says how many are not shown."""
    monkeypatch.setattr(site, "_MOST_RUNS", 1)
    monkeypatch.setattr(site, "_MOST_LOG_BYTES", 3)
    make_site(reports, folder)
    assert [path.name for path in folder.joinpath("runs").iterdir()] == [IDS[1]]
    assert "1 older runs are stored, and not shown." in (folder / "index.html").read_text(encoding="utf-8")
    assert list(folder.rglob("*.log")) == []


def test_a_run_that_never_ended_is_shown_as_far_as_it_got(reports: Reports, folder: Path) -> None:
    """With the warning that it is not whole."""
    run = RunFolder(reports.path / "runs" / IDS[1])
    run.save_record(replace(SMALL, id=IDS[1], finished_at=None, complete=False, cells=()))
    run.save_cell(SMALL.cells[0])
    make_site(reports, folder)
    rows = [row.text for row in Page((folder / "index.html").read_text(encoding="utf-8")).all("tr")]
    assert any(f"{IDS[1]} 2026-11-21 05:06 UTC 1 of 1 incomplete 1 passed \N{EN DASH}" in row for row in rows)


def test_a_hostile_run_is_shown_and_not_obeyed(folder: Path, tmp_path: Path) -> None:
    """Its own id is not taken for where it lies."""
    reports = Reports(tmp_path / "reports")
    run = store(reports, IDS[0])
    run.save_record(replace(make_hostile_record(), finished_at=RECORD.finished_at))
    make_site(reports, folder)
    page = Page((folder / "index.html").read_text(encoding="utf-8"))
    assert [one.tag for one in page.elements if one.tag in ("script", "img", "b")] == []
    assert "<script>alert(1)</script>" in page.all("h1")[0].text
    assert links_of(folder / "index.html")[0] == f"runs/{IDS[0]}/index.html"
    assert "\x1b" not in page.all("body")[0].text
    assert HOSTILE not in page.all("body")[0].text
