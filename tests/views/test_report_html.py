"""The report as a page: whole without network, the same table as everywhere, and inert whatever it is about."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

import orchestrator
from orchestrator.inside import Package, Packages
from orchestrator.model import Status
from orchestrator.record import CellRecord, Environment, RunRecord
from orchestrator.report import html
from orchestrator.report.evidence import Evidence, Log
from orchestrator.report.html import render_html
from orchestrator.report.judged import make_verdict
from orchestrator.report.table import make_notes, make_table
from orchestrator.tracing import names
from orchestrator.tracing.waterfall import make_waterfall
from tests.rendering import render
from tests.unit.golden import assert_golden
from tests.unit.pages import Page
from tests.unit.records import make_finding, make_hostile_record, make_record
from tests.unit.traces import TRACE_ID, make_alpine, make_slim

if TYPE_CHECKING:
    from orchestrator.tracing.spans import Span

_IDS = ("trace_id", "span_id", "parent_id")  # what a trace hangs together by
_KINDS = (names.PART, names.STEP_OUTCOME, names.CHECK_OUTCOME)
UI = "http://127.0.0.1:16686/trace/{trace_id}"
CANARIES = (
    "<script>alert(1)</script>",
    "</script></style></template></title><img src=x onerror=alert(1)>",
    "\" onmouseover=alert(1) x='",
    "' autofocus onfocus='alert(1)",
    "javascript:alert(1)",
    "<!-- -->]]><![CDATA[&lt;b&gt;&#60;i&#62;",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "**bold** [x](javascript:alert(1)) `y` | z",
    "\x1b[31mred\x1b[0m\x00\x07\u202egnp.exe\u2066",
    "line\r\nline\u2028line\x85",
    "half \ud800 of \udfff one",
)


def evidence_of(cell: CellRecord) -> Evidence:
    """Give a trace and a log to the cells that were built."""
    spans = {"alpine-3.12": make_alpine(), "wolfi-3.13": make_slim()}.get(cell.id)
    if spans is None:
        return Evidence(problem="cells/x/trace.json is damaged" if cell.status is Status.TIMEOUT else None)
    return Evidence((Log("build.log", "cells/a%3Ab/build.log", "1 kB"),), make_waterfall(spans))


def make_traced_record() -> RunRecord:
    """Make a run with every status, whose traces can be looked at in a UI."""
    record = make_record()
    first, *rest = record.cells
    return replace(record, traces_ui=UI, cells=(replace(first, trace_id=TRACE_ID), *rest))


@pytest.fixture(scope="module")
def text() -> str:
    """Give the page on a run with every status."""
    return render_html(make_traced_record(), evidence_of)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    """Give the same page, parsed."""
    return Page(text)


def poison(value: Any, text: str) -> Any:
    """Put a text in place of every text of a value, however deep; what says what kind a thing is stays."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return text
    if isinstance(value, Struct):
        changed = {name: poison(getattr(value, name), text) for name in value.__struct_fields__}
        return replace(value, **changed | {key: getattr(value, key) for key in _IDS if key in changed})
    if isinstance(value, tuple):
        return tuple(poison(item, text) for item in value)
    if isinstance(value, Mapping):
        kept = {key: item for key, item in value.items() if key in _KINDS}
        return kept | {
            key if key.startswith("matrix.") else text: poison(item, text) for key, item in value.items() if key not in kept
        }
    return value


def poisoned_page(text: str) -> Page:
    """Render a run whose every text is this one, those of its traces and logs included."""

    def poisoned_evidence(cell: CellRecord) -> Evidence:
        root, *spans = make_slim()
        poisoned: list[Span] = [root, *(poison(span, text) for span in spans)]
        log = Log("build.log", "cells/x/build.log", "1 kB")
        return Evidence((log,), make_waterfall(poisoned)) if cell.build else Evidence((log,), problem=text)

    return Page(render_html(poison(make_traced_record(), text), poisoned_evidence))


@pytest.fixture(scope="module")
def harmless() -> Page:
    """Give the page on a run whose every text is a plain word."""
    return poisoned_page("word")


