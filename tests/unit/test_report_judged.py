"""What a run was judged to be: the verdict in a sentence, and what is unknown said as such, in every format."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.model import Status
from orchestrator.record import Environment, RunRecord
from orchestrator.report.judged import claim_evidence, make_diagnosis, make_gates, make_verdict, write_figure
from orchestrator.report.select import select_records
from orchestrator.rules import Rules
from orchestrator.verdicts import Decision, Gate, GroupDecision, Pair, Verdict
from tests.rendering import render
from tests.unit.records import make_cell, make_claims, make_finding, make_record
from tests.unit.records import make_gates as gates_of_every_kind

BARE = RunRecord(1, "20261121T050607Z-abc123", "m", make_record().started_at, ("base", "python"), "base")
PASSED = make_cell("slim", "3.12", Status.PASSED)
FAILED = make_cell("alpine", "3.12", Status.BUILD_FAILED)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Nothing was decided; no cell has a result."),
        ({"rules": Rules()}, "Nothing was decided, since matrix.yaml has no decide; no cell has a result."),
        ({"cells": (PASSED,)}, "Nothing was decided; 1 cell of 1 ended as expected."),
        ({"cells": (PASSED, FAILED)}, "Nothing was decided; 1 of 2 cells did not end as expected."),
        ({"decision": Decision("slim", between="base")}, "Take slim as base; no cell has a result."),
        ({"decision": Decision("slim", runner_up="alpine")}, "Take slim as base, rather than alpine; no cell has a result."),
        ({"decision": Decision()}, "No base can be named as the one to take; no cell has a result."),
        ({"gates": (Gate("size", None, 1, 1, passed=True),)}, "Nothing was decided; no cell has a result; 1 gate held."),
        (
            {"gates": (Gate("size", None, 1, None, passed=None),)},
            "Nothing was decided; no cell has a result; 1 of 1 gate could not be judged.",
        ),
        (
            {"gates": gates_of_every_kind()},
            "Nothing was decided; no cell has a result; 2 of 6 gates failed and 1 could not be judged.",
        ),
        ({"claims": (Verdict("x", "perhaps"),)}, "Nothing was decided; no cell has a result; claims: 1 unknown."),
        (
            {"decision": Decision("slim"), "environment": Environment(stand_in_bases=("x",))},
            "On stand-in bases, which are not the real images: take slim as base; no cell has a result.",
        ),
    ],
)
def test_the_verdict_is_one_sentence(changes: dict[str, object], words: str) -> None:
    """Whatever is missing of a run, its first sentence says what came out and claims no more."""
    assert make_verdict(replace(BARE, **changes)) == words


@pytest.mark.parametrize("kind", ["table", "markdown", "comment", "html"])
def test_the_verdict_comes_before_any_figure(kind: str) -> None:
    """Whoever reads one line has read the right one."""
    text = render(make_record(), kind, 10_000)
    place = text.index("Take alpine as base, rather than slim; 3 of 8 cells did not end as expected")
    assert place < text.index("20.0")


@pytest.mark.parametrize("kind", ["table", "markdown", "html"])
def test_what_was_judged_is_in_every_report(kind: str) -> None:
    """Claims of each verdict, gates that failed or nobody could judge, each group's decision, each cause with its remedy."""
    text = " ".join(render(make_record(), kind, 10_000).replace("\\", "").split())
    for words in (
        "Alpine wastes less than slim",
        "mixed",
        "20.0 MB &lt; 45.4 MB" if kind == "html" else "20.0 MB < 45.4 MB",
        "alpine-3.13 and slim-3.13: – against 50.0 MB, unknown (alpine-3.13 has no image)",
        "growth of size",
        "wolfi-3.13 has no image",
        "FAILED",
        "unknown",
        "no cell passed its checks as expected",
        "Because: smallest in 1 of 3 groups, and never larger",
        "It would change: a build time that weighs more than 5 times the size",
        "Not known: alpine-3.14: it was still building after 1800 s",
        "Noise: 4.0 % of cold",
        "no wheel for musl, and no compiler",
        "use a builder stage with a compiler",
        "No cause is stored; `matrix explain 20261121T050607Z-abc123 wolfi-3.13` looks for one",
        "Passed, though build-failed was expected; take it out of `expect` in matrix.yaml.",
    ):
        assert words in text


