"""Run a command with a time limit, bounded output and a whole process tree to end."""

from __future__ import annotations

import errno
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import cache
from typing import IO, TYPE_CHECKING, Protocol

from msgspec import Struct

from orchestrator.errors import EngineError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence

MAX_LINE = 1024 * 1024
_CHUNK = 64 * 1024
_POLL_S = 0.1
_GRACE_S = 3.0  # buildx needs a moment to tell the daemon that a build is cancelled


class Signal(Protocol):
    """Something that says when a command is to be ended: an event, or whoever knows its time."""

    def is_set(self) -> bool:
        """Tell whether to end it now."""


class Exit(Struct, frozen=True):
    """How a command ended; the code is None when it was stopped from here."""

    code: int | None
    timed_out: bool = False
    cancelled: bool = False


class Output(Struct, frozen=True):
    """A finished command with what it printed, cut at the limit."""

    exit: Exit
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Tell whether the command ended by itself, with 0."""
        return self.exit.code == 0


class _Lines:
    """Cuts a byte stream into lines and drops what goes past the longest line allowed."""

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        self._emit = emit
        self._rest = b""
        self._dropping = False

    def feed(self, chunk: bytes) -> None:
        *lines, rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if not self._dropping:
                self._emit(line[:MAX_LINE])
            self._dropping = False
        if self._dropping:
            rest = b""
        elif len(rest) > MAX_LINE:
            self._emit(rest[:MAX_LINE])
            self._dropping, rest = True, b""
        self._rest = rest

    def close(self) -> None:
        if self._rest:
            self._emit(self._rest)


def stream(  # noqa: PLR0913  # each is one independent limit or destination
    argv: Sequence[str],
    *,
    on_stdout: Callable[[bytes], None],
    on_stderr: Callable[[bytes], None],
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout_s: float | None = None,
    cancel: Signal | None = None,
) -> Exit:
    """Run a command in a session of its own and hand over its lines as they come."""
    with tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        with _start_errors(argv[0]):
            _find(argv[0], env)
            child = subprocess.Popen(  # noqa: S603  # an argument list, never a shell
                [*_tied(), *argv],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if env is None else dict(env),
                start_new_session=True,
            )
    try:
        return _follow(child, on_stdout, on_stderr, timeout_s, cancel)
    finally:
        end_tree(child)


@contextmanager
def carrying(
    argv: Sequence[str], connection: socket.socket, said: IO[bytes], env: Mapping[str, str], folder: str | None = None
) -> Iterator[None]:
    """Have a command carry the bytes of a connection, which is its input and its output; its words go to a file.

    In a folder of its own it is told that folder by the name that it was given, however many links that has.
    """
    variables = dict(env) | ({"PWD": folder} if folder else {})
    with connection, _start_errors(argv[0]):
        child = subprocess.Popen(  # noqa: S603  # as above
            argv,
            stdin=connection.fileno(),
            stdout=connection.fileno(),
            stderr=said,
            env=variables,
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield
    finally:
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)  # it ends when whoever is at the other end hangs up
        end_tree(child)


@contextmanager
def _start_errors(program: str) -> Iterator[None]:
    """Say why a command cannot be started: it is too long, or the system has no room for it."""
    try:
        yield
    except UnicodeEncodeError as error:
        lacking = error.object[error.start : error.end]
        message = f"{program} cannot be started: nobody can say {lacking!r} to it in this locale; LC_ALL=C.UTF-8 is one that can"
        raise EngineError(message) from error
    except OSError as error:
        more = "; no argument, label or variable may be longer than 128 KiB" if error.errno == errno.E2BIG else ""
        message = f"{program} cannot be started: {error.strerror or error}{more}"
        raise EngineError(message) from error


def _find(program: str, env: Mapping[str, str] | None) -> None:
    """Look for a program before another is asked to start it, which would only say so in its own words."""
    if shutil.which(program, path=os.pathsep.join(os.get_exec_path(env))) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


@cache
def _tied() -> tuple[str, ...]:
    """Give the words that end a command when this process is killed outright, on a system that has them: util-linux's setpriv.

    The kernel watches the thread that started it, and that one waits in `stream` for its end.
    """
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return ()
    words = (setpriv, "--pdeathsig", "TERM")
    tried = subprocess.run([*words, setpriv, "--version"], capture_output=True, check=False)  # noqa: S603  # an argument list
    return () if tried.returncode else words  # an old one cannot do that, nor can busybox's


def _follow(
    child: subprocess.Popen[bytes],
    on_stdout: Callable[[bytes], None],
    on_stderr: Callable[[bytes], None],
    timeout_s: float | None,
    cancel: Signal | None,
) -> Exit:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    linger: float | None = None  # a grandchild may hold the pipes open after the child has ended
    with selectors.DefaultSelector() as selector:
        for pipe, emit in ((child.stdout, on_stdout), (child.stderr, on_stderr)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, _Lines(emit))
        while linger is None or (selector.get_map() and time.monotonic() < linger):
            if cancel is not None and cancel.is_set():
                return Exit(None, cancelled=True)
            if deadline is not None and time.monotonic() > deadline:
                return Exit(None, timed_out=True)
            if selector.get_map():
                for key, _ in selector.select(_POLL_S):
                    _read(selector, key)
            else:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_POLL_S)
            if linger is None and child.poll() is not None:
                linger = time.monotonic() + _GRACE_S
    return Exit(child.wait())


def _read(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]  # what was registered above
    lines: _Lines = key.data
    chunk = os.read(pipe.fileno(), _CHUNK)
    if chunk:
        lines.feed(chunk)
        return
    lines.close()
    selector.unregister(pipe)


def end_tree(child: subprocess.Popen[bytes]) -> None:
    """End a child and all that it started: asked first, then killed."""
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nothing of the group is left
        os.killpg(group, number)


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout_s: float = 60.0,
    limit: int = 4 * 1024 * 1024,
    cancel: Signal | None = None,
) -> Output:
    """Run a short command and keep what it prints, up to a limit for each stream."""
    kept: tuple[list[bytes], list[bytes]] = ([], [])
    sizes = [0, 0]

    def keep(which: int) -> Callable[[bytes], None]:
        def take(line: bytes) -> None:
            sizes[which] += len(line) + 1
            if sizes[which] <= limit:
                kept[which].append(line)

        return take

    ended = stream(argv, on_stdout=keep(0), on_stderr=keep(1), env=env, stdin=stdin, timeout_s=timeout_s, cancel=cancel)
    out, err = (b"\n".join(lines).decode("utf-8", "replace") for lines in kept)
    return Output(ended, out, err)


def last_line(text: str) -> str:
    """Give the last line with something on it: of what a command that failed has printed, why."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