@pytest.mark.parametrize("canary", CANARIES)
def test_no_text_changes_what_a_page_is_made_of(canary: str, harmless: Page) -> None:
    """Whatever a name, a reason, a span or a log says, the page has the same elements with the same attributes."""
    page = poisoned_page(canary)
    assert page.shape == harmless.shape
    assert page.comments == []
    targets = [element.attributes["href"] for element in page.elements if "href" in element.attributes]
    assert [target for target in targets if not re.match(r"#cell-\d+$|#[a-z]+-title$|cells/x/", target)] == []


def test_texts_are_shown_word_for_word() -> None:
    """Inert does not mean gone: what an image said can be read in the table, in its cell, and in the waterfall."""
    page = poisoned_page("<b>&amp;'\"</b>")
    assert page.by_id("cell-1").text.count("<b>&amp;'\"</b>") > 10
    assert "<b>&amp;'\"</b>" in page.by_id("comparison").text
    assert all("<b>&amp;'\"</b>" in bar.text for bar in page.all("li", "bar")[1:9])


def test_a_page_can_be_stored_whatever_is_in_it() -> None:
    """Halves of characters, which a trace may hold, are in no page: it could not be written."""
    text = render_html(poison(make_traced_record(), "half \ud800"), evidence_of)
    assert text.encode()


def test_a_page_allows_its_own_scripts_and_nothing_else(text: str, page: Page) -> None:
    """The policy names each style and script by its hash, and forbids everything else: no request can leave the page."""
    (policy,) = [one.attributes["content"] for one in page.all("meta") if "http-equiv" in one.attributes]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert set(rules) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for tag in ("script", "style"):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in inside]
        assert inside
        assert rules[f"{tag}-src"].split() == [f"'sha256-{one}'" for one in hashes]
    assert text.index("Content-Security-Policy") < text.index("<style")


def test_a_page_needs_no_file_beside_it(page: Page) -> None:
    """Nothing is loaded: no source, no style sheet, no image, no frame, and no style or handler in an attribute."""
    assert {"img", "link", "iframe", "object", "embed", "form", "base", "audio", "video"} & {
        one.tag for one in page.elements
    } == set()
    attributes = {name for one in page.elements for name in one.attributes}
    assert {name for name in attributes if name.startswith("on") or name in ("src", "srcset", "style", "action")} == set()


def test_the_table_is_that_of_every_format(page: Page) -> None:
    """The same columns, rows and roundings as the terminal and Markdown, in the plan's order."""
    table = make_table(make_record())
    headers = [one.text for one in page.all("th") if one.attributes.get("scope") == "col" and "number" in one.classes]
    figures = [name for name in table.headers if name.endswith(("MB", " s", "size", "packages"))]
    assert headers[: len(figures)] == figures
    rows = [one for one in page.all("tbody") if "data-cell" in one.attributes]
    assert [row.attributes["data-cell"] for row in rows] == [f"cell-{at}" for at in range(1, 11)]
    for row, (*texts, reason) in zip(rows, table.rows, strict=True):
        assert row.text in {" ".join(filter(None, (*texts, link, reason))) for link in ("", "trace")}


def test_a_page_says_first_how_the_run_went_and_how_it_was_timed(page: Page) -> None:
    """The summary is in the header, and the timing mode stands above the figures."""
    *notes, summary = make_notes(make_record())
    assert page.all("p", "lead")[0].text == make_verdict(make_record())
    order = [one.text if one.tag == "p" else one.tag for one in page.elements if one.tag == "table" or "note" in one.classes]
    assert order[: len(notes) + 2] == [summary, *notes, "table"]
    assert "timing: shared" in notes[0]
    facts = {one.text for one in page.all("dd")}
    assert {"Docker 28.1.0, overlay2 image store", "2 CPUs, 8.0 GB, linux/amd64", "c0ffee with changes"} <= facts


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (replace(make_record(), environment=Environment(stand_in_bases=("python:3.13",))), "STAND-IN BASES: these are not"),
        (replace(make_record(), complete=False), "INCOMPLETE: the run was interrupted"),
    ],
)
def test_a_page_warns_before_any_figure(record: RunRecord, words: str) -> None:
    """A run that is not what it seems says so in its header."""
    page = Page(render_html(record))
    (warning,) = [one for one in page.all("p", "warning") if "header" in one.inside]
    assert warning.text.startswith(words)


