"""JUnit XML: a parser that others use reads back what the record says, whatever texts are in it."""

from __future__ import annotations

from typing import Any

import pytest
from junitparser import JUnitXml
from msgspec.structs import replace

from orchestrator.model import Status
from orchestrator.record import CellRecord, CheckResult, RunRecord, Smoke
from tests.rendering import render
from tests.unit.golden import assert_golden
from tests.unit.records import make_cell, make_finding, make_hostile_record, make_record

BARE = RunRecord(1, "20261121T050607Z-abc123", "m", make_record().started_at, ("base", "python"), "base", complete=True)


def parsed(record: RunRecord) -> Any:
    """Write a run, and read it back."""
    return JUnitXml.fromstring(render(record, "junit", 80).encode())


def outcomes_of(record: RunRecord) -> dict[tuple[str, str], str]:
    """Give each case's outcome, by its class and name."""
    return {
        (case.classname, case.name): type(case.result[0]).__name__ if case.result else "passed"
        for suite in parsed(record)
        for case in suite
    }


def test_a_run_with_every_status_reads_as_it_always_did() -> None:
    """Word for word."""
    assert_golden("junit.xml", render(make_record(), "junit", 80))


def test_a_parser_finds_a_suite_for_each_group_and_a_case_for_each_cell_and_check() -> None:
    """Suites are the groups of cells that are compared; their counts are those that the parser counts itself."""
    found = parsed(make_record())
    suites = list(found)
    assert [suite.name for suite in suites] == ["python=3.12", "python=3.11", "python=3.13", "python=3.14", "python=3.9", "gates"]
    cells = {case.name for suite in suites for case in suite if case.classname == "cell"}
    assert cells == {cell.id for cell in make_record().cells}
    checks = [(case.classname, case.name) for suite in suites for case in suite if case.classname not in ("cell", "gates")]
    assert checks == [
        (cell.id, check.name)
        for cell in sorted(make_record().cells, key=lambda cell: ["3.12", "3.11", "3.13", "3.14", "3.9"].index(cell.axes["python"]))
        for check in (cell.smoke.checks if cell.smoke else ())
    ]
    for suite in (*suites, found):
        counted = (suite.tests, suite.failures, suite.errors, suite.skipped)
        suite.update_statistics()
        assert counted == (suite.tests, suite.failures, suite.errors, suite.skipped)
    assert (found.tests, found.failures, found.errors, found.skipped) == (21, 5, 1, 4)


def test_what_was_expected_passes_with_a_note_and_what_was_left_out_is_skipped() -> None:
    """An expected failure is no failure, an unexpected pass is one, and a gate without a figure is neither."""
    found = outcomes_of(make_record())
    assert found["cell", "alpine-3.13"] == found["cell", "slim-3.14"] == "passed"
    assert found["cell", "slim-3.13"] == found["cell", "wolfi-3.13"] == "Failure"
    assert found["cell", "alpine-3.14"] == "Error"
    assert found["cell", "wolfi-3.14"] == found["cell", "alpine-3.9"] == "Skipped"
    assert found["wolfi-3.13", "import m1"] == "Failure"
    assert found["gates", "size of slim-3.13"] == "Failure"
    assert found["gates", "growth of size of wolfi-3.13"] == "Skipped"
    (note,) = [case.system_out for suite in parsed(make_record()) for case in suite if case.name == "alpine-3.13"]
    assert note == "build-failed (expected): [2/3] RUN pip: exit 1: error: no wheel"


def test_a_check_that_was_expected_to_fail_passes_with_a_note() -> None:
    """Its cell ended as expected, so nothing in its suite is red."""
    smoke = Smoke("failed", (CheckResult("probe dns", "failed", "no short names", "x", 0.5),))
    cell = replace(make_cell("alpine", "3.12", Status.SMOKE_FAILED, Status.SMOKE_FAILED), smoke=smoke)
    assert outcomes_of(replace(BARE, cells=(cell,))) == {("cell", "alpine-3.12"): "passed", ("alpine-3.12", "probe dns"): "passed"}
    assert "failed, as smoke-failed was expected: no short names" in render(replace(BARE, cells=(cell,)), "junit", 80)


def test_a_run_that_is_not_whole_is_not_green() -> None:
    """Not even where no cell has a result; and a shard that is missing is named."""
    assert outcomes_of(replace(BARE, complete=False)) == {("run", "all cells have a result"): "Error"}
    assert "INCOMPLETE: the run was interrupted or stopped early" in render(replace(BARE, complete=False), "junit", 80)


def test_a_time_that_nobody_knows_is_not_0() -> None:
    """A cell that was never built has none."""
    times = {case.name: case.time for suite in parsed(make_record()) for case in suite}
    assert times["alpine-3.12"] == 12.34
    assert times["wolfi-3.11"] is None


def test_what_xml_forbids_is_left_out_and_the_rest_is_there() -> None:
    """Control characters, halves of characters, and what is no character at all; markup stays text."""
    text = "a\x00\x01\x0b\x1b[31mb\ud800\ufffe\uffff\U0001f600]]><failure/>&"
    cell = CellRecord(text, {"base": text}, Status.ERROR, Status.PASSED, as_expected=False, reason=text)
    (suite,) = parsed(replace(BARE, cells=(replace(cell, diagnosis=(make_finding(text, text, text, remedy=text),)),), name=text))
    (case,) = suite
    assert case.name == "ab\U0001f600]]><failure/>&"
    assert "ab\U0001f600]]><failure/>&" in case.result[0].text
    assert len(list(parsed(make_hostile_record()))) >= 1


@pytest.mark.parametrize("length", [10_000, 1_000_000])
def test_huge_texts_are_cut_and_say_so(length: int) -> None:
    """A check that prints without end does not make a file that no job can read."""
    checks = tuple(CheckResult(f"c{at}", "failed", "x" * length, "y" * length) for at in range(3))
    cell = replace(make_cell("alpine", "3.12", Status.SMOKE_FAILED, reason="r" * length), smoke=Smoke("failed", checks))
    text = render(replace(BARE, cells=(cell,)), "junit", 80)
    assert len(text) < 25_000
    assert f"({length - 4000} more characters)" in text
    many = replace(cell, smoke=Smoke("failed", tuple(CheckResult(f"c{at}", "passed") for at in range(700))))
    text = render(replace(BARE, cells=(many,)), "junit", 80)
    assert text.count("<testcase") == 501
    assert "200 more checks are in run.json" in text
