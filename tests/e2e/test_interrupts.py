"""A run that is killed, interrupted or cut short keeps what it has paid for, and leaves nothing running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from orchestrator import __version__
from tests.e2e.conftest import Project, cells_of, events_so_far, wait_for
from tests.e2e.test_run import leftovers

CELLS = list("abcd")
ONLY_TOGETHER = (  # what is known of all cells of a run together only
    *(("image", name) for name in ("unique_bytes", "unique_compressed_bytes")),
    *(("build", name) for name in ("own_s", "shared_s", "alone_s")),
)


def write_slow_cells(project: Project, **parts: Any) -> None:
    """Write four cells of a second each, no step in common, whatever the cache holds."""
    slow = {cell: {"args": {"DO": f"sleep 1; echo {project.folder} {cell}"}} for cell in CELLS}
    project.write(axes={"kind": CELLS}, settings={"kind": slow}, defaults={"smoke": [{"run": ["echo", "hi"]}]}, **parts)


def finished(project: Project) -> dict[str, dict[str, Any]]:
    """Give the results that are on disk, by cell."""
    found = {}
    for path in project.folder.glob("reports/runs/*/cells/*/result.json"):
        record = json.loads(path.read_bytes())
        found[record["id"]] = record
    return found


def children_left(project: Project) -> str:
    """List processes that still work for a project."""
    return subprocess.run(["pgrep", "-af", str(project.folder)], capture_output=True, text=True, check=False).stdout


def is_testing(project: Project) -> bool:
    """Tell whether a container of the project's own run is there."""
    words = ["ps", "-q", "--filter", f"label=io.matrix.run={project.latest.name}"]
    return project.latest.joinpath("run.json").is_file() and bool(project.docker(*words).strip())


