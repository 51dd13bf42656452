"""Reports: one table in every format, exact, and inert whatever an image has said."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.errors import NothingSelectedError
from orchestrator.inside import Vulnerabilities
from orchestrator.model import Status
from orchestrator.record import Environment, RunRecord
from orchestrator.report.files import FORMATS, save_reports
from orchestrator.report.select import select_records
from orchestrator.report.table import make_notes, make_table, outcome_of
from orchestrator.report.text import escape_line, escape_markdown
from orchestrator.store import Reports
from orchestrator.units import UNKNOWN, megabytes
from tests.rendering import render
from tests.unit.golden import assert_golden
from tests.unit.records import HOSTILE, make_build, make_cell, make_hostile_record, make_image, make_record

if TYPE_CHECKING:
    from pathlib import Path

LIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # what a terminal would obey


@pytest.mark.parametrize(
    ("name", "kind", "width"),
    [
        ("report-wide.txt", "table", 200),
        ("report-80.txt", "table", 80),
        ("report-40.txt", "table", 40),
        ("report.md", "markdown", 80),
        ("comment.md", "comment", 80),
        ("report.csv", "csv", 80),
        ("run.json", "json", 80),
    ],
)
def test_a_run_with_every_status_reads_as_it_always_did(name: str, kind: str, width: int) -> None:
    """Each format of a report, word for word."""
    assert_golden(name, render(make_record(), kind, width))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("hostile.txt", "table"),
        ("hostile.md", "markdown"),
        ("hostile.xml", "junit"),
        ("hostile.csv", "csv"),
        ("hostile.json", "json"),
    ],
)
def test_a_hostile_run_reads_as_it_always_did(name: str, kind: str) -> None:
    """Each format of a report on texts that try to be something else, word for word."""
    assert_golden(name, render(make_hostile_record(), kind, 100))


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "json"])
def test_no_report_can_rewrite_a_terminal(kind: str) -> None:
    """Escape sequences and marks that turn the writing direction are in no report, wherever they came from."""
    assert LIVE.findall(render(make_hostile_record(), kind, 100)) == []


def test_vulnerabilities_are_columns_only_where_a_scanner_was_asked() -> None:
    """Severities and the database's date; a cell that was not scanned has no zeros, and without a scanner nothing is said."""
    record = make_record()
    without = [render(record, kind, 200) for kind in ("table", "markdown", "csv")]
    assert not [text for text in without if "critical" in text or "vulnerabilit" in text.lower()]
    first, *rest = record.cells
    assert first.image
    found = Vulnerabilities("grype", "2026-11-20T06:30:14Z", critical=3, high=14, low=15)
    scanned = replace(record, cells=(replace(first, image=replace(first.image, vulnerabilities=found)), *rest))
    table = make_table(scanned)
    start = table.headers.index("critical")
    assert table.headers[start : start + 4] == ("critical", "high", "medium", "low")
    assert [row[start : start + 4] for row in table.rows[:2]] == [("3", "14", "0", "15"), ("–", "–", "–", "–")]
    assert "Known vulnerabilities by grype, database of 2026-11-20T06:30:14Z." in render(scanned, "table", 200)
    rows = list(csv.DictReader(io.StringIO(render(scanned, "csv", 80))))
    assert [rows[at]["vulnerabilities_critical"] for at in (0, 1)] == ["3", ""]
    assert rows[0]["vulnerability_database"] == "2026-11-20T06:30:14Z"
    assert max(map(len, render(scanned, "table", 80).splitlines())) <= 80


def test_no_cell_of_the_csv_is_a_formula() -> None:
    """A spreadsheet shows what an image said and runs none of it, on whatever axis it stands."""
    rows = list(csv.reader(io.StringIO(render(make_hostile_record(), "csv", 80))))
    assert len(rows) == 8
    assert {len(row) for row in rows} == {21}
    assert [value for row in rows for value in row if value.startswith(("=", "+", "-", "@", "\t", "\r"))] == []


