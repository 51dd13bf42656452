"""`matrix explain`: why a cell is as it is, in a terminal, as Markdown and as JSON; and a run as a whole."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from orchestrator.judge.diagnosis.rules import RULES, diagnose, render_rules
from orchestrator.model import Status
from orchestrator.record import CellRecord
from orchestrator.report.explain import Explanation, render_explanation, render_overview
from orchestrator.tracing.columns import Sheet
from orchestrator.verdicts import Finding
from tests.command_line import end_of
from tests.rendering import render_record
from tests.unit.golden import assert_golden
from tests.unit.logs import load_case
from tests.unit.records import HOSTILE, make_record

DOCUMENT = Path(__file__).parents[2] / "docs" / "diagnosis.md"
TABLE_HEAD = "| code | what it says"
RUN_ID = make_record().id
LIVE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def explained(name: str, log: str, system: str, *last_lines: str) -> Explanation:
    """Explain the cell that left a real log."""
    cell, evidence = load_case(log, system)
    return Explanation(RUN_ID, replace(cell, id=name), diagnose(cell, evidence), last_lines)


def make_explanations() -> list[Explanation]:
    """Make cells with one cause, with several, with none that a rule knows, and one that passed against what was expected."""
    unknown = CellRecord(
        "slim-3.12",
        {},
        Status.BUILD_FAILED,
        Status.PASSED,
        as_expected=False,
        reason="[2/2] RUN make: exit 2: make: *** [all] Error 2",
    )
    passed = CellRecord(
        "wolfi-3.12", {}, Status.PASSED, Status.BUILD_FAILED, as_expected=False, expected_reason="no wheel for this Python"
    )
    return [
        explained("alpine-3.13-psutil", "no-compiler", "alpine"),
        explained("alpine-3.13-app", "no-zones", "alpine"),
        Explanation(RUN_ID, unknown, (), ("step [2/2] RUN make", "cc -o x x.c", "make: *** [all] Error 2")),
        Explanation(RUN_ID, passed, diagnose(passed, load_case("locale")[1])),
    ]


def make_hostile() -> Explanation:
    """Make a cell whose every text tries to be something else."""
    finding = Finding(HOSTILE, HOSTILE, (HOSTILE, "x" * 500), HOSTILE)
    cell = CellRecord(HOSTILE, {HOSTILE: HOSTILE}, Status.ERROR, Status.PASSED, as_expected=False, reason=HOSTILE)
    return Explanation(f"run{HOSTILE}", cell, (finding,))


@pytest.mark.parametrize("width", [80, 40])
def test_causes_evidence_and_remedies_are_shown_within_any_terminal(width: int) -> None:
    """The evidence stands apart from our own words, and no line is wider than the terminal."""
    text = "\n".join(render_explanation(one, "text", Sheet(width)) for one in make_explanations())
    assert_golden(f"explain-{width}.txt", text)
    assert max(map(cell_len, text.splitlines())) <= width


def test_colour_adds_nothing_but_colour() -> None:
    """NO_COLOR and a pipe lose nothing."""
    for one in make_explanations():
        coloured = render_explanation(one, "text", Sheet(80, colour=True))
        assert "\x1b[" in coloured
        stripped = [line.rstrip() for line in ESCAPES.sub("", coloured).splitlines()]
        assert stripped == render_explanation(one, "text", Sheet(80)).splitlines()


def test_a_run_as_a_whole_has_a_line_for_each_cell() -> None:
    """Only the cells that have something to explain; and a sentence where none has."""
    found = make_explanations()
    run = replace(make_record(), id=RUN_ID)
    assert_golden("explain-run-80.txt", render_overview(run, found, "text", Sheet(80)))
    assert_golden("explain-run.md", render_overview(run, found, "markdown", Sheet(80)))
    for kind in ("text", "markdown"):
        for record, which in ((run, "All cells of run"), (replace(run, complete=False), "All cells that have a result of run")):
            said = " ".join(render_overview(record, [], kind, Sheet(80)).replace("\\", "").split())
            assert said.endswith(f"{which} {RUN_ID} ended as expected, and no rule has found anything.")
    assert json.loads(render_overview(run, [], "json", Sheet(80)))["cells"] == []


def test_markdown_and_json_say_the_same() -> None:
    """For a comment on a pull request, and for other programs."""
    assert_golden("explain.md", "\n".join(render_explanation(one, "markdown", Sheet(80)) for one in make_explanations()))
    assert_golden("explain.json", render_explanation(make_explanations()[0], "json", Sheet(80)))
    unknown = json.loads(render_explanation(make_explanations()[2], "json", Sheet(80)))
    assert (unknown["schema"], unknown["diagnosis"], unknown["last_lines"][-1]) == (1, [], "make: *** [all] Error 2")


@pytest.mark.parametrize("kind", ["text", "markdown", "json"])
def test_hostile_texts_stay_texts(kind: str) -> None:
    """What a log says can neither rewrite a terminal, nor become markup, nor break out of a line."""
    one = make_hostile()
    run = replace(make_record(), id=one.run)
    for text in (render_explanation(one, kind, Sheet(40)), render_overview(run, [one], kind, Sheet(40))):
        assert not LIVE.search(text)
        if kind == "text":
            assert max(map(cell_len, text.splitlines())) <= 40
        if kind == "markdown":
            assert "<script>" not in text
            assert not [line for line in text.splitlines() if line.startswith("::")]
        if kind == "json":
            json.loads(text)


def test_each_state_of_a_cell_has_its_sentence() -> None:
    """Nothing to explain, nothing found, no log left."""
    cell = CellRecord("c", {}, Status.PASSED, Status.PASSED, as_expected=True)
    assert Explanation("r", cell, ()).summary == "It passed, and nothing makes it slow or large that a rule knows."
    assert Explanation("r", replace(cell, status=Status.EXCLUDED), ()).summary == "It was not built: there is nothing to explain."
    failed = replace(cell, status=Status.BUILD_FAILED, as_expected=False)
    assert Explanation("r", failed, ()).summary == "No rule has found a cause. It has left no log."
    assert Explanation("r", failed, (), ("x",)).summary == "No rule has found a cause. Its last lines:"


def explain(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run `matrix explain` on the runs in a folder."""
    return end_of(monkeypatch, "explain", *words, "--reports", str(folder))


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Give a folder with one stored run that is older than diagnosis, and of which nothing but run.json is left."""
    (tmp_path / "runs" / RUN_ID).mkdir(parents=True)
    (tmp_path / "runs" / RUN_ID / "run.json").write_text(render_record(make_record()))
    return tmp_path


def test_the_command_explains_a_stored_run_without_an_engine(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All cells, one cell, one that was never built, as JSON to a file."""
    assert explain(reports, monkeypatch) == 0
    assert "the cell passed, and build-failed was expected" in capsys.readouterr().out
    assert explain(reports, monkeypatch, "latest", "alpine-3.14") == 0
    assert "1. the build did not end within its time" in capsys.readouterr().out
    assert explain(reports, monkeypatch, RUN_ID, "alpine-3.9") == 0
    assert "It was not built: there is nothing to explain." in capsys.readouterr().out
    assert explain(reports, monkeypatch, "latest", "slim-3.13", "--format", "json", "-o", str(reports / "x.json")) == 0
    assert json.loads((reports / "x.json").read_text())["diagnosis"][0]["code"] == "unexpected-pass"