def test_each_cell_has_a_section_that_its_row_leads_to(page: Page) -> None:
    """Every cell, the excluded ones too, can be opened; the heading says how it ended."""
    cells = page.all("details", "cell")
    assert [cell.attributes["id"] for cell in cells] == [f"cell-{at}" for at in range(1, 11)]
    links = [one.attributes["href"] for one in page.all("a") if one.attributes.get("aria-label", "").startswith("cell ")]
    assert links == [f"#{cell.attributes['id']}" for cell in cells]
    titles = [one.text for one in page.all("summary") if "li" not in one.inside]
    assert titles[0] == "alpine-3.12 passed"
    assert titles[4] == "slim-3.13 passed (unexpected)"
    assert titles[9] == "alpine-3.9 excluded"


def test_a_section_has_all_that_is_known_of_a_cell(page: Page) -> None:
    """Reason, axes, inputs with digests, sizes, layers, steps, checks and logs."""
    text = page.by_id("cell-6").text
    for words in (
        "base wolfi python 3.13",
        "base docker.io/library/x:1 sha256:0",
        "argument A b",
        "Dockerfile sha256:f",
        "compressed – unpacked – over base –",
        "ADD file:x in / sha256:aaaa",
        "[build 2/2] RUN y executed –",
        "timing shared wall 0.04 s, up to 2 builds at once pull 1.50 s export 0.25 s steps 2, 1 of them cached",
        "Checks: failed passed import m0 0.50 s detail failed import m1 0.50 s why detail skipped import m2",
        "build.log 1 kB",
    ):
        assert words in text
    assert "The trace cannot be shown: cells/x/trace.json is damaged" in page.by_id("cell-7").text
    assert page.by_id("cell-10").text == "alpine-3.9 excluded too old base alpine python 3.9"


def test_a_build_by_itself_is_not_one_of_several() -> None:
    """The page says of `--jobs 1` what the table says of it."""
    record = make_record()
    cells = tuple(replace(cell, build=cell.build and replace(cell.build, jobs=1)) for cell in record.cells)
    page = Page(render_html(replace(record, cells=cells)))
    assert "timing shared wall 0.04 s, one build at a time pull" in page.by_id("cell-6").text


def test_a_waterfall_is_a_list_that_can_be_read_as_it_is(page: Page) -> None:
    """Without any script the rows, their times, and how each came about are text; a bar is a picture beside it."""
    rows = [one.text for one in page.all("li", "bar")]
    assert "[build 3/3] RUN pip install -r requirements.txt 42.50 ◆" in rows
    assert "[stage-1 1/2] WORKDIR /app cached 0.01 ran in slim-3.12" in rows
    assert "[build 2/2] RUN pip install -r requirements.txt joined 6.00 ◆ ran in slim-3.13-fastapi, 10.00 s in all" in rows
    assert "import grpc ✗ failed 2.00 ◆ Segmentation fault (SIGSEGV), exit 139" in rows
    assert "steps 51.50 s 80.5 %" in page.by_id("cell-1").text


def test_rows_lead_to_traces_where_a_ui_is_named(page: Page) -> None:
    """With `traces.ui` the row and the section of a traced cell lead there, and those of others do not."""
    links = [one for one in page.all("a") if one.attributes["href"].startswith("http")]
    assert [one.attributes["href"] for one in links] == [UI.replace("{trace_id}", TRACE_ID)] * 2
    assert {one.attributes["rel"] for one in links} == {"noreferrer noopener"}
    assert [one.inside[-1] for one in links] == ["td", "li"]
    without = Page(render_html(replace(make_traced_record(), traces_ui=None)))
    assert [one for one in without.all("a") if one.attributes["href"].startswith("http")] == []
    assert "trace" not in [one.text for one in without.all("th")]


