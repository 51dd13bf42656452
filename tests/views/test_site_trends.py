"""The trends on a site's front page: pictures with their figures in words, what changed that day, and what is left out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.judge.history import make_history
from orchestrator.judge.kept import make_figures
from orchestrator.model import Status
from orchestrator.report import trendlines
from orchestrator.report.overview import render_overview
from orchestrator.report.trendlines import make_trends
from orchestrator.site import make_site
from orchestrator.store import Reports
from tests.unit.pages import Element, Page
from tests.unit.pairs import make_cell, make_run, with_moved_base
from tests.unit.records import HOSTILE, make_hostile_record, make_record
from tests.views.test_history import keep, month

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.record import RunRecord
    from orchestrator.report.trendlines import Trends


def trends_of(runs: Sequence[RunRecord]) -> Trends:
    """Make the trends of runs, without looking into what changed."""
    return make_trends(make_history(list(map(make_figures, runs)), None))


def page_of(trends: Trends) -> Page:
    """Render them on a front page, and read it."""
    return Page(render_overview([], [], 0, trends))


def site_of(reports: Reports, folder: Path) -> Page:
    """Make a site and read its front page."""
    make_site(reports, folder)
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def rows_of(page: Page) -> list[str]:
    """Give the rows of the trends, with all of their words."""
    return [one.text for one in page.all("tr") if "tbody" in one.inside and "svg" not in one.inside and " size from " in one.text]


def pictures_of(page: Page) -> list[Element]:
    """Give all pictures."""
    return page.all("svg", "trend")


def test_each_picture_says_in_words_what_it_shows() -> None:
    """A screen reader hears the cell, the first, the last, the least and the most; nobody needs the picture."""
    page = page_of(trends_of(month()))
    assert all(picture.attributes["role"] == "img" for picture in pictures_of(page))
    words = [picture.text for picture in pictures_of(page)]
    assert words[:3] == [
        "slim-3.13, outcome passed; not as expected in 0 of 12 runs",
        "slim-3.13, size from 58.3 to 59.6 MB over 12 runs; least 58.3, most 59.6",
        "slim-3.13, time of a cold build from 40.0 to 52.0 s over 12 runs; least 40.0, most 52.0",
    ]
    assert words[6] == "wolfi-3.13, outcome passed; not as expected in 1 of 11 runs"


def test_a_line_goes_from_the_least_to_the_most_and_is_broken_where_a_run_has_no_figure() -> None:
    """What hardly differs is flat; a figure that stands alone is a dot; a shift is marked."""
    cell = make_cell()
    gone = replace(cell, image=None, build=None, status=Status.BUILD_FAILED, as_expected=False)
    moved = with_moved_base(cell)
    rows = trends_of([make_run(one, day=day) for day, one in enumerate([cell, gone, cell, cell, moved, gone, moved])]).rows
    (row,) = rows
    assert row.size
    assert row.size.path == "M2 17h0M10 17L14 17L18 3M26 3h0"
    assert (row.size.shifts, row.size.end) == ("M18 3h0", "M26 3h0")
    assert row.time is None
    assert row.outcomes.good == "M2 17V10M10 17V10M14 17V10M18 17V10M26 17V10"
    assert row.outcomes.bad == "M6 17V3M22 17V3"
    assert row.outcomes.words == "passed; not as expected in 2 of 7 runs"
    (flat,) = trends_of([make_run(cell), make_run(cell, day=1)]).rows
    assert flat.size
    assert flat.size.path == "M2 10L6 10"


@pytest.mark.parametrize(
    ("status", "as_expected", "words"),
    [
        (Status.PASSED, True, "passed"),
        (Status.PASSED, False, "passed (unexpected)"),
        (Status.BUILD_FAILED, True, "build-failed (expected)"),
        (Status.BUILD_FAILED, False, "build-failed"),
        (Status.EXCLUDED, True, "excluded"),
    ],
)
def test_an_outcome_is_said_as_in_the_table_of_a_run(status: Status, as_expected: bool, words: str) -> None:  # noqa: FBT001  # a parameter
    """The same words for the same thing."""
    (row,) = trends_of([make_run(replace(make_cell(), status=status, as_expected=as_expected))]).rows
    assert row.outcomes.newest == words


def test_what_no_run_knows_is_unknown() -> None:
    """Never a line at 0; a cell that was left out is neither good nor bad."""
    skipped = replace(make_cell(), image=None, build=None, status=Status.SKIPPED, as_expected=True)
    (row,) = trends_of([make_run(skipped)]).rows
    assert (row.size, row.time, row.outcomes.left_out) == (None, None, "M2 17h0")
    page = page_of(trends_of([make_run(skipped)]))
    assert page.all("tr", "left-out")[0].text.endswith("skipped \N{EN DASH} \N{EN DASH}")
    assert page_of(trends_of([replace(make_run(), cells=())])).all("svg") == []


def test_a_figure_older_than_the_pictures_is_told_and_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many runs, so many cells; the page says what it leaves out."""
    monkeypatch.setattr(trendlines, "MOST_RUNS", 2)
    monkeypatch.setattr(trendlines, "MOST_CELLS", 1)
    lost = replace(make_cell(), image=None)
    trends = trends_of(
        [make_run(make_cell(), make_cell("wolfi")), *(make_run(lost, make_cell("wolfi"), day=day) for day in (1, 2))]
    )
    assert (trends.shown, trends.runs, trends.width, trends.more_cells) == (2, 3, 8, 1)
    text = page_of(trends).all("main")[0].text
    assert "Pictures show the last 2 of them." in text
    assert "1 more cell, which `matrix history` has." in text
    assert "slim-3.13, size not known in these runs" in text
    assert rows_of(page_of(trends)) == []
    assert trends.rows[0].size
    assert trends.rows[0].size.newest == "58.3"


