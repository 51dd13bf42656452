"""Reports of any shape: what is written can be read back, fits, and touches nothing that is not its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml
from msgspec.structs import replace

from orchestrator.model import Status
from orchestrator.record import CellRecord
from orchestrator.report.comment import render_within
from orchestrator.report.files import FORMATS
from orchestrator.report.update import make_parts, update_text
from tests.rendering import render
from tests.unit.records import make_finding, make_gates, make_record

RECORD = make_record()
PARTS = make_parts(RECORD)
BEGIN, END = "<!-- matrix:begin -->", "<!-- matrix:end -->"
texts = st.text(max_size=60)
anything = st.text(st.characters(), max_size=60)  # halves of characters and controls too
cells = st.builds(
    lambda name, axis, status, expected, reason: CellRecord(
        name,
        {"base": axis},
        status,
        expected,
        status is expected,
        reason,
        diagnosis=(make_finding(name, reason, axis, remedy=name),),
    ),
    anything,
    anything,
    st.sampled_from(Status),
    st.sampled_from(Status),
    anything,
)


@given(st.lists(cells, max_size=5), anything)
def test_junit_is_xml_whatever_the_texts_are(found: list[CellRecord], name: str) -> None:
    """A case for each cell, and one for each gate."""
    record = replace(RECORD, name=name, cells=tuple(found), gates=make_gates())
    suites = JUnitXml.fromstring(render(record, "junit", 80).encode())
    assert sum(len(list(suite)) for suite in suites) == len(found) + len(make_gates())


@given(st.lists(cells, max_size=5), st.sampled_from([kind for kind in FORMATS if kind != "json"]), st.integers(20, 200))
def test_every_format_takes_every_text(found: list[CellRecord], kind: str, width: int) -> None:
    """And what comes out can be written to a file, with nothing in it that a terminal would obey."""
    text = render(replace(RECORD, cells=tuple(found)), kind, width)
    assert text.encode()
    assert "\x1b" not in text


@given(st.lists(cells, max_size=30), st.integers(1200, 8000))
def test_a_comment_fits_whatever_is_in_it(found: list[CellRecord], limit: int) -> None:
    """In bytes; and it says that something is missing, or nothing is."""
    record = replace(RECORD, cells=tuple(found))
    text = render_within(record, limit)
    assert len(text.encode()) <= limit
    assert ("Left out to stay under" in text) or text == "#" + render(record, "markdown", 80)


@given(texts, texts, st.sampled_from(["\n", "\r\n"]))
def test_an_update_touches_nothing_around_its_block(before: str, after: str, ending: str) -> None:
    """What stands before and after is there to the last character, and a second update changes nothing."""
    before, after = (text.replace("`", "").replace("~", "") for text in (before, after))  # a fence may hide the block
    once = update_text(f"{before}{ending}{BEGIN}{ending}{END}{ending}{after}", PARTS, "x")
    assert once.text.startswith(f"{before}{ending}{BEGIN}{ending}")
    assert once.text.endswith(f"{END}{ending}{after}")
    assert update_text(once.text, PARTS, "x").changed == ()
