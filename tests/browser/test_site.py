"""A site in a real browser: its trends are pictures with words, and it is walked through from a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.site import make_site
from orchestrator.store import Reports
from tests.browser.conftest import CANARY
from tests.views.test_history import keep, month

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Viewer

pytestmark = pytest.mark.xdist_group("browser")


def test_the_trends_of_a_site_are_pictures_with_words(viewer: Viewer, tmp_path: Path) -> None:
    """Each is drawn within its row, in both schemes, has a name and a description, and the shifts open by keyboard."""
    keep(Reports(tmp_path / "reports"), month())
    make_site(Reports(tmp_path / "reports"), tmp_path / "site")
    page = viewer.open(tmp_path / "site" / "index.html")
    assert page.get_by_role("img", name="slim-3.13, size").get_by_text("from 58.3 to 59.6 MB over 12 runs").count() == 1
    strokes = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        strokes.append(page.locator("path.course").first.evaluate("path => getComputedStyle(path).stroke"))
    assert len({*strokes, "none"}) == 3
    for row in page.locator("table.trends tbody tr").all():
        room = row.bounding_box()
        for picture in row.locator("svg").all():
            box = picture.bounding_box()
            assert room
            assert box
            assert room["y"] <= box["y"]
            assert box["y"] + box["height"] <= room["y"] + room["height"]
    page.locator("details.more > summary").press("Enter")
    assert page.get_by_text("the base moved: docker.io/library/python:3.13-slim (+1.4 MB unpacked)").is_visible()
    assert viewer.problems == []


def test_a_site_is_walked_through_from_a_disk(viewer: Viewer, report: Path, tmp_path: Path) -> None:
    """From the front page to a run's page and to its log, by relative links, with nothing asked of any network."""
    make_site(Reports(report.parents[2]), tmp_path / "site")
    page = viewer.open(tmp_path / "site" / "index.html", width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert CANARY in page.locator("main").inner_text()
    pictures = page.get_by_role("img")
    assert pictures.count() > 0
    assert all(picture.bounding_box() for picture in pictures.all())
    page.locator("table.runs tbody th a").first.click()
    page.locator("#comparison").wait_for()
    page.locator("#cell-1 > summary").click()
    page.locator("#cell-1 a", has_text="build.log").click()
    assert page.locator("body").inner_text() == "a log\n"
    assert {request.split(":")[0] for request in viewer.requests} == {"file"}