def test_an_estimate_is_marked() -> None:
    """As everywhere: this store keeps no compressed layers."""
    cell = make_cell()
    assert cell.image
    trends = trends_of([make_run(replace(cell, image=replace(cell.image, compressed_estimated=True)))])
    assert trends.rows[0].size
    assert trends.rows[0].size.newest == "~58.3"
    assert "~ estimated" in page_of(trends).all("section")[0].text


def test_a_site_says_what_changed_on_the_day_of_a_shift(tmp_path: Path) -> None:
    """The same words as `matrix history`, and a link to the run's page."""
    page = site_of(keep(Reports(tmp_path / "reports"), month()), tmp_path / "site")
    text = page.all("section")[0].text
    assert "otel-python: 12 runs from 2026-11-21 to 2026-12-02, the newest 20261202T050607Z-00000b." in text
    assert "2026-11-24, run 20261124T050607Z-000003: size +0.430 MB (+0.7%) in slim-3.13, alpine-single-stage-3.13" in text
    assert "the base moved: docker.io/library/python:3.13-slim (+1.4 MB unpacked)" in text
    links = [one.attributes["href"] for one in page.all("a") if one.inside[-1] == "td" and one.text.startswith("2026-12")]
    assert links == ["runs/20261202T050607Z-00000b/index.html"]


def test_runs_without_an_end_and_of_other_matrices_are_counted(tmp_path: Path) -> None:
    """They have a row below, and no place in a trend."""
    stored = keep(Reports(tmp_path / "reports"), [make_run(), replace(make_run(day=1), finished_at=None)])
    keep(stored, [replace(make_run(), id="20261101T000000Z-aaaaaa", name="another")])
    text = site_of(stored, tmp_path / "site").all("section")[0].text
    assert "otel-python: 1 run from" in text
    assert "2 more runs are of another matrix, or without an end." in text
    (unended,) = keep(Reports(tmp_path / "unended"), [replace(make_run(), finished_at=None)]).runs.iterdir()
    page = site_of(Reports(unended.parents[1]), tmp_path / "other")
    assert [one.attributes["id"] for one in page.all("h2")] == ["runs-title"]


@pytest.mark.parametrize("name", ["run.json", "figures.json", "cells"])
def test_a_trend_is_made_of_nothing_that_lies_elsewhere(name: str, tmp_path: Path) -> None:
    """Neither a run, nor its figures, nor the records behind a shift are read through a link."""
    secret = with_moved_base(replace(make_cell(), reason="a secret"))
    outside = keep(Reports(tmp_path / "elsewhere"), [make_run(replace(secret, id="secret-3.13"), day=1)])
    site_of(outside, tmp_path / "other")  # which leaves figures there
    stored = keep(Reports(tmp_path / "reports"), [make_run(), make_run(with_moved_base(make_cell()), day=1)])
    mine, theirs = (where.run(make_run(day=1).id).path / name for where in (stored, outside))
    if name == "cells":
        for folder in mine.iterdir():
            (folder / "result.json").unlink()
            folder.rmdir()
            folder.symlink_to(theirs / "secret-3.13")
    else:
        mine.unlink(missing_ok=True)
        mine.symlink_to(theirs)
    site_of(stored, tmp_path / "site")
    assert "secret" not in (tmp_path / "site/index.html").read_text(encoding="utf-8")


def test_figures_that_are_damaged_are_made_anew(tmp_path: Path) -> None:
    """They are only a memory of what run.json says."""
    stored = keep(Reports(tmp_path / "reports"), [make_run()])
    before = rows_of(site_of(stored, tmp_path / "site"))
    stored.run(make_run().id).path.joinpath("figures.json").write_text(json.dumps({"format": 1}))
    assert rows_of(site_of(stored, tmp_path / "site")) == before != []


def test_hostile_runs_have_trends_that_obey_nothing(tmp_path: Path) -> None:
    """Names are text, paths are numbers."""
    hostile = replace(make_hostile_record(), finished_at=make_record().finished_at, id="20261123T000000Z-aaaaaa")
    turned = tuple(replace(cell, status=Status.TIMEOUT, as_expected=False) for cell in hostile.cells)
    stored = keep(
        Reports(tmp_path / "reports"), [hostile, replace(hostile, id="20261124T000000Z-aaaaaa", cells=turned)], apart=False
    )
    page = site_of(stored, tmp_path / "site")
    assert pictures_of(page)
    assert [one.tag for one in page.elements if one.tag in ("script", "img", "b")] == []
    assert HOSTILE not in page.all("body")[0].text
    assert not {"\x1b", "\u202e"} & set(page.all("body")[0].text)
    for path in page.all("path"):
        assert re.fullmatch(r"(?:[MLVh][0-9. ]+)*", path.attributes["d"])