def test_the_command_names_what_is_not_there(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell, a format or a run that is not there is a sentence and exit code 2."""
    assert explain(reports, monkeypatch, "latest", "wolfi-3.111") == 2
    assert capsys.readouterr().err == f"matrix: run {RUN_ID} has no cell 'wolfi-3.111'; did you mean 'wolfi-3.11'?\n"
    assert explain(reports, monkeypatch, "latest", "--format", "txt") == 2
    assert "did you mean 'text'?" in capsys.readouterr().err
    assert explain(reports, monkeypatch, "2020") == 2


def test_the_command_explains_some_cells_of_a_run(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--only and --skip choose the cells of the overview, and mean nothing where one cell is named."""
    assert explain(reports, monkeypatch, "--only", "alpine-3.14", "--only", "slim-3.1[23]", "--skip", "slim-*") == 0
    out = capsys.readouterr().out
    assert "alpine-3.14: " in out
    assert "slim-3.13" not in out
    assert explain(reports, monkeypatch, "--only", "alpine-3.9") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out == f"All cells that were asked for of run {RUN_ID} ended as expected, and no rule has found anything."
    assert explain(reports, monkeypatch, "latest", "slim-3.13", "--skip", "x") == 2
    assert "leave them out where a cell is named" in capsys.readouterr().err


def test_a_hint_names_the_run_that_it_is_about(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the options that were given: `matrix explain` alone would list another run, or find none."""
    assert explain(reports, monkeypatch, RUN_ID[:8], "?") == 2
    words = f"`matrix explain --reports {reports} {RUN_ID[:8]}` lists those with something to explain\n"
    assert capsys.readouterr().err.endswith(words)
    assert explain(reports, monkeypatch, "-f", "s p.yaml", "--only", "base=debian") == 3
    words = (
        f"no cell is left by --only base=debian; `matrix report -f 's p.yaml' --reports {reports} latest` lists those of the run\n"
    )
    assert capsys.readouterr().err.endswith(words)


def test_the_page_of_the_docs_has_every_rule() -> None:
    """Its table is written from the rules themselves, so that it cannot fall behind."""
    text = DOCUMENT.read_text(encoding="utf-8")
    start = text.index(TABLE_HEAD)
    written = text[:start] + render_rules() + text[text.index("\n\n", start) + 1 :]
    if os.environ.get("UPDATE_GOLDEN") == "1":
        text = written
        DOCUMENT.write_text(written, encoding="utf-8")
    assert written == text, "UPDATE_GOLDEN=1 writes the table anew"
    assert len({rule.code for rule in RULES}) == len(RULES)
