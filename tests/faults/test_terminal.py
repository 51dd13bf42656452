"""The terminal is never rewritten: whatever a file says, what is printed about it holds nothing that a terminal obeys."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.commands.printing import warn
from orchestrator.events import Event
from orchestrator.progress.lines import GithubProgress, JsonProgress, PlainProgress
from orchestrator.smoke.words import safe, safe_pieces
from orchestrator.store import RunFolder
from tests.command_line import end_of
from tests.unit.folders import make_files
from tests.unit.records import make_hostile_record

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "\x1b[2J\x1b]0;owned\x07 \x9b31m \x00 \x7f \u202e\rgone"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
AS_YAML = json.dumps(EVIL)
MATRICES = {
    "an axis value": f"axes: {{a: [{AS_YAML}]}}\n",
    "an axis": f"axes: {{{AS_YAML}: [x]}}\n",
    "a key": f"axes: {{a: [x]}}\n{AS_YAML}: 1\n",
    "a key of settings": f"axes: {{a: [x]}}\nsettings: {{a: {{{AS_YAML}: {{target: t}}}}}}\n",
    "a file": f"axes: {{a: [x]}}\ndefaults: {{dockerfile: {AS_YAML}}}\n",
    "an alias": "axes: *\x85\n",
    "a tag": f"axes: {{a: [!<{'%1b%5b2J'}> x]}}\n",
    "a pattern": f"axes: {{a: [x]}}\ndefaults: {{smoke: [{{run: [x], stdout: {json.dumps('[' + EVIL)}}}]}}\n",
    "arguments": f"axes: {{a: [x]}}\ndefaults: {{args: {{A: {AS_YAML}}}, labels: {{b: {AS_YAML}}}}}\n",
    "a reason": f"axes: {{a: [x, y]}}\nexclude: [{{a: y, reason: {AS_YAML}}}]\n",
    "a name": f"name: {AS_YAML}\naxes: {{a: [x]}}\n",
}


def said_by(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run a command; give all that it printed."""
    end_of(monkeypatch, *argv)
    return "".join(capsys.readouterr())


@pytest.mark.parametrize("text", MATRICES.values(), ids=MATRICES)
def test_a_hostile_matrix_is_planned_or_refused_without_rewriting_the_terminal(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The words of an error quote what is wrong, and a plan in any format what is asked for."""
    make_files(tmp_path, "Dockerfile")
    (tmp_path / "matrix.yaml").write_text("version: 1\n" + ("" if text.startswith("name") else "name: m\n") + text)
    monkeypatch.chdir(tmp_path)
    for kind in ("table", "json", "ids", "github", "bake"):
        said = said_by(monkeypatch, capsys, "plan", "--format", kind)
        assert said
        assert OBEYED.findall(said) == []


def test_a_hostile_run_is_shown_without_rewriting_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every report and view, and each refusal, of a run whose every text is made for it."""
    run = RunFolder(tmp_path / "reports/runs/20261121T050607Z-abc123")
    run.create()
    run.save_record(make_hostile_record())
    text = (run.path / "run.json").read_text()
    (run.path / "run.json").write_text(text.replace("\\u001b[31m", json.dumps(EVIL)[1:-1]))
    monkeypatch.chdir(tmp_path)
    formats = ("table", "markdown", "comment", "csv", "json", "junit", "prometheus", "html")
    commands: list[tuple[str, ...]] = [("report", "--format", kind) for kind in formats]
    commands += [("explain", "latest", "--format", kind) for kind in ("text", "markdown", "json")]
    commands += [("compare", "latest", "latest", "--format", kind) for kind in ("table", "markdown", "json")]
    commands += [("history", "--format", "json"), ("trace",), ("explain", "latest", "nothing"), ("trace", "latest", "nothing")]
    commands += [("site", "-o", "site"), ("baseline",), ("merge", "latest"), ("report", "--only", "nothing")]
    for command in commands:
        said = said_by(monkeypatch, capsys, *command)
        assert said
        assert OBEYED.findall(said) == [], command
        assert "this is a bug" not in said


def test_a_damaged_run_is_named_without_rewriting_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The word of what is damaged comes from the file."""
    run = RunFolder(tmp_path / "reports/runs/20261121T050607Z-abc123")
    run.create()
    (run.path / "run.json").write_text(json.dumps({"environment": {"builder_limits": {EVIL: 1}}, "schema": 1}))
    monkeypatch.chdir(tmp_path)
    said = said_by(monkeypatch, capsys, "report")
    assert "run.json is damaged: " in said
    assert OBEYED.findall(said) == []


def test_progress_warnings_and_our_own_bugs_rewrite_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does the traceback of a bug, whose last line quotes whatever it was about; progress as JSON loses nothing."""
    warn(EVIL)
    for progress in (PlainProgress(), GithubProgress(), JsonProgress()):
        progress(Event("warning", None, {"text": EVIL}))
        progress(Event("cell-finished", "x", {"status": "error", "as_expected": False, "reason": EVIL}))
    said = capsys.readouterr().err
    assert OBEYED.findall(said) == []
    assert json.loads(said.splitlines()[-1])["reason"] == EVIL

    def break_down(*_: object) -> None:
        raise RuntimeError(EVIL)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("orchestrator.config.load.load_matrix", break_down)
    said = said_by(monkeypatch, capsys, "plan")
    assert "this is a bug in matrix" in said
    assert OBEYED.findall(said) == []


def test_colours_of_our_own_stay() -> None:
    """What a terminal obeys and a report wants is its colour; JSON says what it holds in another way."""
    assert safe("\x1b[1;31mx\x1b[0m\r\n\ta") == "\x1b[1;31mx\x1b[0m\r\n\ta"
    assert safe(f"x{EVIL}") == "x[2J]0;owned 31m   gone"
    text = json.dumps({"a": EVIL}, ensure_ascii=False)
    for pieces in ((text,), (text[:1], text[1:]), (text[:-1], text[-1:])):
        assert json.loads("".join(safe_pieces(pieces))) == {"a": EVIL}
