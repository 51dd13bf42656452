"""A run that is killed, interrupted, or loses its terminal at any moment goes on where it was, and nothing of it still runs."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import random
import select
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import MATRIX, Project
from tests.e2e.test_interrupts import finished
from tests.e2e.test_run import leftovers
from tests.faults.engine.conftest import times
from tests.faults.engine.laboratory import processes, wait_until
from tests.faults.engine.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20261121
KINDS = "abcd" if os.environ.get("DRILLS") else "ad"
CELLS = [f"{kind}-{size}" for kind in KINDS for size in ("small", "middle", "large")]
WORDS = ("run", "--progress", "none", "--jobs", "3", "--no-trace")
HOW = ("SIGKILL", "SIGTERM", "SIGINT", "hang-up")
WORDS_OF = dict(zip(HOW, ("killed", "told to end (SIGTERM)", "interrupted (SIGINT)", "its terminal closed"), strict=True))


def write_twelve(project: Project) -> None:
    """Write twelve cells: some slow to build, some slow to test, one that does not build, one that does not start."""
    steps = {"a": "sleep 0.3", "b": "seq 5000", "c": "true", "d": "exit 3"}
    checks: dict[str, list[dict[str, Any]]] = {
        "small": [{"run": ["echo", "hi"]}],
        "middle": [{"run": ["sleep", "0.5"]}],
        "large": [{"run": ["sh", "-c", "exit 7"]}],
    }
    project.write(
        axes={"kind": list(KINDS), "size": list(checks)},
        settings={
            "kind": {kind: {"args": {"DO": step}} for kind, step in steps.items() if kind in KINDS},
            "size": {size: {"smoke": found, "labels": {"size": size}} for size, found in checks.items()},
        },
    )


def without_times(value: Any) -> Any:
    """Leave out what a clock, or a random number, says: times, ids, digests of images made at another second."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if not is_of_a_clock(key)}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def is_of_a_clock(key: str) -> bool:
    """Tell whether a figure is of a moment, or follows from one; so do attempts: the engine may tidy up under a build."""
    timed = key.endswith(("_s", "_at", "_digest")) or "compressed" in key or key in {"digest", "trace_id", "attempts"}
    return timed or key in {"cached_steps", "total_steps", "steps", "usage"}


def facts(record: dict[str, Any]) -> dict[str, Any]:
    """Give all that two runs of the same must agree in."""
    cells = [without_times(cell) for cell in record["cells"]]
    for cell, whole in zip(cells, record["cells"], strict=True):
        if whole["image"]:
            cell["layers"] = [(layer["instruction"], layer["uncompressed_bytes"]) for layer in whole["image"]["layers"]]
        if whole["build"]:
            cell["steps"] = sorted({step["name"] for step in whole["build"]["steps"]})  # what cells share may be listed twice
    return {name: record[name] for name in ("name", "complete", "interrupted", "claims", "gates")} | {"cells": cells}


def flat(value: Any, at: str = "") -> dict[str, Any]:
    """Lay a record out as paths and values, so that a difference is named."""
    if isinstance(value, dict):
        return {path: leaf for key, item in value.items() for path, leaf in flat(item, f"{at}.{key}").items()}
    if isinstance(value, list):
        return {path: leaf for number, item in enumerate(value) for path, leaf in flat(item, f"{at}[{number}]").items()}
    return {at: value}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Name all in which two records differ."""
    left, right = flat(one), flat(other)
    return [
        f"{path}: {left.get(path)!r} is not {right.get(path)!r}" for path in {**left, **right} if left.get(path) != right.get(path)
    ]


def still_running(project: Project) -> list[str]:
    """List processes that work for a project, and locks that somebody holds."""
    mark = str(project.folder).encode()
    found = [words.replace(b"\0", b" ").decode() for pid, words in processes() if mark in words and pid != os.getpid()]
    for path in project.folder.glob("cache/locks/*"):
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(f"lock {path.name}")
    return found


def on_a_terminal(project: Project) -> tuple[int, int]:
    """Start a run that has a terminal of its own; give its process and the other end of the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project.folder)
        os.execve(MATRIX, [MATRIX, *WORDS[:1], *WORDS[3:]], {**os.environ, **project.environment})  # noqa: S606
    return pid, terminal


