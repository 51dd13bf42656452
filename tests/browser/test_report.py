"""The report in a real browser: it asks for nothing, obeys nothing it shows, and can be used by mouse and by keyboard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.report.html import render_html
from tests.browser.conftest import CANARY
from tests.pace import slowness
from tests.unit.judged import cell, run

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from tests.browser.conftest import Viewer

pytestmark = pytest.mark.xdist_group("browser")

PLANNED = ["alpine", "slim", "wolfi", "alpine", "slim", "wolfi", "alpine", "slim", "wolfi", "alpine"]


def first_column(page: Page) -> list[str]:
    """Read the first column of the rows that are shown."""
    return page.locator("#comparison tbody tr:visible th").all_inner_texts()


def waterfall_of(page: Page, cell: str) -> Locator:
    """Give the waterfall of a cell whose section is open."""
    return page.locator(f"#{cell} .waterfall")


def stretch(waterfall: Locator) -> tuple[float, float]:
    """Read which seconds a waterfall shows: from where, and how many."""
    return float(waterfall.get_attribute("data-from") or ""), float(waterfall.get_attribute("data-span") or "")


def views(waterfall: Locator) -> set[str]:
    """Read which stretch each row's picture shows."""
    found: list[str] = waterfall.locator(".track").evaluate_all("tracks => tracks.map(track => track.getAttribute('viewBox'))")
    return set(found)


def test_nothing_is_asked_for_and_nothing_shown_is_obeyed(viewer: Viewer, report: Path) -> None:
    """The file is the only request, and what an image wrote into names and reasons stays text, in opened sections too."""
    page = viewer.open(report)
    title = page.title()
    for number in range(1, 11):
        page.evaluate(f"location.hash = 'cell-{number}'")
    page.locator("#cell-10[open]").wait_for()
    waterfall_of(page, "cell-5").locator(".bar").nth(1).hover()
    assert "document.title='owned'" in page.locator("#tip").inner_text()
    assert CANARY in page.locator("#comparison").inner_text()
    assert page.title() == title
    assert page.locator("img, main script").count() == 0
    for place in ("claims", "gates", "decision", "diagnosis"):
        assert CANARY in page.locator(f"section[aria-labelledby={place}-title]").inner_text()
    for pairs in page.locator("details.more > summary").all():
        pairs.click()
    assert page.title() == title
    assert viewer.requests == [report.as_uri()]