def test_the_markdown_table_has_one_line_for_each_cell() -> None:
    """No text breaks out of its place in the table: not by a pipe, a line break, or markup."""
    lines = render(make_hostile_record(), "markdown", 80).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 7
    for row in rows[2:]:
        assert len(re.findall(r"(?<!\\)\|", row)) == 15
    assert not [line for line in lines if re.search(r"(?<!\\)<|(?<!\\)\*\*|(?<!\\)`", line)]
    assert not [line for line in lines if line.startswith("::")]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", "a\\|b"),
        ("<b>", "\\<b\\>"),
        ("[x](y)", "\\[x\\](y)"),
        ("a\n\tb", "a b"),
        (UNKNOWN, UNKNOWN),
        ("- a", "- a"),
        ("#1 a_b *c* `d` ~e~ {f} &amp;", "\\#1 a\\_b \\*c\\* \\`d\\` \\~e\\~ \\{f\\} \\&amp;"),
    ],
)
def test_markdown_stands_for_itself(text: str, escaped: str) -> None:
    """What has a meaning in Markdown loses it."""
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("+ apk add x", "\\+ apk add x"),
        ("- x", "\\- x"),
        ("-", "\\-"),
        ("---", "\\---"),
        ("===", "\\==="),
        ("1. first", "1\\. first"),
        ("12) next", "12\\) next"),
        ("-1 MB", "-1 MB"),
        ("1.5 s", "1.5 s"),
        ("# x", "\\# x"),
    ],
)
def test_a_line_of_markdown_begins_nothing(text: str, escaped: str) -> None:
    """What a shell traces begins with a plus, and is no list."""
    assert escape_line(text) == escaped


@pytest.mark.parametrize("width", [40, 80, 200])
def test_an_axis_may_have_a_columns_name(width: int) -> None:
    """`packages: [none, all]` is an axis as any other: it is shown, and takes nothing from the column of that name."""
    passed, broken = make_cell("slim", "x", Status.PASSED), make_cell("slim", "y", Status.SMOKE_FAILED, reason="it broke")
    cells = (
        replace(passed, axes={"base": "slim", "packages": "none", "reason": "x"}, image=make_image(1_000_000)),
        replace(broken, axes={"base": "slim", "packages": "all", "reason": "y"}, image=make_image(2_000_000)),
    )
    record = replace(make_record(), axes=("base", "packages", "reason"), cells=cells)
    text = render(record, "table", width)
    assert ": it broke" in text
    for words in (r"slim[ -]+none[ -]+x[: ]+passed", r"slim[ -]+all[ -]+y[: ]+smoke-failed"):
        assert re.search(f"^{words}", text, re.MULTILINE)
    left_out = text.partition("Not shown")[2].partition(";")[0]
    assert "reason" not in left_out
    assert left_out.count("packages") == (width < 200)
    head, first, _ = csv.reader(io.StringIO(render(record, "csv", width)))
    assert head[:5] == ["base", "packages", "axis_reason", "cell", "outcome"]
    assert len(head) == len(set(head)) == len(first)


def test_a_narrow_table_fits_and_says_what_it_left_out() -> None:
    """In 80 columns nothing is wider than 80, and what is not shown is named with where to find it."""
    text = render(make_record(), "table", 80)
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    assert "Not shown in 80 columns:" in words
    assert f"`matrix report {make_record().id} --format markdown` has all." in words
    assert "Not shown" not in render(make_record(), "table", 200)


def test_a_table_says_what_to_type_in_the_words_that_named_its_run() -> None:
    """The same file and folder; what is kept in files names the run alone, whoever had it made."""
    unknown = make_cell("alpine", "3.12", Status.BUILD_FAILED)
    record = replace(make_record(), cells=(unknown,))
    words = " ".join(render(record, "table", 80, typed="-f v1/m.yaml --reports r old").split())
    assert "`matrix report -f v1/m.yaml --reports r old --format markdown` has all." in words
    assert "`matrix explain -f v1/m.yaml --reports r old alpine-3.12` looks for one" in words
    for kind in ("markdown", "html"):
        assert "v1/m.yaml" not in render(record, kind, 80, typed="-f v1/m.yaml old")