def test_the_page_reads_as_it_always_did(text: str) -> None:
    """The page without its styles and scripts, word for word."""
    plain = re.sub(r"(<(style|script)>).*?(</\2>)", r"\1\3", text, flags=re.DOTALL)
    assert_golden("report.html", re.sub(r"sha256-[A-Za-z0-9+/]{43}=", "sha256-…", plain))


def test_a_hostile_run_is_a_page_too() -> None:
    """The run that every other format is tested with, in the words of `matrix report`."""
    page = Page(render(make_hostile_record(), "html", 80))
    assert len(page.all("details", "cell")) == len(make_hostile_record().cells)
    assert len(page.all("script")) == 2


def test_long_texts_are_cut_and_say_so() -> None:
    """One check that prints without end does not make a page that nobody can open."""
    record = make_record()
    cell = record.cells[0]
    assert cell.smoke is not None
    check = replace(cell.smoke.checks[0], detail="x" * 100_000)
    long = replace(cell, smoke=replace(cell.smoke, checks=(check,)))
    text = render_html(replace(record, cells=(long,)))
    many = replace(cell, smoke=replace(cell.smoke, checks=cell.smoke.checks * 700))
    page = Page(render_html(replace(record, cells=(many,))))
    assert len([one for one in page.all("li") if "ul" in one.inside and "import m0" in one.text]) == 500
    assert "200 more are left out; run.json has all." in page.by_id("cell-1").text
    assert "x… (96000 more characters)" in text
    assert len(text) < 60_000


def test_long_lists_of_claims_and_causes_are_cut_and_say_so() -> None:
    """However many causes thousands of cells have, the page can be opened."""
    record = make_record()
    findings = tuple(make_finding(f"c{at}", f"cause {at}") for at in range(501))
    cells = (replace(record.cells[0], diagnosis=findings),)
    page = Page(render_html(replace(record, cells=cells, claims=record.claims * 126)))
    for title in ("Claims", "Diagnosis"):
        (section,) = [one for one in page.all("section") if one.text.startswith(f"{title} ") and "main" in one.inside[-1:]]
        assert section.text.endswith(f"{1 if title == 'Diagnosis' else 4} more are left out; run.json has all.")


def test_a_run_that_was_killed_has_a_page(page: Page) -> None:
    """What is not known is a dash, never a zero or a word of Python's."""
    killed = RunRecord(1, "20260101T000000Z-abcdef", "m", datetime(2026, 1, 1), ("base",), "base")  # noqa: DTZ001  # as old files are
    text = Page(render_html(killed)).all("header")[0].text
    assert "finished –" in text
    assert "None" not in text
    assert "None" not in page.by_id("cell-1").text


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_can_be_told_apart_in_light_and_dark() -> None:
    """Text has a contrast of 4.5 to 1 with what is behind it, bars and borders one of 3 to 1 (WCAG 2.2, AA)."""
    css = (Path(orchestrator.__file__).parent / "report/page/page.css").read_text(encoding="utf-8")
    schemes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]
    assert len(schemes) == 2
    for colours in schemes:
        light = {name: _luminance(colour) for name, colour in colours.items()}
        pairs = [
            (ink, paper, 4.5) for ink in ("ink", "soft", "accent", "bad", "good") for paper in ("paper", "panel", "accent-soft")
        ]
        pairs += [("bar", "paper", 3.0)]
        for ink, paper, least in pairs:
            high, low = sorted((light[ink], light[paper]), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= least, f"{ink} on {paper}: {colours[ink]} on {colours[paper]}"


def test_a_page_of_many_cells_lists_fewer_packages_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that take most room, and what all others take together: a browser has to hold them."""
    packages = Packages(os=tuple(Package(f"p{at:02}", "1", bytes=1000 * at) for at in range(30)))
    cell = next(cell for cell in make_record().cells if cell.image)
    cells = tuple(replace(cell, id=f"c{at}", image=replace(cell.image, packages=packages)) for at in range(2) if cell.image)
    record = replace(make_record(), cells=cells)
    assert render_html(record).count("p00 1") == 2
    monkeypatch.setattr(html, "_PACKAGES_OF_RUN", 24)
    text = render_html(record)
    assert (text.count("18 more"), text.count("p18 1"), text.count("p17 1")) == (2, 2, 0)