def test_the_policy_holds_against_what_would_get_in(viewer: Viewer, report: Path) -> None:
    """Were there a hole in the escaping, the browser would still run no script and fetch nothing."""
    page = viewer.open(report)
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'owned'";
          const image = document.createElement("img");
          image.src = "http://127.0.0.1:9/x";
          const line = document.createElement("p");
          line.setAttribute("onclick", "document.title = 'owned'");
          document.body.append(script, image, line);
          line.click();
        }"""
    )
    refused = page.evaluate("fetch('http://127.0.0.1:9/x').then(() => 'fetched', () => 'refused')")
    assert refused == "refused"
    assert page.title() != "owned"
    refusals = " ".join(viewer.problems)
    assert all(words in refusals for words in ("inline script", "inline event handler", "Loading the image", "Refused to connect"))
    assert all("Content Security Policy" in problem for problem in viewer.problems)
    viewer.problems.clear()


def test_the_table_is_sorted_by_click_and_by_key(viewer: Viewer, report: Path) -> None:
    """Once up, twice down, three times as planned; figures by size, versions by number, and the unknown always last."""
    page = viewer.open(report)
    sizes = page.locator("#comparison thead button", has_text="compressed")
    column = page.locator("#comparison tbody td:nth-child(4)")
    sizes.click()
    assert column.all_inner_texts()[:5] == ["0.001", "20.0", "~45.4", "50.0", "–"]
    assert page.locator("#comparison th[aria-sort]").get_attribute("aria-sort") == "ascending"
    sizes.press("Enter")
    assert column.all_inner_texts()[:5] == ["50.0", "~45.4", "20.0", "0.001", "–"]
    assert page.locator("#comparison th[aria-sort]").get_attribute("aria-sort") == "descending"
    sizes.press("Space")
    assert first_column(page) == PLANNED
    assert page.locator("#comparison th[aria-sort]").count() == 0
    page.locator("#comparison thead button", has_text="python").click()
    assert page.locator("#comparison tbody td:nth-child(2)").all_inner_texts()[:3] == ["3.9", "3.11", "3.12"]


def test_figures_within_the_noise_are_sorted_as_figures(viewer: Viewer, tmp_path: Path) -> None:
    """A mark before a figure is no part of it."""
    file = tmp_path / "report.html"
    cells = (cell("a", 1, 30.0), cell("b", 2, 10.1), cell("c", 3, 10.0), cell("d", 4, 20.0))
    file.write_text(render_html(run(*cells)), encoding="utf-8")
    page = viewer.open(file)
    page.locator("#comparison thead button", has_text="relative time").click()
    assert first_column(page) == ["c", "b", "d", "a"]
    assert "≈1.01" in page.locator("#comparison tbody").nth(1).inner_text()


def test_the_table_is_filtered_with_its_sections(viewer: Viewer, report: Path) -> None:
    """Every word must be somewhere in a row; what is left is counted, and the sections below follow."""
    page = viewer.open(report)
    page.get_by_label("Filter").fill("SLIM passed")
    assert first_column(page) == ["slim", "slim"]
    assert page.locator("#filter-count").inner_text() == "2 of 10 cells"
    assert page.locator("details.cell:visible").count() == 2
    page.get_by_label("Filter").fill("")
    assert first_column(page) == PLANNED


def test_a_row_opens_its_cell(viewer: Viewer, report: Path) -> None:
    """A click anywhere in a row, its link by keyboard, and an address with the cell in it lead to the open section."""
    page = viewer.open(report)
    page.locator("#comparison tbody").nth(3).locator(".reason").click()
    page.locator("#cell-4[open]").wait_for()
    assert page.evaluate("document.activeElement.parentElement.id") == "cell-4"
    page.locator("#comparison tbody").nth(5).locator("a").first.press("Enter")
    page.locator("#cell-6[open]").wait_for()
    assert viewer.open(report, "#cell-2").locator("#cell-2[open]").count() == 1


def test_a_waterfall_is_zoomed_by_keys(viewer: Viewer, report: Path) -> None:
    """Plus and minus zoom, the arrows move along, 0 shows all; every row and the scale show the same stretch."""
    page = viewer.open(report, "#cell-1")
    waterfall = waterfall_of(page, "cell-1")
    assert stretch(waterfall) == (0, 64)
    rows = waterfall.locator(".bar:visible")
    rows.first.focus()
    for key in ("+", "="):
        page.keyboard.press(key)
    assert stretch(waterfall) == (24, 16)
    assert len(views(waterfall)) == 1
    assert waterfall.locator(".ruler span").first.text_content() == "24.0 s"
    page.keyboard.press("ArrowRight")
    assert stretch(waterfall) == (27.2, 16)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("-")
    assert stretch(waterfall) == (16, 32)
    page.keyboard.press("0")
    assert stretch(waterfall) == (0, 64)
    assert views(waterfall) == {"0 0 1000000 10"}
    waterfall.get_by_role("button", name="Zoom in").click()
    assert stretch(waterfall)[1] == 32
    waterfall.get_by_role("button", name="All").click()
    assert stretch(waterfall) == (0, 64)


def test_a_waterfall_is_zoomed_by_wheel_and_by_dragging(viewer: Viewer, report: Path) -> None:
    """The wheel zooms where the pointer is once the waterfall was clicked, and a drag shows what was dragged over."""
    page = viewer.open(report, "#cell-1")
    waterfall = waterfall_of(page, "cell-1")
    track = waterfall.locator(".bar:visible .track").nth(2)
    box = track.bounding_box()
    assert box is not None
    half, line = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(half, line)
    scrolled = page.evaluate("scrollY")
    page.mouse.wheel(0, 100)
    page.wait_for_function("before => scrollY > before", arg=scrolled)
    assert stretch(waterfall) == (0, 64)
    track.click()
    box = track.bounding_box()
    assert box is not None
    half, line = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(half, line)
    page.mouse.wheel(0, -100)
    page.wait_for_function("document.querySelector('#cell-1 .waterfall').dataset.span < 64")
    start, length = stretch(waterfall)
    assert length == pytest.approx(64 / 1.4)
    assert start + length / 2 == pytest.approx(32, abs=0.2)
    page.keyboard.press("0")
    page.mouse.move(box["x"] + box["width"] / 4, line)
    page.mouse.down()
    page.mouse.move(half, line)
    assert waterfall.locator(".dragged").count() == 1
    page.mouse.up()
    assert list(stretch(waterfall)) == pytest.approx([16, 16], abs=0.3)
    assert waterfall.locator(".dragged").count() == 0


def test_rows_are_reached_by_keyboard_and_explain_themselves(viewer: Viewer, report: Path) -> None:
    """One row is in the tab order; arrows go through the others; each has its details in a tip that Escape takes away."""
    page = viewer.open(report, "#cell-6")
    waterfall = waterfall_of(page, "cell-6")
    assert waterfall.locator(".bar[tabindex='0']").count() == 1
    waterfall.get_by_role("button", name="Zoom in").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    focused = page.locator(":focus")
    assert "pip install" in focused.inner_text()
    assert focused.get_attribute("role") == "treeitem"
    assert focused.evaluate("row => getComputedStyle(row).outlineStyle") == "solid"
    tip = page.locator("#tip")
    assert focused.get_attribute("aria-describedby") == "tip"
    assert "ran in slim-3.13-fastapi" in tip.inner_text()
    assert "6.000 s, from 0.000 to 6.000 s" in tip.inner_text()
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    page.keyboard.press("End")
    assert "Segmentation fault" in tip.inner_text()
    waterfall.locator(".bar:visible").nth(1).hover()
    assert tip.inner_text().startswith("build\n8.000 s")


def test_a_waterfall_is_searched(viewer: Viewer, report: Path) -> None:
    """What fits is marked and counted, Enter goes from one to the next, and a hit among the details shows them."""
    page = viewer.open(report, "#cell-1")
    waterfall = waterfall_of(page, "cell-1")
    search = waterfall.get_by_label("Search")
    search.fill("apk add")
    assert waterfall.locator(".hit").count() == 2
    assert waterfall.locator("output").inner_text() == "2 of 19 rows"
    search.press("Enter")
    assert "gcc musl-dev" in page.locator(":focus").inner_text()
    assert waterfall.locator(".bar", has_text="extract sha256").is_hidden()
    search.fill("extract")
    assert waterfall.locator(".bar", has_text="extract sha256").is_visible()
    assert waterfall.get_by_label("the builder's own spans").is_checked()


def test_a_page_can_be_read_without_scripts(viewer: Viewer, report: Path) -> None:
    """Table, sections and waterfalls are plain HTML; what needs a script is not shown."""
    page = viewer.open(report, script=False)
    assert first_column(page) == PLANNED
    page.locator("#cell-1 > summary").click()
    row = page.locator("#cell-1 .bar", has_text="pip install")
    assert row.is_visible()
    assert "42.50" in row.inner_text()
    box = row.locator("rect").bounding_box()
    assert box is not None
    assert box["width"] > 100
    assert page.locator("input:visible, button:visible").count() == 0


@pytest.mark.parametrize(
    ("name", "dark", "width"),
    [("light", False, 1280), ("dark", True, 1280), ("phone", False, 360), ("phone-dark", True, 360)],
)
def test_a_page_fits_and_is_drawn(name: str, dark: bool, width: int, viewer: Viewer, report: Path, shots: Path) -> None:  # noqa: FBT001  # parameters of the test
    """In light and dark, on a desk and on a phone: nothing is cut off at the side, and the picture is kept in a file."""
    page = viewer.open(report, dark=dark, width=width)
    page.screenshot(path=shots / f"report-{name}-table.png")
    page.evaluate("location.hash = 'cell-6'")
    page.locator("#cell-6 .ruler").scroll_into_view_if_needed()
    page.screenshot(path=shots / f"report-{name}-waterfall.png")
    for picture in ("table", "waterfall"):
        assert (shots / f"report-{name}-{picture}.png").stat().st_size > 10_000
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", background)))
    assert (brightness < 150) is dark


def test_the_header_of_the_table_stays_in_sight(viewer: Viewer, report: Path) -> None:
    """However far a table is scrolled, its columns are named."""
    page = viewer.open(report, width=360)
    frame = page.locator(".table-of-cells")
    frame.evaluate("frame => frame.scrollTo(150, 250)")
    header, box = page.locator("#comparison thead th").first.bounding_box(), frame.bounding_box()
    assert header is not None
    assert box is not None
    assert [header["x"], header["y"]] == pytest.approx([box["x"], box["y"]], abs=2)
    wide = viewer.open(report)
    wide.set_viewport_size({"width": 1280, "height": 300})
    wide.locator("#comparison tbody").nth(8).scroll_into_view_if_needed()
    stuck, box = wide.locator("#comparison thead th").first.bounding_box(), wide.locator(".table-of-cells").bounding_box()
    assert stuck is not None
    assert box is not None
    assert stuck["y"] == pytest.approx(max(box["y"], 0), abs=2)  # of the window, or of a frame where the table is wider


def test_a_page_is_printed_on_paper(viewer: Viewer, report: Path, shots: Path) -> None:
    """On paper the page is light, has no tools, and no frame cuts the table off."""
    page = viewer.open(report, "#cell-1", dark=True)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("input:visible, button[data-do]:visible").count() == 0
    assert page.locator(".table-of-cells").evaluate("frame => getComputedStyle(frame).overflow") == "visible"
    page.screenshot(path=shots / "report-print.png", full_page=True)
    page.set_viewport_size({"width": 1030, "height": 700})  # A4, landscape, without its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 1030
    assert page.locator("#comparison").evaluate("table => table.scrollWidth") <= 1030


def test_a_filter_reaches_the_pictures_too(viewer: Viewer, report: Path) -> None:
    """Sizes and times of the cells that are left, and of no others; a picture has its figures in words."""
    page = viewer.open(report)
    page.get_by_label("Filter").fill("alpine passed")
    sizes = page.locator("section[aria-labelledby=sizes-title] tbody tr:visible")
    assert sizes.locator("th").all_inner_texts() == ["alpine-3.12"]
    picture = sizes.get_by_role("img", name="alpine-3.12")
    assert "base MB 40.0, packages MB 12.0, app MB 6.5, waste MB 1.5" in (picture.locator("desc").text_content() or "")
    box = picture.locator("rect").first.bounding_box()
    assert box is not None
    assert box["width"] > 20


def test_the_comparison_is_the_first_stop_of_a_keyboard(viewer: Viewer, report: Path) -> None:
    """A link that only the keyboard sees leads past the header; every table has a caption and headers with a scope."""
    page = viewer.open(report)
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to the comparison"
    assert (skip.bounding_box() or {"x": -1})["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "comparison-title"
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("svg[role=img]:not(:has(title))").count() == 0
    assert page.locator("svg:not([role=img]):not([aria-hidden])").count() == 0


def test_a_link_of_the_diagnosis_opens_its_cell(viewer: Viewer, report: Path) -> None:
    """From a cause to all that is known of a cell that has it."""
    page = viewer.open(report)
    page.locator("section[aria-labelledby=diagnosis-title] a", has_text="alpine-3.13").click()
    page.locator("#cell-4[open]").wait_for()
    assert "no wheel for musl, and no compiler" in page.locator("#cell-4").inner_text()


def test_500_cells_open_in_under_2_seconds(chromium: Browser, large_report: Path) -> None:
    """Until the first picture, each cell with its waterfall, layers, steps and checks: the page's own time, the best of three."""
    times = []
    for _ in range(3):
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        wire = page.context.new_cdp_session(page)
        wire.send("Performance.enable", {"timeDomain": "threadTicks"})  # what other programs take meanwhile is not counted
        page.goto(large_report.as_uri())
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        found = {one["name"]: one["value"] for one in wire.send("Performance.getMetrics")["metrics"]}
        assert page.locator("details.cell").count() == 500
        times.append(found["TaskDuration"])
        page.context.close()
    assert 0.1 < min(times) < 2 * slowness()
