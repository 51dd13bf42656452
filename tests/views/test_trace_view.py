"""`matrix trace`: the three views in a terminal and as JSON, and what is said where there is nothing to see."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from orchestrator.model import Status
from orchestrator.record import CellRecord, RunRecord
from orchestrator.store import RunFolder
from orchestrator.tracing import names
from orchestrator.tracing.columns import Sheet, fit, plain, wrap
from orchestrator.tracing.names import Part
from orchestrator.tracing.otlp import dump_lines
from orchestrator.tracing.stored import TracedCell, TracedRun
from orchestrator.tracing.terminal import render_comparison, render_list, render_waterfall
from orchestrator.tracing.view import Asked, view_traces
from orchestrator.tracing.waterfall import make_waterfall
from orchestrator.units import UNKNOWN
from tests.command_line import assert_refused, end_of
from tests.rendering import render_record
from tests.unit.golden import assert_golden
from tests.unit.records import HOSTILE, make_build, make_cell, make_record
from tests.unit.traces import TraceMaker, make_alpine, make_slim

if TYPE_CHECKING:
    from orchestrator.tracing.spans import Span

ALPINE, SLIM, DAMAGED, EXCLUDED, SKIPPED, BARE = "alpine-3.13", "slim-3.13", "wolfi-3.13", "alpine-3.9", "wolfi-3.9", "wolfi-3.14"
RUN_ID = make_record().id
NASTY = f"{HOSTILE} \u200f\u061c\u2028\ud800\x9b31m 漢字漢字漢字 e\u0301 \U0001f469\u200d\U0001f469 \U000e0041"
LIVE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]")


def make_traced_record() -> RunRecord:
    """Make a run of cells with a trace, with a damaged one, and with none for each reason there is."""
    reason = "import grpc: Segmentation fault (SIGSEGV), exit 139"
    cells = (
        replace(make_cell("slim", "3.13", Status.SMOKE_FAILED, reason=reason), build=make_build(8.0)),
        replace(make_cell("alpine", "3.13", Status.PASSED), build=make_build(58.8)),
        make_cell("wolfi", "3.13", Status.ERROR),
        make_cell("alpine", "3.9", Status.EXCLUDED, Status.EXCLUDED, "too old"),
        replace(make_cell("wolfi", "3.9", Status.SKIPPED), as_expected=True),
        make_cell("wolfi", "3.14", Status.PASSED),
    )
    return replace(make_record(), cells=cells)


def save_trace(run: RunFolder, cell: str, spans: list[Span]) -> None:
    """Leave a cell's trace as a run leaves it."""
    run.cell(cell)
    run.trace_path(cell).write_text(dump_lines(spans), encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """Give the folder of a stored run, in a working folder with no matrix.yaml."""
    monkeypatch.chdir(tmp_path)
    run = RunFolder(Path("reports", "runs", RUN_ID))
    run.create()
    run.save_text("run.json", render_record(make_traced_record()))
    save_trace(run, ALPINE, make_alpine())
    save_trace(run, SLIM, make_slim())
    run.cell(DAMAGED)
    run.trace_path(DAMAGED).write_text('{"resourceSpans": []}\n{"resourceSp', encoding="utf-8")
    return run


VIEWS = {"list": Asked(), "cell": Asked((SLIM,)), "pair": Asked((ALPINE, SLIM))}


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_reads_as_it_always_did(view: str, width: int, run: RunFolder) -> None:
    """The list of cells, a waterfall, two cells side by side: word for word, and no line wider than the terminal."""
    text, _ = view_traces(run, VIEWS[view], Sheet(width))
    assert_golden(f"trace-{view}-{width}.txt", text)
    assert max(map(cell_len, text.splitlines())) <= width


@pytest.mark.parametrize("view", VIEWS)
def test_machines_read_the_same_as_json(view: str, run: RunFolder) -> None:
    """Each view as JSON, word for word, in seconds that add up."""
    text, _ = view_traces(run, VIEWS[view], None)
    assert_golden(f"trace-{view}.json", text)


def test_the_waterfall_with_all_details(run: RunFolder) -> None:
    """The builder's own calls are there when asked for, and counted when not."""
    short, long = (view_traces(run, Asked((ALPINE,), details=details), Sheet(80))[0] for details in (False, True))
    assert "4 spans of detail are not shown; --details shows them." in short
    assert "extract sha256" not in short
    assert "extract sha256" in long
    assert "not shown" not in long
    rows = [json.loads(view_traces(run, Asked((ALPINE,), details=details), None)[0])["rows"] for details in (False, True)]
    assert len(rows[1]) - len(rows[0]) == 4


def test_a_stored_run_is_shown_without_a_terminal(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe gets plain lines that a person can read, on standard output only; a file gets the same."""
    assert end_of(monkeypatch, "trace", "latest", ALPINE) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert LIVE.findall(out) == []
    assert max(map(len, out.splitlines())) <= 120
    assert "steps          51.50   80.5\n" in out
    assert end_of(monkeypatch, "trace", str(run.path), ALPINE, "-o", "trace.txt") == 0
    assert Path("trace.txt").read_text(encoding="utf-8") == out
    assert capsys.readouterr() == ("", "wrote trace.txt\n")


@pytest.mark.parametrize(
    ("name", "value", "coloured"), [("TERM", "xterm", True), ("NO_COLOR", "1", False), ("TERM", "dumb", False)]
)
@pytest.mark.usefixtures("run")
def test_colour_is_for_terminals_that_want_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, coloured: bool
) -> None:
    """NO_COLOR is obeyed, a dumb terminal gets no escapes, and the words are the same in colour."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv(name, value)
    assert end_of(monkeypatch, "trace", "latest", ALPINE) == 0
    out = capsys.readouterr().out
    assert ("\x1b[" in out) == coloured
    words = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert LIVE.findall(words) == []
    assert "*     42.50   [build 3/3] RUN pip install -r " in words
    assert end_of(monkeypatch, "trace", "latest", ALPINE, "--out", "trace.txt") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("run")
def test_a_damaged_trace_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The list shows all that can be read, names what cannot, and is no success; without it, it is one."""
    assert end_of(monkeypatch, "trace", "latest", "--format", "json") == 2
    found = json.loads(capsys.readouterr().out)
    assert [cell["cell"] for cell in found["cells"]] == [ALPINE, SLIM]
    assert [cell["cell"] for cell in found["untraced"]] == [EXCLUDED, SKIPPED, BARE]
    [damaged] = found["damaged"]
    assert damaged["cell"] == DAMAGED
    assert f"cells/{DAMAGED}/trace.json is damaged: line 2 is not an OTLP/JSON document (ValueError" in damaged["problem"]
    assert end_of(monkeypatch, "trace", "latest", "--skip", DAMAGED, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["damaged"] == []
    assert end_of(monkeypatch, "trace", "latest", "--only", "base=slim") == 0
    out = capsys.readouterr().out
    assert SLIM in out
    assert ALPINE not in out


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["2025"], 2, "matrix: there is no run '2025' in "),
        (["latest", "slim-3.31"], 2, "has no cell 'slim-3.31'; did you mean 'slim-3.13'?"),
        (["latest", "?"], 2, "has no cell '?'; `matrix trace latest` lists those with a trace"),
        (["latest", EXCLUDED], 3, f"cell '{EXCLUDED}' of run {RUN_ID} has no trace: it was excluded\n"),
        (["latest", ALPINE, SKIPPED], 3, f"cell '{SKIPPED}' of run {RUN_ID} has no trace: it was skipped\n"),
        (["latest", BARE], 3, f"cells/{BARE}/trace.json is not there\n"),
        (["latest", DAMAGED], 2, f"cells/{DAMAGED}/trace.json is damaged: line 2 is not an OTLP/JSON document (ValueError"),
        (["latest", ALPINE, SLIM, BARE], 2, "3 cells are too many: none lists all, one draws its waterfall, two are compared"),
        (
            ["latest", ALPINE, "--only", "x"],
            2,
            "--only and --skip choose the cells of the list; leave them out where cells are named",
        ),
        (["latest", "--details"], 2, "--details is for the waterfall of one cell; name that cell"),
        (["latest", "--only", "base=debian"], 3, "no cell is left by --only base=debian"),
        (["latest", "--only", BARE], 3, f"the only cell of run {RUN_ID} has no trace; `matrix run` leaves one"),
        (["--format", "table"], 2, "--format 'table' is not one of text, json"),
    ],
)
@pytest.mark.usefixtures("run")
def test_what_cannot_be_shown_is_a_sentence_with_an_exit_code(
    argv: list[str], code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No trace, no such cell, a damaged file: each has its own words, on standard error, and never a traceback."""
    assert_refused(monkeypatch, capsys, ["trace", *argv], code, words)


def test_a_run_copied_without_its_cells_says_what_to_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a run from another machine, run.json alone is not enough; the whole folder is, wherever it lies."""
    copied = RunFolder(tmp_path / "from elsewhere")
    copied.create()
    copied.save_text("run.json", render_record(make_traced_record()))
    assert end_of(monkeypatch, "trace", str(copied.path)) == 2
    assert f"there is no folder of cells in {copied.path}; if the run was made on another machine, copy its whole folder" in (
        capsys.readouterr().err
    )
    save_trace(copied, SLIM, make_slim())
    assert end_of(monkeypatch, "trace", str(copied.path), SLIM) == 0
    assert "2 CPUs, linux/amd64" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfe", "is damaged: 'utf-8' codec can't decode byte 0xff"),
        (b"[]", "is damaged: line 1 is not an OTLP/JSON document (TypeError"),
        (b"", "is damaged: it holds no span 'cell' from which the others come"),
        (b'{"resourceSpans": [' * 100_000, "is damaged: line 1 is not an OTLP/JSON document"),
    ],
)
def test_a_damaged_file_is_named(
    data: bytes, words: str, run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever lies where a trace should be, the file and the fault are named."""
    run.trace_path(ALPINE).write_bytes(data)
    assert end_of(monkeypatch, "trace", "latest", ALPINE) == 2
    err = capsys.readouterr().err
    assert f"{RUN_ID}/cells/{ALPINE}/trace.json is damaged" in err
    assert words in err


def test_a_trace_that_is_no_file_or_too_large_is_not_read(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder or a device in a trace's place is none, and a file beyond all bounds is not taken into memory."""
    run.trace_path(ALPINE).unlink()
    run.trace_path(ALPINE).symlink_to("/dev/zero")
    assert end_of(monkeypatch, "trace", "latest", ALPINE) == 3
    with run.trace_path(SLIM).open("wb") as file:
        file.truncate(257 * 1024**2)
    assert end_of(monkeypatch, "trace", "latest", SLIM) == 2
    assert "is too large to be the trace of a cell" in capsys.readouterr().err


def make_nasty_cell() -> TracedCell:
    """Make a cell whose every text tries to be something else."""
    trace = TraceMaker(2.0)
    step = trace.step(trace.root, f"[1/1] RUN {NASTY}", 0, 1, f"joined:{NASTY.replace(':', '')}", NASTY)
    trace.add(step, NASTY * 50, 0, 1, {names.PART: Part.PULL}, NASTY * 50)
    trace.check(trace.root, "漢" * 200, 1, 2, "\n".join(["line"] * 50))
    trace.step(trace.root, "[x 1/1] RUN y", -1_000_000_000, 16_000_000_000)
    record = CellRecord(NASTY, {}, Status.ERROR, Status.PASSED, as_expected=False, reason=NASTY)
    return TracedCell(record, make_waterfall(trace.spans))


@pytest.mark.parametrize("width", [1, 40, 80, 10_000])
def test_no_view_can_rewrite_a_terminal_or_break_its_lines(width: int) -> None:
    """Escapes, direction marks, wide letters and line ends of a hostile Dockerfile stay text within the columns."""
    record, cell, sheet = make_traced_record(), make_nasty_cell(), Sheet(width)
    views = [
        render_list(TracedRun(record, (cell,), (cell.record,), ((cell.record, NASTY),)), sheet),
        render_waterfall(record, cell, sheet, details=True),
        render_comparison(record, cell, cell, sheet),
    ]
    for text in views:
        assert LIVE.findall(text) == []
        assert text.encode()
        assert max(map(cell_len, text.splitlines())) <= min(max(width, 40), 120)
        assert not [line for line in text.splitlines() if line.startswith("::")]
    coloured = render_waterfall(record, cell, Sheet(80, colour=True), details=True)
    assert set(re.findall("\x1b[^m]*m", coloured)) <= {f"\x1b[{code}m" for code in ("0", "1", "2", "31", "33", "35")}


@given(st.text(), st.integers(2, 60))
def test_any_text_takes_exactly_its_columns(text: str, width: int) -> None:
    """A column stays a column whatever stands in it, and what wraps loses nothing that can be seen."""
    assert cell_len(fit(text, width)) == width
    assert LIVE.findall(fit(text, width)) == []
    lines = wrap(text, width, label="x ")
    assert max(cell_len(line.plain) for line in lines) <= max(width, len("x ") + 12)
    assert "".join("".join(line.plain.split()) for line in lines) == "x" + "".join(plain(text).split())


def test_a_reason_is_said_once_where_it_came_from() -> None:
    """A step's failure fails all above it; its reason stands below the step, and another's below the other."""
    trace = TraceMaker(3.0)
    build = trace.add(trace.root, "build", 0, 2, error="exit 1")
    trace.step(build, "[1/2] RUN fails", 0, 1, error="exit 1")
    trace.step(build, "[2/2] RUN works", 1, 2)
    trace.add(trace.root, "load", 2, 3, {names.PART: Part.LOAD}, error="exit 1")
    cell = TracedCell(make_cell("a", "b", Status.BUILD_FAILED), make_waterfall(trace.spans))
    lines = render_waterfall(make_record(), cell, Sheet(80), details=False).splitlines()
    reasons = [at for at, line in enumerate(lines) if line.strip() == "! exit 1"]
    assert ["fails" in lines[at - 1] or "load" in lines[at - 1] for at in reasons] == [True, True]
    assert sum("* !" in line for line in lines) == 3


def test_a_cell_of_no_time_is_drawn_too() -> None:
    """A clock that stood still divides nothing by zero."""
    cell = TracedCell(make_cell("a", "b", Status.ERROR), make_waterfall(TraceMaker(0.0).spans))
    text = render_waterfall(make_record(), cell, Sheet(80), details=False)
    assert f"total           0.00      {UNKNOWN}\n" in text
    assert "A and B took the same time." in render_comparison(make_record(), cell, cell, Sheet(80))


def test_spans_made_from_progress_are_said_to_be() -> None:
    """A builder that gives no trace is told from one whose trace was read; a joined step alone says nothing of it."""
    said = "There is no trace by the builder: the spans of the build were made from its progress."
    for sources, expected in ((["progress", "progress"], True), (["buildkit", "progress"], False), ([], False)):
        trace = TraceMaker(1.0)
        for source in sources:
            trace.add(trace.root, "x", 0, 1, {names.SOURCE: source})
        cell = TracedCell(make_cell("a", "b", Status.PASSED), make_waterfall(trace.spans))
        assert (said in render_waterfall(make_record(), cell, Sheet(120), details=False)) == expected


def test_the_shorter_cell_first_is_said_to_take_less() -> None:
    """The order in which cells are named decides the sign, and the sentence says it in words."""
    record = make_traced_record()
    slim, alpine = (
        TracedCell(cell, make_waterfall(spans)) for cell, spans in zip(record.cells, (make_slim(), make_alpine()), strict=False)
    )
    text = render_comparison(record, slim, alpine, Sheet(80))
    assert "A took 52.00 s less than B.\nLargest difference by part: -45.80 s, steps\n" in text
    assert "Largest difference by step: -32.50 s, [build] RUN pip install -r\n" in text
