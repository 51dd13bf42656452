"""What people and machines see on standard error while a run goes on."""

from __future__ import annotations

import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from orchestrator.commands.printing import print_result
from orchestrator.events import Event
from orchestrator.progress.choose import KINDS, open_progress
from orchestrator.progress.lines import GithubProgress, JsonProgress, PlainProgress
from orchestrator.progress.live import LiveTable, live_progress
from tests.unit.golden import assert_golden
from tests.unit.records import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def event(kind: str, cell: str | None = None, after_s: float = 0, **data: object) -> Event:
    """Make an event some seconds after noon."""
    return Event(kind, cell, data, NOON + timedelta(seconds=after_s))


STORY = [
    event("run-started", run="20260101T120000Z-abc123", cells=3, builder="reused builder 'matrix'"),
    event("cell-started", "slim-3.12", 1),
    event("cell-step", "slim-3.12", 2, step="[1/2]  FROM docker.io/library/python:3.12-slim"),
    event("cell-measuring", "slim-3.12", 5),
    event("cell-loading", "slim-3.12", 6),
    event("cell-smoke", "slim-3.12", 7),
    event("cell-finished", "slim-3.12", 9, status="passed", as_expected=True, reason=None),
    event("cell-started", "alpine-3.12", 9),
    event("cell-retried", "alpine-3.12", 10, attempt=1, wait_s=2.0, reason="the registry cannot be reached"),
    event("warning", None, 11, text="the base x cannot be read"),
    event("cell-finished", "alpine-3.12", 20, status="build-failed", as_expected=False, reason="[2/2] RUN x: exit 1, 100%"),
    event("cell-finished", "wolfi-3.12", 21, status="skipped", as_expected=True, reason="there is no stand-in for it"),
    event("run-finished", run="20260101T120000Z-abc123", complete=True),
]


def tell(progress: Callable[[Event], None], events: list[Event]) -> None:
    """Tell a story."""
    for happened in events:
        progress(happened)


