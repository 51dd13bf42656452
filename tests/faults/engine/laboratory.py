"""An engine that drills may break: its own network, its data on a disk of its own in memory, ended by its process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.engine import EngineSpec, answers, running, start, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # tests side by side must not break each other's
DRILLS = EngineSpec(os.environ.get("DRILLS_ENGINE", "engine-drills") + _WORKER, own_network=True, starts_empty=True)
_DISK = "2g"
_ROOT = Path(__file__).parents[3]


def wait_until(condition: Callable[[], object], seconds: float = 60.0, what: str = "it") -> None:
    """Wait until something is true."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what} never came true"
        time.sleep(0.02)  # what is waited for lies in files and in the engine, which tell nobody


def while_running(process: subprocess.Popen[str], each_s: float, within_s: float) -> Iterator[None]:
    """Look at a process again and again, until it has ended; that it does is a part of the drill."""
    until = time.monotonic() + within_s
    while process.poll() is None:
        yield
        with suppress(subprocess.TimeoutExpired):
            process.wait(each_s)
        assert time.monotonic() < until, "the run does not end"


@contextmanager
def engine_on_its_own_disk(size: str = _DISK) -> Iterator[EngineSpec]:
    """Run the drills' engine as long as the block; nothing of it is left afterwards."""
    data = DRILLS.folder / "data"
    data.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=711", "tmpfs", str(data)], check=True)
    try:
        start_engine()
        yield DRILLS
    finally:
        end_engine()
        subprocess.run(["umount", "--lazy", str(data)], check=True)


def start_engine(spec: EngineSpec = DRILLS) -> None:
    """Start the engine from a process that ends, so that nobody has it for a child, and switch its own loopback on."""
    subprocess.run([sys.executable, "-m", "tests.faults.engine.laboratory", str(spec.starts_empty)], cwd=_ROOT, check=True)
    assert answers(DRILLS.environment)
    subprocess.run([*inside(), "ip", "link", "set", "lo", "up"], check=True)


def inside() -> tuple[str, ...]:
    """Give the words that start a program in the engine's own network."""
    return ("nsenter", f"--net=/proc/{DRILLS.pid_file.read_text().strip()}/ns/net")


def end_engine() -> None:
    """End the engine, however it is; what its containerd still runs goes with it."""
    stop(DRILLS)
    for pid in _remains():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_engine() -> None:
    """Kill the engine and all that it started, as a machine that loses its power does."""
    pid = int(DRILLS.pid_file.read_text())
    os.kill(pid, signal.SIGKILL)
    for remaining in _remains():
        with suppress(ProcessLookupError):
            os.kill(remaining, signal.SIGKILL)


def restart_engine() -> None:
    """End the engine in the middle of its work, and start it again on the same disk."""
    kill_engine()
    wait_until(lambda: not running(DRILLS))
    start_engine(EngineSpec(DRILLS.name, own_network=True))


def _remains() -> list[int]:
    """List the processes that belong to this engine's folder only: its containerd and what that supervises."""
    mark = str(DRILLS.folder).encode()
    return [pid for pid, words in processes() if mark in words and pid != os.getpid() and b"pytest" not in words]


def processes() -> Iterator[tuple[int, bytes]]:
    """List all processes with their arguments."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                yield int(folder.name), folder.joinpath("cmdline").read_bytes()


if __name__ == "__main__":
    start(EngineSpec(DRILLS.name, own_network=True, starts_empty=sys.argv[1] == "True"))
