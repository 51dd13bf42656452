"""The lab's folder in the tool's cache: where it is, its locks, its logs, its whole-or-nothing files."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_LAST_LINES = 25


class LabError(RuntimeError):
    """A step of the lab that could not be done; its text names the step and what was last logged."""


def cache_folder() -> Path:
    """Find the lab's cache and make it; the variables are those that the tool itself obeys."""
    own = os.environ.get("MATRIX_CACHE_DIR")
    common = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = (Path(own) if own else Path(common) / "matrix") / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def say(text: str) -> None:
    """Tell the person on stderr what is going on; stdout is for results only."""
    sys.stderr.write(f"lab: {text}\n")
    sys.stderr.flush()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of that name, so that two processes do not make the same thing twice."""
    with (cache_folder() / f"{name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: another process is making it, waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` at the end, or vanishes when something goes wrong."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def timed(text: str) -> Iterator[None]:
    """Say what is being done, and when it is done how long it took."""
    say(f"{text} …")
    start = time.monotonic()
    yield
    say(f"{text}: {time.monotonic() - start:.1f} s")


def run_step(step: str, argv: Sequence[str | Path], *, log: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a command with its output in a log of the cache; a failure shows the log's last lines."""
    path = cache_folder() / log
    with path.open("a", encoding="utf-8") as handle:
        handle.write(f"--- {step}\n")
        handle.flush()
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    if done.returncode:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        text = "\n".join(lines)
        message = f"{step} failed with exit code {done.returncode}; the log is {path}:\n{text}"
        raise LabError(message)


def output_of(step: str, argv: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """Run a command for what it prints; a failure shows what it said on stderr."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, **(environment or {})}, check=False
    )
    if done.returncode:
        message = f"{step} failed with exit code {done.returncode}: {done.stderr.strip()}"
        raise LabError(message)
    return done.stdout