@pytest.mark.parametrize(("kind", "make"), [("plain", PlainProgress), ("json", JsonProgress), ("github", GithubProgress)])
def test_a_run_reads_as_it_always_did(
    kind: str, make: Callable[[], Callable[[Event], None]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of each kind of progress, word for word, and nothing on standard output."""
    tell(make(), STORY)
    out, err = capsys.readouterr()
    assert out == ""
    assert_golden(f"progress-{kind}.txt", err)


def test_a_resumed_run_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Going on is told from starting."""
    PlainProgress()(event("run-resumed", run="x", cells=2, builder="b"))
    assert capsys.readouterr().err == "12:00:00 run resumed x: 2 cells, b\n"


def test_machines_get_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON lines are the journal's: a time, a kind, a cell where there is one, and what else is known."""
    tell(JsonProgress(), [*STORY, event("cell-finished", "x", reason=HOSTILE)])
    lines = [json.loads(line) for line in capsys.readouterr().err.split("\n") if line]
    assert lines[0] == {
        "at": "2026-01-01T12:00:00+00:00",
        "kind": "run-started",
        "run": "20260101T120000Z-abc123",
        "cells": 3,
        "builder": "reused builder 'matrix'",
    }
    assert lines[-1]["cell"] == "x"
    assert lines[-1]["reason"] == HOSTILE
    assert len(lines) == len(STORY) + 1


@pytest.mark.parametrize("make", [PlainProgress, GithubProgress])
@pytest.mark.parametrize(
    "happened",
    [
        event("cell-finished", "x", status="error", as_expected=False, reason=HOSTILE),
        event("cell-retried", "x", attempt=1, wait_s=1.0, reason=HOSTILE),
        event("warning", text=HOSTILE),
        event("cell-step", "x", step=HOSTILE),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_nothing_that_an_image_said_is_obeyed(
    make: Callable[[], Callable[[Event], None]], happened: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log line stays one line, rewrites no terminal, and is no command to GitHub."""
    make()(happened)
    lines = capsys.readouterr().err.rstrip("\n").split("\n")
    assert all(re.match(r"12:00:00 |::(error title=matrix x|warning)::", line) for line in lines)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", "".join(lines))


def test_githubs_annotations_cannot_be_broken_out_of(capsys: pytest.CaptureFixture[str]) -> None:
    """What would end an annotation or its title is written the way GitHub reads it."""
    GithubProgress()(event("cell-finished", "a:b,c%d", status="error", as_expected=False, reason="50% of a, b"))
    (annotation,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("::")]
    assert annotation == "::error title=matrix a%3Ab%2Cc%25d::a:b,c%25d: error (1/0): 50%25 of a, b"


@pytest.mark.parametrize("said", ["no ##[add-mask]passed", "##vso[task.setvariable variable=x]y", "first\n  ::stop-commands::x"])
def test_what_a_ci_system_would_obey_anywhere_in_a_line_is_taken_apart(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Runners look for the older commands within a line, and for the newer ones behind blanks; JSON keeps its values."""
    GithubProgress()(event("cell-finished", "x", status="error", as_expected=False, reason=said))
    print_result(f"x: {said}\n", None)
    printed = capsys.readouterr()
    for line in (printed.out + printed.err).splitlines():
        assert "##[" not in line
        assert "##vso[" not in line
        assert line.startswith("::error title=matrix x::") or not line.lstrip().startswith("::")
    print_result(json.dumps({"reason": said}), None)
    shown = capsys.readouterr().out
    assert "##" not in shown
    assert json.loads(shown) == {"reason": said}
    print_result("[a table]\n  ::x\n", None)
    assert capsys.readouterr().out == "[a table]\n  : :x\n", "also in what only looks like JSON"


def test_what_ended_as_expected_is_no_annotation(capsys: pytest.CaptureFixture[str]) -> None:
    """An expected failure is a pass, so GitHub is not told of it."""
    GithubProgress()(event("cell-finished", "x", status="build-failed", as_expected=True, reason="r"))
    assert "::" not in capsys.readouterr().err


def test_a_run_is_one_group_on_github(capsys: pytest.CaptureFixture[str]) -> None:
    """The log of a run folds away, and the group is closed at its end."""
    tell(GithubProgress(), [STORY[0], STORY[-1]])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("::group::matrix run started 20260101T120000Z-abc123: 3 cells")
    assert lines[-1] == "::endgroup::"


def draw(table: LiveTable, width: int, height: int) -> list[str]:
    """Draw a live table as a terminal of that size shows it."""
    console = Console(width=width, height=height, record=True, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(table.draw(width, height))
    return console.export_text().rstrip("\n").split("\n")


@pytest.mark.parametrize("width", [40, 80])
def test_the_live_table_reads_as_it_always_did(width: int) -> None:
    """The table of a run half-way through, on a narrow and on a usual terminal."""
    table = LiveTable(["slim-3.12", "alpine-3.12", "wolfi-3.12", "a-cell-with-quite-a-long-name-3.12"])
    tell(table.take, STORY[1:9])
    table.take(
        event(
            "cell-finished", "alpine-3.12", 12, status="timeout", reason="build: still running after 1800 s in [2/2] RUN make " * 3
        )
    )
    table.take(event("cell-started", "nobody"))
    assert_golden(f"live-{width}.txt", "\n".join(line.rstrip() for line in draw(table, width, 20)) + "\n")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_an_id_that_there_is_room_for_is_whole(width: int) -> None:
    """An id that lacks its last letter may be that of another cell."""
    table = LiveTable(["alpine-3.13-stdlib", "slim"])
    assert "alpine-3.13-stdlib  waiting" in "\n".join(draw(table, width, 20))


@pytest.mark.parametrize("width", [20, 29, 30, 40, 59, 60, 80, 200])
@pytest.mark.parametrize("state", ["build-failed", "smoke-failed"])
def test_how_a_cell_ended_is_whole(width: int, state: str) -> None:
    """The longest words for it too, on a terminal of any width: cell and step give way."""
    table = LiveTable(["base-3.13-with-quite-a-long-name-of-dependencies"])
    table.take(event("cell-finished", "base-3.13-with-quite-a-long-name-of-dependencies", 1, status=state, reason="x" * 300))
    lines = draw(table, width, 20)
    assert state in lines[1].split()
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [20, 40, 59, 60, 80, 200])
@pytest.mark.parametrize("height", [1, 5, 20])
def test_the_live_table_fits_its_terminal(width: int, height: int) -> None:
    """Two hundred cells on a small terminal: what is under way is shown, the others are counted, no line breaks."""
    cells = [f"base{at % 7}-3.{at}-dependencies" for at in range(200)]
    table = LiveTable(cells)
    for at, cell in enumerate(cells[:100]):
        table.take(event("cell-started", cell))
        if at != 50:
            table.take(event("cell-finished", cell, 1, status="passed", as_expected=True))
    table.take(event("cell-step", cells[50], step="[2/2] RUN " + "x" * 500))
    lines = draw(table, width, height)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    if width >= 40:
        assert "building" in text
        assert lines[0].split()[:3] == ["cell", "state", "time"]
    if height == 20 and width >= 40:
        assert len(lines) <= 20
        assert "99 of 200 done, 184 not shown" in " ".join(text.split())


@pytest.mark.parametrize(
    ("happened", "state"),
    [
        (event("cell-step", "x", step="[1/2] FROM alpine"), "pulling"),
        (event("cell-step", "x", step="[2/2] RUN make"), "building"),
        (event("cell-measuring", "x"), "measuring"),
        (event("cell-loading", "x"), "loading"),
        (event("cell-smoke", "x"), "smoke"),
        (event("cell-retried", "x", reason="why"), "retrying"),
        (event("cell-finished", "x", 7, status="passed"), "passed"),
    ],
)
def test_the_live_table_says_what_a_cell_is_doing(happened: Event, state: str) -> None:
    """Each thing that happens to a cell is a state of its row."""
    table = LiveTable(["x"])
    assert "waiting" in "\n".join(draw(table, 80, 20))
    table.take(event("cell-started", "x"))
    table.take(happened)
    assert state in "\n".join(draw(table, 80, 20))


def test_the_live_table_shows_no_texts_control_characters() -> None:
    """A step of a hostile Dockerfile does not draw outside of its row."""
    table = LiveTable(["x"])
    table.take(event("cell-started", "x"))
    table.take(event("cell-finished", "x", 1, status="error", reason=HOSTILE))
    text = "\n".join(draw(table, 200, 20))
    assert "<script>" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def chosen(kind: str, monkeypatch: pytest.MonkeyPatch, *, terminal: bool = False, **environment: str) -> tuple[Any, str]:
    """Give what shows progress, and what it showed of a short run."""
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with open_progress(kind) as show:
        tell(show, [event("run-started", run="r", cells=1, builder="b", ids=["slim-3.12"]), STORY[1], STORY[6]])
    return show, stream.getvalue()


def test_progress_is_chosen_by_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A live table on a terminal, lines in a pipe, annotations on GitHub, and what was asked for otherwise."""
    assert isinstance(chosen("auto", monkeypatch)[0], PlainProgress)
    assert isinstance(chosen("plain", monkeypatch, terminal=True)[0], PlainProgress)
    assert isinstance(chosen("json", monkeypatch, terminal=True, GITHUB_ACTIONS="true")[0], JsonProgress)
    assert isinstance(chosen("auto", monkeypatch, GITHUB_ACTIONS="true")[0], GithubProgress)
    assert chosen("none", monkeypatch, terminal=True)[1] == ""
    assert KINDS == ("auto", "plain", "json", "none")


def test_a_terminal_gets_a_live_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the table is drawn in place; a dumb one gets lines."""
    show, text = chosen("auto", monkeypatch, terminal=True)
    assert not isinstance(show, PlainProgress)
    assert "slim-3.12" in text
    assert "\x1b[" in text
    show, text = chosen("auto", monkeypatch, terminal=True, TERM="dumb")
    assert isinstance(show, PlainProgress)


def test_a_live_table_is_that_of_the_run_and_begins_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """--only, --skip and --shard leave cells out that nobody waits for; a run that never begins has no table."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with live_progress() as take:
        take(event("warning", text="the variable is no list"))
        assert "waiting" not in stream.getvalue()
    assert stream.getvalue() == "warning: the variable is no list\n"
    with live_progress() as take:
        take(event("run-resumed", run="r", cells=2, builder="b", ids=["slim-3.12", "wolfi-3.12"]))
        tell(take, STORY[1:7])
    assert "alpine" not in stream.getvalue()
    assert "1 of 2 done" in stream.getvalue()


def test_warnings_go_above_the_live_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning is not lost in the table, is no markup, and cannot rewrite the terminal."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with live_progress() as take:
        take(event("run-started", run="r", cells=1, builder="b", ids=["x"]))
        take(event("warning", text="[red]careful[/red] \x1b[9;9Hgone"))
    assert "warning: [red]careful[/red]" in stream.getvalue()
    assert "\x1b[9;9H" not in stream.getvalue()