@pytest.mark.parametrize("kind", ["table", "markdown", "html"])
def test_what_was_not_judged_has_no_heading(kind: str) -> None:
    """A run from before anything was judged reads as it is, without empty sections."""
    text = render(replace(BARE, cells=(PASSED,)), kind, 80)
    for word in ("Claims", "Gates", "Decision", "Diagnosis", "Sizes by part"):
        assert word not in text


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (None, "bytes", "–"),
        (float("nan"), "s", "–"),
        (45_400_000, "size", "45.4 MB"),
        (61.04, "build_time", "61.04 s"),
        (0.0, "outcome", "fails"),
        (2.0, "outcome", "passes"),
        (7.0, "outcome", "–"),
        (0.05, "share", "5.0%"),
        (2, "count", "2"),
        (3.0, None, "3"),
        (0, "s", "0.00 s"),
    ],
)
def test_figures_have_the_rounding_of_the_table(value: float | None, kind: str | None, words: str) -> None:
    """And an unknown one is a dash, whatever its unit."""
    assert write_figure(value, kind) == words


def test_gates_that_failed_come_first() -> None:
    """Then those without a figure, each with the words for it; a gate of no cell is the run's."""
    table = make_gates(make_record())
    assert table
    assert [row[4] for row in table.rows] == ["FAILED", "FAILED", "unknown", "passed", "passed", "passed"]
    assert table.rows[-1][1] == "the run"


def test_evidence_is_bounded_and_says_so() -> None:
    """A claim about many cells stays a line that can be read."""
    pairs = tuple(Pair(f"a-{at}", f"b-{at}", 1_000_000, 2_000_000, holds=True) for at in range(30))
    lines = claim_evidence(Verdict("x", "confirmed", (), "size", pairs=pairs))
    assert lines[0] == "a-0 and b-0: 1.0 MB against 2.0 MB, holds"
    assert len(lines) == 8
    assert lines[-1] == "23 more in run.json"
    assert claim_evidence(make_claims()[0]) == ["20.0 MB < 45.4 MB"]


def test_a_claim_on_single_cells_names_no_second_one() -> None:
    """A pair without a right side is one cell against a value, or against nothing."""
    alone = Pair("alpine-3.12", "", 2.0, None, holds=False, why="passed")
    against = Pair("alpine-3.12", "", 180_000_000, 200_000_000, holds=True)
    assert claim_evidence(Verdict("x", "refuted", (), "outcome", pairs=(alone,))) == ["alpine-3.12: passes, does not hold (passed)"]
    words = ["alpine-3.12: 180.0 MB against 200.0 MB, holds"]
    assert claim_evidence(Verdict("x", "confirmed", (), "size", pairs=(against,))) == words


def test_a_group_says_what_would_change_it_and_what_it_does_not_know() -> None:
    """In the terminal and in the table."""
    group = GroupDecision({"python": "3.12"}, "slim", why=("smallest",), would_change=("a wheel",), unknown=("times",))
    record = replace(BARE, decision=Decision("slim", (group,)))
    assert "3.12 | slim | – | – | smallest. It would change: a wheel. Not known: times. |" in render(record, "markdown", 80)
    assert "  python 3.12: take slim\n    smallest\n    It would change: a wheel\n" in render(record, "table", 80)


def test_a_cause_that_cells_share_is_said_once() -> None:
    """With all cells that have it; a skipped cell needs no cause."""
    finding = make_finding("no-wheel", "no wheel", "line")
    cells = [replace(make_cell("alpine", python, Status.BUILD_FAILED), diagnosis=(finding,)) for python in ("3.12", "3.13")]
    skipped = make_cell("wolfi", "3.12", Status.SKIPPED)
    record = replace(BARE, cells=(*cells, skipped))
    (found,) = make_diagnosis(record)
    assert [cell.id for cell in found.cells] == ["alpine-3.12", "alpine-3.13"]
    assert "alpine-3.12 and 1 more: no wheel\n" in render(record, "table", 80)


def test_a_report_on_some_cells_says_that_the_judgement_is_the_whole_runs() -> None:
    """So that nobody takes claims over all bases for claims over those that are shown."""
    record = select_records(make_record(), ("base=slim",), ())
    text = render(record, "markdown", 80)
    assert "EXCERPT: 3 of the run's 10 cells are shown; claims, gates and the decision are those of the whole run" in text
    assert "1 of 3 shown cells did not end as expected" in text
    assert '"excerpt_of": 10' in render(record, "json", 80)


def test_a_cell_needs_no_more_than_40_columns() -> None:
    """Where too few columns would be left, each cell is a paragraph with what is known of it."""
    text = render(make_record(), "table", 40)
    assert max(map(len, text.splitlines())) <= 40
    assert "alpine-3.12: passed; compressed MB 20.0;\n  relative size 1.00; cold s 12.20 ±0.20\n" in text
    assert max(map(len, render(make_record(), "table", 80).splitlines())) <= 80