def test_unknown_figures_are_dashes_and_never_zeros() -> None:
    """What was not measured is told from what is nothing."""
    row = dict(zip(make_table(make_record()).headers, make_table(make_record()).rows[5], strict=True))
    assert row["compressed MB"] == row["unpacked MB"] == row["over base MB"] == row["relative size"] == UNKNOWN
    assert row["build s"] == "0.0"
    assert row["smoke"] == "1/3"
    assert [megabytes(size) for size in (None, 0, 999, 999_999, 1_000_000, 45_449_999)] == [
        UNKNOWN,
        "0.0",
        "0.001",
        "1.000",
        "1.0",
        "45.4",
    ]


def test_sizes_are_relative_to_the_smallest_of_the_group_that_ended_as_expected() -> None:
    """The best of a group is 1.00; a cell that did not end as expected is neither the best nor compared."""
    failed = replace(make_cell("tiny", "3.12", Status.SMOKE_FAILED), image=make_image(1))
    cells = [replace(make_cell(base, "3.12", Status.PASSED), image=make_image(size)) for base, size in (("a", 100), ("b", 127))]
    other = replace(make_cell("a", "3.13", Status.PASSED), image=make_image(500))
    table = make_table(replace(make_record(), cells=(failed, *cells, other)))
    place = table.headers.index("relative size")
    assert [row[place] for row in table.rows] == [UNKNOWN, "1.00", "1.27", "1.00"]


@pytest.mark.parametrize(
    ("status", "expected", "words"),
    [
        (Status.PASSED, Status.PASSED, "passed"),
        (Status.BUILD_FAILED, Status.BUILD_FAILED, "build-failed (expected)"),
        (Status.TIMEOUT, Status.TIMEOUT, "timeout (expected)"),
        (Status.PASSED, Status.BUILD_FAILED, "passed (unexpected)"),
        (Status.SMOKE_FAILED, Status.PASSED, "smoke-failed"),
        (Status.SMOKE_FAILED, Status.BUILD_FAILED, "smoke-failed"),
        (Status.EXCLUDED, Status.EXCLUDED, "excluded"),
    ],
)
def test_an_outcome_says_whether_it_was_expected(status: Status, expected: Status, words: str) -> None:
    """An expected failure and an unexpected pass are told from the plain ones."""
    assert outcome_of(make_cell("x", "y", status, expected)) == words


def test_a_skipped_cell_is_as_expected_and_says_only_that() -> None:
    """A cell without a base to stand on is no failure."""
    cell = replace(make_cell("x", "y", Status.SKIPPED, Status.BUILD_FAILED), as_expected=True)
    assert outcome_of(cell) == "skipped"


def test_a_reason_that_many_cells_share_is_said_once() -> None:
    """Below the table each reason has one line, with the first of its cells and how many more there are."""
    cells = [make_cell("wolfi", python, Status.SKIPPED, reason="no stand-in") for python in ("3.12", "3.13", "3.14")]
    text = render(replace(make_record(), cells=(*cells, make_cell("a", "b", Status.ERROR, reason="gone"))), "table", 200)
    assert "\nwolfi-3.12 and 2 more: no stand-in\na-b: gone\n" in text
    assert text.count("no stand-in") == 1


@pytest.mark.parametrize("kind", ["table", "markdown"])
def test_stand_in_bases_are_in_the_header(kind: str) -> None:
    """A report on bases that are not the real ones says so before any figure."""
    environment = Environment(stand_in_bases=("python:3.13-slim (Debian 13)",))
    text = render(replace(make_record(), environment=environment), kind, 200)
    assert text.index("STAND-IN BASES: these are not the real images") < text.index("compr")
    assert "python:3.13-slim" in text


@pytest.mark.parametrize("kind", ["table", "markdown"])
def test_an_interrupted_run_says_that_it_is_not_whole(kind: str) -> None:
    """A report on half a run cannot be taken for one on a whole run."""
    text = render(replace(make_record(), complete=False), kind, 200)
    assert "INCOMPLETE: the run was interrupted or stopped early" in text


