"""Marked blocks of a file and a job's summary: filled with what a report says, and nothing else is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigError, ExitCode, StoreError, UsageError
from orchestrator.publishing import append_summary, update_files
from orchestrator.report.update import PARTS, make_parts, update_text
from tests.rendering import render
from tests.unit.records import make_hostile_record, make_record

if TYPE_CHECKING:
    from pathlib import Path

BEGIN, END = "<!-- matrix:begin -->", "<!-- matrix:end -->"
PARTS_OF_RUN = make_parts(make_record())


def update(text: str) -> str:
    """Fill the blocks of a text."""
    return update_text(text, PARTS_OF_RUN, "README.md").text


def problems_of(text: str) -> list[str]:
    """Give what is wrong with the marks of a text."""
    with pytest.raises(ConfigError) as caught:
        update(text)
    return list(caught.value.problems)


def test_a_block_holds_verdict_table_and_notes() -> None:
    """Between the marks stands what the Markdown report says, without its headings, and around them what was there."""
    lines = update(f"before\n{BEGIN}\nold\n{END}\nafter").split("\n")
    assert lines[:4] == [
        "before",
        BEGIN,
        "",
        "Take alpine as base, rather than slim; 3 of 8 cells did not end as expected; " + lines[3][77:],
    ]
    assert lines[-4:] == ["- 5 of 8 cells ended as expected, 1 excluded, 1 skipped.", "", END, "after"]
    whole = render(make_record(), "markdown", 80).split("\n")
    assert [line for line in lines if line.startswith("| ")] == [line for line in whole if line.startswith("| ")][:12]
    assert not [line for line in lines if line.startswith("#")]


@pytest.mark.parametrize("name", PARTS)
def test_a_block_with_a_name_holds_that_part(name: str) -> None:
    """Several blocks of a file hold several parts; what a run does not have is said."""
    text = update(f"<!-- matrix:begin {name} -->\n<!-- matrix:end {name} -->\n")
    inside = text.split("\n")[2:-3]
    assert inside == PARTS_OF_RUN[name]
    assert inside
    if name == "foretold":
        assert inside == ["There is nothing of foretold in this run."]


def test_an_update_of_what_is_up_to_date_changes_nothing() -> None:
    """The second time is as good as the first, also where the file's lines end as on Windows."""
    for ending in ("\n", "\r\n"):
        once = update_text(
            ending.join([BEGIN, END, "<!-- matrix:begin claims -->", "<!-- matrix:end claims -->"]), PARTS_OF_RUN, "R"
        )
        assert once.changed == ("R:1: the report", "R:3: claims")
        assert once.text.count("\n") == once.text.count(ending)
        assert update_text(once.text, PARTS_OF_RUN, "R").changed == ()


def test_what_a_fenced_example_shows_is_no_mark() -> None:
    """Docs can explain the marks without having them filled; a mark within a line is none either."""
    example = f"```markdown\n{BEGIN}\n{END}\n```\n~~~~\n{BEGIN}\n~~~\n{END}\n~~~~\ntype `{BEGIN}` here\n"
    assert update(f"{example}{BEGIN}\n{END}\n").startswith(example + BEGIN + "\n\nTake alpine")


def test_a_hostile_run_cannot_end_its_block() -> None:
    """No text of a run is a mark, so the next update finds the same block."""
    parts = make_parts(make_hostile_record())
    once = update_text(f"{BEGIN}\n{END}\n", parts, "R").text
    assert once.count("<!--") == 2
    assert update_text(once, parts, "R").changed == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing\n", f"README.md: it has no marked block; write {BEGIN} and {END} where the table belongs"),
        (f"x\n{BEGIN}\n", f"README.md:2: {BEGIN} has no end; write {END} below it"),
        (f"{END}\n", f"README.md:1: {END} ends nothing; write {BEGIN} before it"),
        (f"{BEGIN}\n{BEGIN}\n{END}\n", f"README.md:2: {BEGIN} stands inside the block that begins in line 1; end that first"),
        (f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n", f"README.md:3: {BEGIN} is there already, in line 1; remove one of them"),
        (
            f"{BEGIN}\n<!-- matrix:end table -->\n",
            f"README.md:2: <!-- matrix:end table --> ends {BEGIN} of line 1; name both alike",
        ),
        (
            "<!-- matrix:begin tabel -->\n<!-- matrix:end tabel -->\n",
            f"README.md:1: 'tabel' is no part of a report; known are {', '.join(PARTS)}; did you mean 'table'?",
        ),
        (
            "<!-- matrix:start -->\n",
            f"README.md:1: this mark cannot be read; write {BEGIN} or, for a part, <!-- matrix:begin table -->",
        ),
    ],
)
def test_marks_that_cannot_be_meant_are_errors_with_their_lines(text: str, words: str) -> None:
    """Each says what to do."""
    assert problems_of(text) == [words]