def test_a_run_killed_in_the_middle_goes_on_with_the_rest(project: Project) -> None:
    """No finished cell is built again, and the record has every cell once."""
    write_slow_cells(project)
    process = project.start("run", "--progress", "none", "--jobs", "2")
    wait_for(lambda: len(finished(project)) >= 2, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = finished(project)
    assert 2 <= len(before) < len(CELLS)
    interim = json.loads(project.matrix("report", "--format", "json").stdout)
    assert interim["interrupted"]
    assert set(cells_of(interim)) == set(before)
    record = project.run("--resume", "latest")
    assert [cell["id"] for cell in record["cells"]] == CELLS
    assert record["complete"]
    assert not record["interrupted"]
    assert {cell["status"] for cell in record["cells"]} == {"passed"}
    for cell, result in before.items():
        found = cells_of(record)[cell]
        for part, name in ONLY_TOGETHER:
            assert result[part].pop(name) is None
            assert found[part].pop(name) is not None
        for step in (*result["build"]["steps"], *found["build"]["steps"]):
            del step["outcome"], step["ran_in"]  # who ran a step that cells share is known together only, too
        assert found == result, "a finished cell is as it was"
    starts = [event["cell"] for event in project.events() if event["kind"] == "cell-started"]
    assert all(starts.count(cell) == 1 for cell in before)
    assert leftovers(project) == []
    assert children_left(project) == ""


def test_an_interruption_cancels_the_cells_under_way_and_reports_the_others(project: Project) -> None:
    """The first Ctrl-C is enough: exit 130, a partial report, nothing left behind."""
    write_slow_cells(project)
    process = project.start("run", "--progress", "plain", "--jobs", "2")
    wait_for(lambda: len(finished(project)) >= 1, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "cancelling the cells under way" in err
    assert "--resume" in err
    assert "INCOMPLETE" in out
    record = project.record()
    assert record["interrupted"]
    assert not record["complete"]
    assert set(cells_of(record)) == set(finished(project))
    assert project.latest.joinpath("report.md").is_file()
    assert leftovers(project) == []
    assert children_left(project) == ""
    assert len(project.run("--resume", "latest")["cells"]) == len(CELLS)


def test_an_interrupted_measurement_is_no_success(project: Project) -> None:
    """Exit 130: the samples that were taken are kept, their number is true, and the words say how to have the rest."""
    project.write(defaults={"args": {"DO": f"sleep 1; echo {project.folder}"}})
    process = project.start("run", "--progress", "plain", "--measure", "100")
    taken = "cells/one/samples/0002-cold/build.log"
    wait_for(lambda: project.folder.joinpath("reports/latest", taken).is_file(), process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    record = project.record()
    assert (record["interrupted"], record["complete"]) == (True, True)
    how, build = record["measurement"], record["cells"][0]["build"]
    samples = [*build["samples_s"], *how["noise"][0]["b_s"]]
    assert 1 <= len(samples) < 100
    assert how["rounds"] == len(build["samples_s"])
    again = f"`matrix run --resume {record['id']} --measure 100 --scenario cold` takes all of them anew"
    assert how["warnings"][0] == f"the measurement was interrupted after {len(samples)} of 200 samples: {again}"
    assert again in err
    assert err.endswith(f"interrupted; {again.replace('all of them', 'all samples')}\n")
    assert "the measurement was interrupted" in " ".join(out.split())
    assert build == finished(project)["one"]["build"] | {name: build[name] for part, name in ONLY_TOGETHER if part == "build"}
    assert leftovers(project) == []
    assert project.run("--resume", "latest")["cells"][0]["build"]["samples_s"] == build["samples_s"]
    resumed = project.run("--resume", "latest", "--measure", "1")
    assert (resumed["interrupted"], resumed["measurement"]["rounds"]) == (False, 1)
    assert len(resumed["cells"][0]["build"]["samples_s"]) == 1


def test_a_terminated_smoke_container_is_removed(project: Project) -> None:
    """A job that is stopped from outside leaves no container behind."""
    project.write(defaults={"smoke": [{"run": ["sleep", "100"]}]})
    process = project.start("run", "--progress", "none")
    wait_for(lambda: is_testing(project), process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert leftovers(project) == []


def test_a_run_of_another_machine_cannot_be_resumed(project: Project) -> None:
    """One record would hold figures of two machines; the field that differs is named."""
    project.write()
    project.run()
    path = project.latest / "run.json"
    record = json.loads(path.read_bytes())
    record["environment"] |= {"cpus": 64, "platform": "linux/riscv64"}
    path.write_text(json.dumps(record))
    refused = project.matrix("run", "--resume", "latest", exit_code=2).stderr
    assert "was begun with another machine or other tools (CPUs: 64 → " in refused
    assert "platform: linux/riscv64 → " in refused
    assert json.loads(path.read_bytes()) == record


def test_a_changed_matrix_cannot_be_resumed(project: Project) -> None:
    """Two plans in one record would compare what is not alike."""
    project.write()
    project.run()
    project.write(name="other")
    assert "has changed since run" in project.matrix("run", "--resume", "latest", exit_code=2).stderr


def test_clean_leaves_a_run_under_way_alone(project: Project) -> None:
    """Its containers, images and builder are still needed."""
    project.write(defaults={"smoke": [{"run": ["sleep", "5"]}]})
    process = project.start("run", "--progress", "none", "--format", "json")
    wait_for(lambda: is_testing(project), process)
    assert "left alone: run" in project.matrix("clean").stdout
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["cells"][0]["status"] == "passed"


@pytest.mark.builder_image
def test_a_builder_that_goes_away_is_made_anew_and_its_cells_tried_again(project: Project) -> None:
    """It is no verdict on the Dockerfile."""
    name = f"matrix-tests-away-{os.getpid()}"  # nobody else's: the others would miss it
    write_slow_cells(project, builder={"driver": "docker-container", "name": name})
    process = project.start("run", "--progress", "none", "--jobs", "2", "--format", "json")
    wait_for(lambda: any(event["kind"] == "cell-step" and "eval" in event["step"] for event in events_so_far(project)), process)
    project.docker("rm", "--force", f"buildx_buildkit_{name}0")
    out, err = process.communicate(timeout=120)
    project.docker("buildx", "rm", "--force", name)
    assert process.returncode == 0, err
    cells = json.loads(out)["cells"]
    assert {cell["status"] for cell in cells} == {"passed"}
    assert max(cell["attempts"] for cell in cells) > 1


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interruption_when_all_is_done_changes_no_exit_code(name: str) -> None:
    """A run that has ended well is not told to have been killed while Python itself still ends."""
    late = f"atexit.register(lambda: os.kill(os.getpid(), signal.{name}))"  # what is registered first comes last
    code = f"import atexit, os, signal\n{late}\nfrom orchestrator.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"matrix {__version__}\n", "")
