"""An engine, a builder, buildx or its history that goes away in the middle of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import BUILDER_IMAGE
from tests.e2e.test_interrupts import finished
from tests.faults.engine.conftest import times
from tests.faults.engine.laboratory import kill_engine, processes, restart_engine, start_engine, wait_until
from tests.faults.engine.tally import Tally
from tests.faults.engine.whole import check_ended, check_files, outcomes
from tests.lab.engine import EngineSpec, running
from tests.lab.stock import BUILDER_ARCHIVE, load_builder_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Project

CELLS = list("abcd")
RUN = ("run", "--progress", "none", "--jobs", "2", "--format", "json")


def write_slow(project: Project, **parts: Any) -> None:
    """Write four cells of two seconds, no step in common."""
    steps = {cell: {"args": {"DO": f"sleep 2; echo {project.folder} {cell}"}} for cell in CELLS}
    project.write(axes={"kind": CELLS}, settings={"kind": steps}, defaults={"smoke": [{"run": ["true"]}]}, **parts)


def in_the_second_pair(project: Project) -> bool:
    """Tell whether some cells have ended, and the others are being built."""
    path = project.folder / "reports/latest/events.jsonl"
    return len(finished(project)) >= 1 and path.is_file() and path.read_text().count("RUN eval") >= 3


def strike(project: Project, blow: Callable[[Project], object], within_s: float = 180) -> tuple[int, dict[str, Any]]:
    """Start a run, strike in its middle, and give its exit code and its record."""
    process = project.start(*RUN)
    wait_until(lambda: in_the_second_pair(project) or process.poll() is not None, 120, "the middle of the run")
    before = finished(project)
    blow(project)
    out, err = process.communicate(timeout=within_s)
    assert "Traceback" not in err, err
    record = json.loads(out)
    for cell, result in before.items():
        assert outcomes(record)[cell] == (result["status"], None), "what was finished is harmed"
    check_files(project)
    return process.returncode, record


def say_how(code: int, record: dict[str, Any]) -> str:
    """Describe how a run ended: its exit code, and what became of the cells that were struck."""
    struck = [cell for cell in record["cells"] if cell["attempts"] > 1 or cell["status"] != "passed"]
    statuses = sorted({f"{cell['status']} at attempt {cell['attempts']}" for cell in struck})
    assert code == (4 if any(cell["status"] == "error" for cell in record["cells"]) else 0), (code, outcomes(record))
    assert {cell["status"] for cell in record["cells"]} <= {"passed", "error"}, outcomes(record)
    return f"exit {code}, {', '.join(statuses) or 'no cell noticed'}"


def finish(project: Project) -> None:
    """Go on with the run: everything is there in the end, and nothing else."""
    record = project.run("--resume", "latest")
    assert [(cell["id"], cell["status"]) for cell in record["cells"]] == [(cell, "passed") for cell in CELLS]
    check_files(project)
    check_ended(project)


@pytest.mark.whole
def test_an_engine_that_is_restarted_costs_no_result(fresh: Callable[[str], Project], drilled: EngineSpec) -> None:
    """Cells under way are tried again; what could not be done is done by --resume."""
    tally = Tally()
    for number in range(times(1, 10)):
        project = fresh(f"restart-{number}")
        write_slow(project)
        with tally.one():
            tally.seen[say_how(*strike(project, lambda _: restart_engine()))] += 1
            finish(project)
    tally.save("faults under way", "the engine is killed and started again")


@pytest.mark.whole
def test_an_engine_that_is_gone_for_good_ends_the_run_with_its_results(
    fresh: Callable[[str], Project], drilled: EngineSpec
) -> None:
    """The reason is the engine, the exit code is 4, and the results so far are reported."""
    tally = Tally()
    for number in range(times(1, 10)):
        project = fresh(f"gone-{number}")
        write_slow(project)
        with tally.one():
            code, record = strike(project, lambda _: kill_engine())
            assert code == 4
            lost = [cell["reason"] for cell in record["cells"] if cell["status"] == "error"]
            assert lost, "no cell noticed"
            tally.seen[f"exit 4, {len(lost)} cells in error"] += 1
            check_ended(project, engine=False)
        if not running(drilled):
            start_engine()
    tally.save("faults under way", "the engine is killed and stays away")


def kill_buildx(project: Project) -> None:
    """Kill the buildx of a build under way."""
    mark = str(project.folder).encode()
    for pid, words in processes():
        if mark in words and b"--metadata-file" in words and b"setpriv" not in words.split(b"\0")[0]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return
    pytest.fail("no buildx is there")


def test_a_buildx_that_is_killed_costs_no_result(fresh: Callable[[str], Project]) -> None:
    """It is no verdict on the Dockerfile: the cell is tried again."""
    tally = Tally()
    for number in range(times(1, 10)):
        project = fresh(f"buildx-{number}")
        write_slow(project)
        with tally.one():
            code, record = strike(project, kill_buildx)
            assert code == 0
            tally.seen[say_how(code, record)] += 1
            check_ended(project)
    tally.save("faults under way", "buildx is killed")


def forget_history(project: Project) -> None:
    """Remove what the builder remembers of its builds."""
    subprocess.run(
        ["docker", "buildx", "history", "rm", "--all"],
        env={**os.environ, **project.environment},
        capture_output=True,
        check=False,
    )


@pytest.mark.whole
def test_a_history_record_that_is_gone_costs_its_trace_only(fresh: Callable[[str], Project]) -> None:
    """It is said, and the run is judged as it would have been."""
    tally = Tally()
    for number in range(times(1, 10)):
        project = fresh(f"history-{number}")
        project.traced = True
        write_slow(project)
        with tally.one():
            code, record = strike(project, forget_history)
            assert (code, {cell["status"] for cell in record["cells"]}) == (0, {"passed"})
            warned = [event["text"] for event in project.events() if event["kind"] == "warning"]
            tally.seen[f"exit 0, all passed, {'said in a warning' if warned else 'not noticed'}"] += 1
            check_ended(project)
    tally.save("faults under way", "the builder's history is removed")


@pytest.fixture
def with_builder_image(drilled: EngineSpec) -> None:
    """Put the image of a builder in a container into the engine, where there is one."""
    if not load_builder_image(drilled.environment):
        pytest.skip(f"{BUILDER_IMAGE} is not to be had here; {BUILDER_ARCHIVE} names a file that has it")


@pytest.mark.whole
def test_a_builder_container_that_is_killed_costs_no_result(fresh: Callable[[str], Project], with_builder_image: None) -> None:
    """It is made anew, and the cells under way are tried again."""
    tally = Tally()
    for number in range(times(1, 10)):
        project = fresh(f"builder-{number}")
        project.place = "docker-container"
        write_slow(project)
        with tally.one():
            blow = ("kill", "rm --force")[number % 2].split()
            tally.seen[say_how(*strike(project, lambda it: it.docker(*blow, "buildx_buildkit_matrix-tests0")))] += 1  # noqa: B023  # called at once
            finish(project)
    project.docker("buildx", "rm", "--force", "matrix-tests")
    tally.save("faults under way", "the builder's container is killed, or removed")
