"""Markdown within a number of bytes: what matters most is in it, and what is not is named."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from orchestrator.model import Status
from orchestrator.report.comment import COMMENT_BYTES, render_comment, render_within
from tests.rendering import render
from tests.unit.records import make_cell, make_finding, make_hostile_record, make_record

RECORD = make_record()
MANY = replace(
    RECORD,
    cells=tuple(
        replace(
            RECORD.cells[0], id=f"b{at}-3.12", axes={"base": f"b{at}", "python": "3.12"}, as_expected=at != 499, reason="why " * 30
        )
        for at in range(500)
    ),
)


def test_a_run_that_fits_is_whole() -> None:
    """Then it says what the Markdown report says, under a smaller heading, and of leaving out nothing."""
    text = render(RECORD, "comment", 80)
    assert text == "#" + render(RECORD, "markdown", 80)
    assert "Left out" not in text


@pytest.mark.parametrize("limit", [1500, 4096, 60_000, 100_000])
def test_a_large_run_stays_under_the_limit_and_says_what_it_left_out(limit: int) -> None:
    """In bytes, not characters; each table that is cut says how many rows are missing."""
    text = render_within(MANY, limit)
    assert len(text.encode()) <= limit
    assert text.startswith("## otel-python\n\nTake alpine as base")
    assert f"Left out to stay under {limit} bytes: " in text
    assert text.endswith("`matrix report 20261121T050607Z-abc123 --format markdown` has all.\n")


def test_a_cell_that_did_not_end_as_expected_is_kept_before_others() -> None:
    """It is the last of 500 in the plan, and in the comment all the same, in the plan's order."""
    text = render_comment(MANY)
    assert len(text.encode()) <= COMMENT_BYTES
    rows = [line for line in text.splitlines() if line.startswith("| b") and " | 3.12 | " in line]
    assert rows[0].startswith("| b0 |")
    assert rows[-1].startswith("| b499 |")
    assert f"{500 - len(rows)} of 500 items of comparison" in text
    assert "sizes by part" in text.splitlines()[-1]


def test_one_line_that_is_too_long_takes_no_room_from_others() -> None:
    """A reason of a megabyte is left out, and the cells beside it are there."""
    cells = [make_cell("a", f"3.{at}", Status.ERROR, reason="x" * 1_000_000 if at == 5 else "why") for at in range(10)]
    text = render_comment(replace(RECORD, cells=tuple(cells)))
    assert len(text.encode()) <= COMMENT_BYTES
    assert "| a | 3.9 |" in text
    assert "1 of 10 items of comparison" in text


def test_a_diagnosis_is_an_item_of_its_own() -> None:
    """A cause is there with its evidence and remedy, or not at all."""
    finding = make_finding("x", "a cause", *(f"line {at} " + "y" * 290 for at in range(8)))
    cells = tuple(
        replace(make_cell("a", f"3.{at}", Status.ERROR), diagnosis=(replace(finding, title=f"cause {at}"),)) for at in range(90)
    )
    text = render_comment(replace(RECORD, cells=cells))
    assert len(text.encode()) <= COMMENT_BYTES
    assert text.count("  - Remedy: ") == text.count("- cause ")
    assert "of 90 items of diagnosis" in text


def test_hostile_texts_are_inert_here_too() -> None:
    """The last line names the run, whose id may be anything in a stored file."""
    text = render_within(make_hostile_record(), 1500)
    assert len(text.encode()) <= 1500
    assert "\x1b" not in text
    assert not re.search(r"(?<!\\)<|(?<!\\)`(?!matrix report RUN|$| has all)", text.replace("markdown` has", "markdown has"))
