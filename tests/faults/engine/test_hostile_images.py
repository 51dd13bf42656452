"""Builds and images that mean harm: time and memory are bounded, the reason is named, nothing is left."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.engine.conftest import times
from tests.faults.engine.laboratory import DRILLS, processes, while_running
from tests.faults.engine.tally import Tally
from tests.faults.engine.whole import check_ended, check_files

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.e2e.conftest import Project

MOST_KIB = 300 * 1024
LOUD: dict[str, tuple[str, str | tuple[str, ...], str]] = {
    "a build that never ends": ("sleep 1000", "timeout", "still running after 6 s"),
    "a build that prints 1 GB": ("yes 'all work and no play' | head -c 1000000000; exit 9", ("build-failed", "timeout"), ""),
    "a build that prints a line of 100 MB": ("head -c 100000000 /dev/zero | tr '\\\\0' x; exit 9", "build-failed", "exit 9"),
    "a build that prints bytes that are no text": ("head -c 3000000 /dev/urandom; exit 9", "build-failed", "exit 9"),
    "a build that prints terminal escapes": (
        r"for i in $(seq 20000); do printf '\033[2J\033]0;owned\007\033[31mred\r\n\342\200\256'; done; exit 9",
        "build-failed",
        "exit 9",
    ),
}
FOREVER = "trap '' TERM INT HUP; while true; do sleep 1; done"
GREEDY: dict[str, tuple[dict[str, Any], str | tuple[str, ...], str]] = {
    "a container that forks without end": ({"run": ["sh", "-c", "f() { f | f & }; f; sleep 100"]}, ("timeout", "smoke-failed"), ""),
    "a container that eats memory": ({"run": ["sh", "-c", "tail /dev/zero"], "memory": "64MiB"}, "smoke-failed", "out of memory"),
    "a container that fills its disk": ({"run": ["sh", "-c", "cat /dev/zero > /tmp/full"]}, "smoke-failed", "No space left"),
    "a container that ignores SIGTERM": (
        {"run": ["sh", "-c", FOREVER]},
        "timeout",
        "",
    ),
    "a container that leaves children": (
        {"run": ["sh", "-c", "for i in $(seq 50); do setsid sh -c 'trap \"\" TERM; sleep 500' & done; exit 3"]},
        "smoke-failed",
        "exit 3",
    ),
    "a container that computes without end": (
        {"run": ["sh", "-c", "yes > /dev/null & yes > /dev/null & yes > /dev/null"]},
        "timeout",
        "",
    ),
    "a container that prints without end": ({"run": ["yes", "x" * 1000]}, "timeout", ""),
}


def peak_kib(process: subprocess.Popen[str]) -> int:
    """Wait for a run to end, and give the most memory that it took."""
    peak = 0
    status = Path(f"/proc/{process.pid}/status")
    for _ in while_running(process, 0.05, 120):
        with suppress(OSError, StopIteration):
            peak = max(peak, int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]))
    return peak


def shims() -> list[bytes]:
    """List what supervises containers of the engine that drills may break: one for each that runs."""
    mark = str(DRILLS.folder).encode()
    return [words for _, words in processes() if b"containerd-shim" in words and mark in words]


def check_bounded(project: Project, status: str | tuple[str, ...], reason: str) -> tuple[str, str]:
    """Run a cell that means harm beside one that does not; give how it ended, and what it took."""
    began = time.monotonic()
    with project.folder.joinpath("said").open("w+") as said:
        process = project.start("run", "--progress", "plain", "--jobs", "2", "--out", "result.txt")
        (stdout, stderr) = (process.stdout, process.stderr)
        assert stdout is not None
        assert stderr is not None
        peak = peak_kib(process)
        said.write(stdout.read() + stderr.read())
        stdout.close()
        stderr.close()
        said.seek(0)
        text = said.read()
    took_s = time.monotonic() - began
    assert process.returncode == 1, text[-2000:]
    assert not {"\x1b", "\u202e", "\x07"} & set(text), "the terminal could be rewritten"
    harmful, other = project.record()["cells"]
    assert (other["id"], other["status"]) == ("other", "passed")
    assert harmful["status"] in ((status,) if isinstance(status, str) else status), harmful["reason"]
    assert reason in harmful["reason"], harmful["reason"]
    assert peak < MOST_KIB, f"matrix took {peak} KiB"
    assert took_s < 60, f"it took {took_s:.0f} s"
    check_files(project)
    check_ended(project)
    assert shims() == []
    assert project.docker("ps", "--all", "--quiet") == ""
    return harmful["status"], f"{peak / 1024:.0f} MiB"


@pytest.mark.whole
@pytest.mark.parametrize("kind", LOUD)
def test_a_build_that_means_harm_is_bounded(kind: str, fresh: Callable[[str], Project]) -> None:
    """It ends in time, and neither memory nor the terminal suffers."""
    step, status, reason = LOUD[kind]
    tally, peaks = Tally(), []
    for number in range(times(1, 5)):
        with tally.one():
            project = fresh(f"loud-{number}")
            harmful = {"args": {"DO": f": {number}; {step}"}, "timeout": {"build": "6s" if status == "timeout" else "30s"}}
            project.write(axes={"kind": ["harmful", "other"]}, settings={"kind": {"harmful": harmful}})
            ended, peak = check_bounded(project, status, reason)
            tally.seen[ended] += 1
            peaks.append(peak)
    tally.save("hostile builds and images", kind, f"{tally.words()}; at most {max(peaks, default='unknown')} of memory")


CHILDREN = "a container that leaves children"


@pytest.mark.parametrize("kind", [*(pytest.param(kind, marks=pytest.mark.whole) for kind in GREEDY if kind != CHILDREN), CHILDREN])
def test_an_image_that_means_harm_is_bounded(kind: str, fresh: Callable[[str], Project]) -> None:
    """Its container ends in time with all that it started, and takes what it was given and no more."""
    check, status, reason = GREEDY[kind]
    tally, peaks = Tally(), []
    for number in range(times(1, 5)):
        with tally.one():
            project = fresh(f"greedy-{number}")
            project.write(
                axes={"kind": ["harmful", "other"]},
                settings={"kind": {"harmful": {"smoke": [{"timeout": "3s", **check}]}, "other": {"smoke": [{"run": ["true"]}]}}},
            )
            ended, peak = check_bounded(project, status, reason)
            tally.seen[ended] += 1
            peaks.append(peak)
    tally.save("hostile builds and images", kind, f"{tally.words()}; at most {max(peaks, default='unknown')} of memory")
