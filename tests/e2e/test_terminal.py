"""What a person sees: on a terminal, in a pipe, in a CI log."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import MATRIX, Project

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def on_a_terminal(project: Project, columns: int, words: Sequence[str], **environment: str) -> str:
    """Run `matrix` on a terminal of this width, and give all that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [MATRIX, *words],
        cwd=project.folder,
        env={**os.environ, **project.environment, "TERM": "xterm-256color", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says this when the other side has closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait(60) == 0, written.decode("utf-8", "replace")
    return written.decode("utf-8", "replace")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_shows_a_live_table_and_then_the_results(project: Project, columns: int) -> None:
    """In any width; the live table makes way for the report, which fits."""
    project.write(axes={"kind": ["one", "two"], "flavour": ["a-rather-long-value"]}, defaults={"smoke": [{"run": ["true"]}]})
    written = on_a_terminal(project, columns, ["run"])
    assert "of 2 done" in written
    report = COLOUR.sub("", written[written.rindex("tiny, run") :])
    assert "2 of 2 cells ended" in report.replace("\r\n  ", " ")
    if columns >= 80:
        assert all(len(line.rstrip()) <= columns for line in report.splitlines() if "/report." not in line)


def test_no_color_is_obeyed(project: Project) -> None:
    """On a terminal too."""
    project.write()
    assert not COLOUR.search(on_a_terminal(project, 80, ["run"], NO_COLOR="1"))


def test_piped_progress_is_plain_lines_with_a_time(project: Project) -> None:
    """Results go to standard output, and nothing else does."""
    project.write(defaults={"smoke": [{"run": ["true"]}]})
    done = project.matrix("run", "--format", "json")
    assert json.loads(done.stdout)["complete"]
    lines = done.stderr.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines[:-2])
    assert [line.rpartition("/")[2] for line in lines[-2:]] == ["report.md", "report.html"]
    assert "\x1b" not in done.stderr
    assert any("one: passed (1/1)" in line for line in lines)


def test_a_run_whose_streams_are_closed_is_a_run(project: Project) -> None:
    """Supervisors start programs without any; nothing that a run opens may get their numbers, or be taken for them."""
    project.write()
    words = ["sh", "-c", f"{MATRIX} run <&- >&- 2>&-"]
    subprocess.run(words, cwd=project.folder, env={**os.environ, **project.environment}, check=True)
    assert project.record()["complete"]


def test_a_live_table_has_the_cells_of_the_run(project: Project) -> None:
    """Those that --only leaves out are not waited for."""
    project.write(axes={"kind": ["one", "another"]})
    written = on_a_terminal(project, 80, ["run", "--only", "one"])
    assert "1 of 1 done" in written
    assert "another" not in written


def test_progress_for_machines_is_the_journal(project: Project) -> None:
    """One JSON object a line on standard error."""
    project.write()
    done = project.matrix("run", "--progress", "json", "--format", "csv")
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert events == project.events()
    assert [event["kind"] for event in events][:2] == ["run-started", "cell-started"]
    assert events[-1]["kind"] == "run-finished"


def test_github_actions_gets_groups_and_annotations(project: Project) -> None:
    """What did not end as expected is an annotation on the job."""
    project.write(defaults={"args": {"DO": "exit 1"}})
    said = project.matrix("run", exit_code=1, GITHUB_ACTIONS="true").stderr
    assert "::group::matrix run started" in said
    assert "::error title=matrix one::one: build-failed" in said
    assert "::endgroup::" in said


def test_the_result_can_go_to_a_file(project: Project) -> None:
    """Standard output is then empty."""
    project.write()
    done = project.matrix("run", "--progress", "none", "--format", "csv", "-o", "result.csv")
    assert done.stdout == ""
    assert project.folder.joinpath("result.csv").read_text() == project.latest.joinpath("report.csv").read_text()


def test_help_and_completion_are_there(project: Project) -> None:
    """Every command explains itself."""
    text = project.matrix("--help").stdout
    for command in ("init", "doctor", "plan", "bootstrap", "run", "report", "schema", "clean"):
        assert f"  {command} " in text
        assert "Usage: matrix" in project.matrix(command, "--help").stdout
    words = ["bash", "-c", f"{MATRIX} --show-completion; :"]  # not the last command, or bash would not stay its parent
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "complete -o" in shown