def test_all_problems_of_a_file_are_said_at_once() -> None:
    """Nobody mends a file one error at a time."""
    assert len(problems_of(f"{END}\n{BEGIN}\n{BEGIN}\n<!-- matrix:end claims -->\n<!-- matrix:begin -->\n")) == 5


def test_a_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    """It is replaced whole, behind the link that leads to it, and nothing is left beside it."""
    file, link = tmp_path / "docs.md", tmp_path / "README.md"
    file.write_text(f"{BEGIN}\n{END}\n")
    file.chmod(0o640)
    link.symlink_to(file)
    said: list[str] = []
    assert update_files(make_record(), [link], said.append, write=True) is ExitCode.OK
    assert said == [f"{link}:1: the report updated"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert "Take alpine" in file.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "docs.md"]


def test_nothing_is_written_if_nothing_changed_or_if_only_asked(tmp_path: Path) -> None:
    """--check tells with its exit code; a file that is up to date is not even touched."""
    file = tmp_path / "README.md"
    file.write_text(f"{BEGIN}\n{END}\n")
    said: list[str] = []
    assert update_files(make_record(), [file], said.append, write=False) is ExitCode.UNEXPECTED
    assert file.read_text() == f"{BEGIN}\n{END}\n"
    update_files(make_record(), [file], said.append, write=True)
    before = file.stat()
    assert update_files(make_record(), [file], said.append, write=False) is ExitCode.OK
    assert update_files(make_record(), [file], said.append, write=True) is ExitCode.OK
    after = file.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert said == [f"{file}:1: the report is out of date", f"{file}:1: the report updated", *[f"{file} is up to date"] * 2]


def test_no_file_is_written_if_one_of_them_is_wrong(tmp_path: Path) -> None:
    """Half of an update would be worse than none."""
    good, bad = tmp_path / "good.md", tmp_path / "bad.md"
    good.write_text(f"{BEGIN}\n{END}\n")
    bad.write_text("no marks")
    with pytest.raises(ConfigError, match=r"bad\.md: it has no marked block"):
        update_files(make_record(), [good, bad], print, write=True)
    assert good.read_text() == f"{BEGIN}\n{END}\n"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Not there, or not text."""
    with pytest.raises(StoreError, match=r"README\.md cannot be read: No such file or directory"):
        update_files(make_record(), [tmp_path / "README.md"], print, write=True)
    (tmp_path / "x.md").write_bytes(b"a\xff")
    with pytest.raises(UsageError, match=r"x\.md is not UTF-8: invalid start byte at byte 1"):
        update_files(make_record(), [tmp_path / "x.md"], print, write=True)


def test_a_job_gets_its_summary(tmp_path: Path) -> None:
    """Behind what other commands of the step have said, on a line of its own; without the variable nothing is written."""
    file = tmp_path / "summary"
    assert append_summary(make_record(), {}) is None
    for before in ("", "before\n", "before"):
        file.write_text(before)
        assert append_summary(make_record(), {"GITHUB_STEP_SUMMARY": str(file)}) is None
        said = file.read_text(encoding="utf-8").removeprefix(before)
        assert said.startswith("\n## otel-python\n\nTake alpine" if before else "## otel-python\n\nTake alpine")


def test_a_summary_stays_within_what_is_taken(tmp_path: Path) -> None:
    """What is already in it counts, and one that is full, or cannot be written, costs a warning and no run."""
    file = tmp_path / "summary"
    file.write_bytes(b"x" * (1024 * 1024 - 5000))
    environment = {"GITHUB_STEP_SUMMARY": str(file)}
    assert append_summary(make_record(), environment) is None
    assert 1024 * 1024 - 5000 < file.stat().st_size <= 1024 * 1024
    file.write_bytes(b"x" * 1024 * 1024)
    assert append_summary(make_record(), environment) == "$GITHUB_STEP_SUMMARY is full: the report of this run is not in it"
    problem = append_summary(make_record(), {"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert problem == f"{tmp_path}, which $GITHUB_STEP_SUMMARY names, cannot be written: Is a directory"
