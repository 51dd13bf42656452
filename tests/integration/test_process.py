"""The door to processes: limits hold whatever the command does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.docker import process
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path


def follow(
    code: str, *, timeout_s: float = 30, cancel: threading.Event | None = None
) -> tuple[process.Exit, list[bytes], list[bytes]]:
    """Run Python code as a child, and collect its lines."""
    out: list[bytes] = []
    err: list[bytes] = []
    ended = process.stream(
        [sys.executable, "-c", code], on_stdout=out.append, on_stderr=err.append, timeout_s=timeout_s, cancel=cancel
    )
    return ended, out, err


def outlives(mark: str) -> bool:
    """Tell whether a process with this mark on its command line is still there when a busy kernel had time to end it."""
    until = time.monotonic() + 5
    while subprocess.run(["pgrep", "-f", mark], capture_output=True, check=False).returncode == 0:
        if time.monotonic() > until:
            return True
    return False


def test_lines_arrive_whole_and_on_their_own_stream() -> None:
    """The last one too, when it has no end."""
    ended, out, err = follow("import sys; print('one'); print('two', end=''); sys.stderr.write('three\\n'); sys.exit(5)")
    assert ended.code == 5
    assert (out, err) == ([b"one", b"two"], [b"three"])


def test_a_command_that_cannot_be_started_is_no_fault_of_ours() -> None:
    """One argument that is too long ends a cell, whose record says why, and not the run of all others."""
    words = "argument list too long; no argument, label or variable may be longer than 128 KiB"
    with pytest.raises(EngineError, match=f"(?i)^{sys.executable} cannot be started: {words}$"):
        process.run([sys.executable, "-c", "", "x" * 200_000])
    with pytest.raises(EngineError, match=r"(?i)cannot be started: argument list too long"):
        process.run([sys.executable, "-c", ""], env={"A": "x" * 200_000})


def test_a_command_that_is_not_there_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts it."""
    with pytest.raises(EngineError, match=r"^no-such-program cannot be started: No such file or directory$"):
        process.run(["no-such-program"])
    with pytest.raises(EngineError, match=r"^true cannot be started: No such file or directory$"):
        process.run(["true"], env={"PATH": "/nowhere"})
    monkeypatch.chdir("/")
    assert process.run([sys.executable, "-c", ""], env={"PATH": "/nowhere"}).ok


def test_a_setpriv_that_ties_no_process_is_left_out(tmp_path: Path) -> None:
    """Busybox has one that knows nothing of it."""
    setpriv = tmp_path / "setpriv"
    setpriv.write_text('#!/bin/sh\necho "unrecognized option $1" >&2\nexit 1\n')
    setpriv.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    code = "from orchestrator.docker import process; print(process.run(['echo', 'started']).stdout)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "started\n"


@pytest.mark.parametrize("why", ["time", "cancel"])
def test_a_command_that_closes_its_output_and_lives_on_is_ended_all_the_same(why: str) -> None:
    """Nothing more can come of it, but it has not ended; one that ends by itself is waited for."""
    closing = "import os, time; os.close(1); os.close(2); time.sleep({})"
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    started = time.monotonic()
    ended, _, _ = follow(closing.format(600), timeout_s=0.5) if why == "time" else follow(closing.format(600), cancel=cancel)
    assert (ended.timed_out, ended.cancelled) == (why == "time", why == "cancel")
    assert time.monotonic() - started < 10
    ended, _, _ = follow(closing.format(0.3))
    assert ended.code == 0


def test_a_time_limit_ends_the_whole_tree() -> None:
    """Children that ignore the polite signal, and their children, are killed."""
    mark = f"mark-{time.monotonic_ns()}"
    code = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', '{mark}']); time.sleep(600)"
    )
    started = time.monotonic()
    ended, _, _ = follow(code, timeout_s=1)
    assert ended.timed_out
    assert ended.code is None
    assert time.monotonic() - started < 10
    assert not outlives(mark)


def test_a_cancellation_ends_a_command_at_once() -> None:
    """Whoever waits for it is told that it was cancelled, not that it failed."""
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    started = time.monotonic()
    ended, _, _ = follow("import time; time.sleep(600)", cancel=cancel)
    assert ended.cancelled
    assert time.monotonic() - started < 5


def test_a_grandchild_that_keeps_the_pipes_open_is_not_waited_for() -> None:
    """A daemon that a command leaves behind must not hold a cell."""
    mark = f"mark-{time.monotonic_ns()}"
    started = time.monotonic()
    child = f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', '{mark}'])"
    ended, out, _ = follow(f"import subprocess, sys; {child}; print('done')", timeout_s=20)
    assert (ended.code, out) == (0, [b"done"])
    assert time.monotonic() - started < 15
    assert not outlives(mark)


def test_a_line_of_a_hundred_megabytes_is_cut_and_the_next_one_read() -> None:
    """Memory is bounded by the longest line allowed, not by what the child prints."""
    ended, out, _ = follow("import sys; sys.stdout.write('x' * 100_000_000); print(); print('after')")
    assert ended.code == 0
    assert [len(line) for line in out] == [process.MAX_LINE, 5]


def test_standard_input_is_given_whole() -> None:
    """Also when it is larger than a pipe."""
    answer = process.run([sys.executable, "-c", "import sys; print(len(sys.stdin.buffer.read()))"], stdin=b"x" * 1_000_000)
    assert answer.stdout == "1000000"


def test_kept_output_is_bounded() -> None:
    """A short command that talks without end costs no more than the limit."""
    answer = process.run([sys.executable, "-c", "print('x\\n' * 10_000_000)"], limit=1000)
    assert len(answer.stdout) <= 1000
    assert answer.ok


def test_a_command_that_carries_is_told_its_folder_by_the_name_that_was_given(tmp_path: Path) -> None:
    """Not by where its links lead: buildx chooses a pod by that name."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    ours, its = socket.socketpair()
    argv = [sys.executable, "-c", "import os; print(os.environ['PWD'], os.getcwd())"]
    with ours, tempfile.TemporaryFile() as said, process.carrying(argv, its, said, os.environ, folder=str(link)):
        assert ours.makefile().read() == f"{link} {tmp_path}\n"