def stop_at(project: Project, how: str, moment_s: float) -> int | None:
    """Start a run, stop it after that time, and give its exit code, or None when it was killed."""
    if how == "hang-up":
        pid, terminal = on_a_terminal(project)
        until = time.monotonic() + moment_s
        while (left_s := until - time.monotonic()) > 0 and select.select([terminal], [], [], left_s)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:  # the run has ended before its time
                break
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
    process = project.start(*WORDS)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=moment_s)
        return process.returncode
    process.send_signal(signal.Signals[how])
    process.communicate(timeout=60)
    return process.returncode


def resume(project: Project) -> dict[str, Any]:
    """Go on with the run, or begin anew where it was stopped before there was one."""
    words = ["--resume", "latest"] if project.folder.joinpath("reports/latest/run.json").is_file() else []
    return project.run("--jobs", "3", *words, exit_code=1)


def drill(project: Project, how: str, moment_s: float, undisturbed: dict[str, Any]) -> int:
    """Stop one run at one moment, and go on with it; give how many cells had been finished."""
    code = stop_at(project, how, moment_s)
    before = finished(project)
    if how != "SIGKILL":
        was_over = code == 1 and len(before) == len(CELLS)
        early = code is not None and code < 0 and not project.folder.joinpath("reports").exists()
        assert was_over or code == 130 or early, f"exit {code} after {how} at {moment_s:.2f} s with {len(before)} cells"
    record = resume(project)
    assert [cell["id"] for cell in record["cells"]] == CELLS
    assert differences(facts(record), undisturbed) == []
    if before:
        starts = [event["cell"] for event in project.events() if event["kind"] == "cell-started"]
        assert all(starts.count(cell) == 1 for cell in before), "a finished cell was built again"
    wait_until(lambda: not still_running(project), 10, f"an end of {still_running(project)}")
    assert leftovers(project) == []
    assert json.loads(project.latest.joinpath("run.json").read_bytes()) == record
    assert [path.name for path in project.latest.rglob(".*")] == [], "a half-written file is left"
    assert [path.name for path in (project.folder / "passing").iterdir()] == [], "passing files are left"
    return len(before)


@pytest.mark.parametrize("how", [*(pytest.param(how, marks=pytest.mark.whole) for how in HOW[:-1]), HOW[-1]])
def test_a_run_stopped_at_any_moment_goes_on_and_ends_as_if_nothing_had_been(how: str, fresh: Callable[[str], Project]) -> None:
    """Every cell once, none built twice, nothing left running; the moments are random and their seed is recorded."""
    project = fresh("undisturbed")
    write_twelve(project)
    began = time.monotonic()
    undisturbed = facts(project.run("--jobs", "3", exit_code=1))
    took_s = time.monotonic() - began
    moments = random.Random(f"{SEED}-{how}")  # noqa: S311  # a drill that can be repeated
    tally = Tally()
    for number in range(times(1, 100 if how == "SIGKILL" else 20)):
        project.docker("buildx", "prune", "--force", "--all")
        stopped = fresh(f"{how}-{number}")
        write_twelve(stopped)
        moment_s = moments.uniform(0.15, took_s * 1.1)
        with tally.one(f"{moment_s:.2f} s"):
            tally.seen[str(drill(stopped, how, moment_s, undisturbed))] += 1
    kept = sorted(map(int, tally.seen))
    seen = f"{kept[0]} to {kept[-1]} of 12 cells were finished by then, and none of them was built again" if kept else "nothing"
    tally.save("kill and resume", f"12 cells, {WORDS_OF[how]} at a random moment (seed {SEED})", seen)