def test_a_run_in_which_nothing_was_built_has_no_word_on_build_times() -> None:
    """Notes are about what is in the table."""
    record = replace(make_record(), cells=(make_cell("a", "b", Status.SKIPPED), make_cell("c", "d", Status.PASSED)))
    text = render(record, "table", 200)
    assert "Build times" not in text
    assert "~ estimated" not in text
    assert "1 of 1 cell ended as expected, 1 skipped." in text


def test_one_build_at_a_time_is_said_as_that() -> None:
    """What stands beside it is left away: nothing was tested beside it."""
    cell = replace(make_cell("a", "b", Status.PASSED), build=replace(make_build(1.0), jobs=1))
    assert "wall times of one build at a time, with the builder's cache" in render(
        replace(make_record(), cells=(cell,)), "table", 200
    )


def test_a_run_without_cells_is_a_report_too() -> None:
    """A run that was stopped before its first cell ended still has a report, in every format."""
    record = RunRecord(1, "20261121T050607Z-abc123", "m", make_record().started_at, ("base",), "base")
    for kind in FORMATS:
        assert "20261121T050607Z-abc123" in render(record, kind, 80) or kind in ("csv", "junit")
    assert "0 of 0 cells ended as expected." in render(record, "table", 80)
    assert render(record, "csv", 80).startswith("base,cell,outcome,compressed_bytes,")


def test_run_json_has_null_for_what_is_absent() -> None:
    """Machines can tell unknown from 0, and find every part that CONTRACT.md names."""
    data = json.loads(render(make_record(), "json", 80))
    cell = data["cells"][5]
    assert cell["image"]["compressed_bytes"] is None
    assert cell["build"]["own_s"] is None
    assert data["cells"][6]["image"] is data["cells"][6]["smoke"] is None
    assert cell["reason"] == HOSTILE
    named = [
        "schema",
        "id",
        "name",
        "started_at",
        "finished_at",
        "complete",
        "interrupted",
        "environment",
        "inputs",
        "cells",
        "claims",
        "decision",
        "gates",
    ]
    assert set(named) <= set(data)
    assert {found["status"] for found in data["cells"]} == set(Status)
    image = [
        "digest",
        "compressed_bytes",
        "compressed_estimated",
        "uncompressed_bytes",
        "over_base_bytes",
        "wasted_bytes",
        "layers",
        "packages",
    ]
    assert set(image) <= set(cell["image"])


def test_a_report_on_some_cells_takes_the_same_words_as_a_plan() -> None:
    """--only and --skip mean the same for a stored run, and the order stays."""
    record = make_record()
    assert select_records(record, (), ()) is record
    chosen = select_records(record, ("base=slim", "alpine-*"), ("python=3.12",))
    assert [cell.id for cell in chosen.cells] == ["alpine-3.13", "slim-3.13", "alpine-3.14", "slim-3.14", "alpine-3.9"]
    with pytest.raises(NothingSelectedError, match="no cell is left by --only debian"):
        select_records(record, ("debian*",), ())


def test_a_run_leaves_its_reports_in_its_folder(tmp_path: Path) -> None:
    """report.md and report.csv lie beside run.json and say the same as `matrix report`."""
    run = Reports(tmp_path).new_run()
    save_reports(run, make_record())
    assert (run.path / "report.md").read_text(encoding="utf-8") == render(make_record(), "markdown", 80)
    assert (run.path / "report.csv").read_text(encoding="utf-8") == render(make_record(), "csv", 80)


def test_cells_that_were_taken_over_are_told_with_the_run_that_built_them() -> None:
    """A figure of last night is not one of today."""
    cells = tuple(replace(make_cell(base, "3.12", Status.PASSED), carried_from="20261120T050607Z-abc122") for base in ("a", "b"))
    record = replace(make_record(), cells=(*cells, make_cell("c", "3.12", Status.PASSED)))
    assert "2 cells are taken over from run 20261120T050607Z-abc122, figures and checks:" in " ".join(make_notes(record))
