"""Standard streams that whoever starts matrix has closed, or that have no room: cron, supervisors, `>&-`."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

MATRIX = Path(sys.executable).with_name("matrix")
ROOT = Path(__file__).parents[2]
REPORT = f"report --reports {ROOT / 'reports/examples'} --format csv"


def run(words: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command by a shell, which can close what it hands on."""
    return subprocess.run(["sh", "-c", f"{MATRIX} {words}"], cwd=tmp_path, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (f"{REPORT} >&-", 0),
        (f"{REPORT} <&- >&- 2>&-", 0),
        (f"{REPORT} -o page.csv <&- >&- 2>&-", 0),
        ("plan -f nope 2>&-", 2),
        ("plan -f nope >&- 2>&-", 2),
        ("--help >&-", 0),
        ("init new <&- 2>&-", 0),
    ],
)
def test_closed_streams_change_no_exit_code(words: str, code: int, tmp_path: Path) -> None:
    """Nobody listens, so nothing is said; all else is as ever."""
    done = run(words, tmp_path)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == code
    if "page.csv" in words:
        assert (tmp_path / "page.csv").read_text().startswith("base,python,cell,outcome,")


@pytest.mark.parametrize("words", [REPORT, "--version", "plan --help", "schema"])
def test_an_output_without_room_is_exit_4(words: str, tmp_path: Path) -> None:
    """README says 4 for a disk without room, whichever command it is that has something to say."""
    done = run(f"{words} >/dev/full", tmp_path)
    assert done.returncode == 4
    assert done.stderr.startswith("matrix: no room left on the disk for standard output")
    assert len(done.stderr.splitlines()) == 1


def test_an_interruption_counts_though_nobody_reads_what_is_said() -> None:
    """A pager that stands still keeps whoever writes waiting, in the middle of a line; the cells are cancelled all the same."""
    code = """
import os, signal, sys, threading, time
from orchestrator.interrupts import interrupts
cancel, interrupted = threading.Event(), threading.Event()
threading.Thread(target=lambda: os._exit(0 if cancel.wait(20) else 1)).start()
with interrupts(cancel, interrupted):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    sys.stderr.write("x" * 1_000_000)
"""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as child:
        assert child.wait(30) == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_pipe_gets_every_character_whatever_the_locale_is(encoding: str, tmp_path: Path) -> None:
    """Reports hold signs that an old locale lacks; a terminal shows a mark in their place, and no run ends by that."""
    words = [str(MATRIX), "report", "--reports", str(ROOT / "reports/examples")]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert not done.stdout.isascii()
    assert done.stdout.decode()
    reader, terminal = pty.openpty()
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=terminal, stderr=subprocess.PIPE) as child:
        os.close(terminal)
        with suppress(OSError):  # the end of a terminal
            while os.read(reader, 65536):
                pass
        assert child.wait(30) == 0
    os.close(reader)
