"""An engine or a builder that is not reached over a socket of this machine, and what becomes of a run when the line breaks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import cells_of, events_so_far, name_for, wait_for
from tests.e2e.lines import line_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Project
    from tests.e2e.lines import Line

CELLS = ["a", "b", "c", "d"]


@pytest.mark.answering
def test_an_engine_that_is_reached_over_tcp(project: Project) -> None:
    """Images are built and checked there as here; what is told of this machine is not told of that one."""
    smoke = [
        {"run": ["sh", "-c", "cat; echo out; echo err >&2"], "stdout": "^out$"},
        {"run": ["sh", "-c", "exit 3"], "exit": 3},
        {"run": ["sleep", "100"], "timeout": "1s"},
    ]
    project.write(defaults={"smoke": smoke})
    with line_to(os.environ["DOCKER_HOST"]) as line:
        record = project.run(exit_code=1, DOCKER_HOST=line.address)
    (cell,) = cells_of(record).values()
    assert [check["outcome"] for check in cell["smoke"]["checks"]] == ["passed", "passed", "timeout"]
    assert record["environment"]["cpu"] is None
    assert project.docker("ps", "--all", "--quiet", "--filter", f"label=io.matrix.run={record['id']}") == ""


@pytest.fixture
def line(daemon: str) -> Iterator[Line]:
    """Give a line to a builder, and forget the builder that buildx knows by it."""
    with line_to(daemon) as line:
        yield line
    forget_builder(line.address)


def forget_builder(address: str) -> None:
    """Forget what buildx knows of an address."""
    subprocess.run(["docker", "buildx", "rm", "--force", name_for(address)], capture_output=True, check=False)


def write_slow_cells(project: Project, line: Line) -> None:
    """Write four cells of two seconds each, on the builder at the end of a line."""
    project.endpoint = line.address
    slow = {cell: {"args": {"DO": f"sleep 2; echo {project.folder} {cell}"}} for cell in CELLS}
    project.write(
        axes={"cell": CELLS},
        builder={"driver": "remote", "endpoint": line.address, "name": name_for(line.address)},
        defaults={"smoke": [{"run": ["true"]}]},
        settings={"cell": slow},
    )


def start(project: Project) -> subprocess.Popen[str]:
    """Start a run, and give it when one cell has ended and another is in its step."""
    process = project.start("run", "--progress", "none", "--jobs", "2")

    def is_under_way() -> bool:
        events = events_so_far(project)
        ended = {event["cell"] for event in events if event["kind"] == "cell-finished"}
        steps = [event for event in events if event["kind"] == "cell-step" and "eval" in event["step"]]
        return bool(ended) and any(event["cell"] not in ended for event in steps)

    wait_for(is_under_way, process)
    return process


@pytest.mark.remote
def test_a_builder_that_stays_away_is_named_and_its_run_goes_on_later(project: Project, line: Line) -> None:
    """What has ended is kept; nothing is called a Dockerfile's fault."""
    write_slow_cells(project, line)
    process = start(project)
    line.cut()
    _, err = process.communicate(timeout=240)
    assert process.returncode == 4, err
    ended = [cell for cell in project.record()["cells"] if cell["status"] == "passed"]
    lost = [cell for cell in project.record()["cells"] if cell["status"] != "passed"]
    assert ended
    assert {cell["status"] for cell in lost} == {"error"}
    assert all(line.address.removeprefix("tcp://") in cell["reason"] for cell in lost), [cell["reason"] for cell in lost]
    line.mend()
    resumed = cells_of(project.run("--resume", "latest"))
    assert {cell["status"] for cell in resumed.values()} == {"passed"}
    assert all(resumed[cell["id"]]["build"]["started_at"] == cell["build"]["started_at"] for cell in ended), "not built again"


@pytest.mark.remote
def test_a_builder_that_comes_back_is_waited_for(project: Project, line: Line) -> None:
    """Its cells are tried again, and pass."""
    write_slow_cells(project, line)
    process = start(project)
    line.cut()
    wait_for(lambda: any(event["kind"] == "cell-retried" for event in project.events()), process)
    line.mend()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    cells = project.record()["cells"]
    assert {cell["status"] for cell in cells} == {"passed"}
    assert max(cell["attempts"] for cell in cells) > 1


@pytest.mark.remote
def test_an_interruption_does_not_wait_for_a_builder_that_is_away(project: Project, line: Line) -> None:
    """The first Ctrl-C ends the run, with what is known."""
    write_slow_cells(project, line)
    process = start(project)
    line.cut()
    wait_for(lambda: any(event["kind"] == "cell-retried" for event in project.events()), process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert project.record()["interrupted"]


def test_an_interruption_does_not_wait_for_a_builder_that_never_answers(project: Project) -> None:
    """There is no run yet, and no process is left that still waits."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        project.write(builder={"driver": "remote", "endpoint": address, "name": name_for(address)})
        process = project.start("run", "--progress", "none")
        silent.settimeout(60)
        with silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
    left = subprocess.run(["pgrep", "-af", name_for(address)], capture_output=True, text=True, check=False).stdout
    forget_builder(address)
    assert process.returncode == 130, err
    assert not project.latest.exists()
    assert left == ""


@pytest.mark.remote
def test_a_cell_is_built_by_the_node_for_its_platform(project: Project, line: Line, daemon: str) -> None:
    """Of two nodes each gets its own cells; that a node plays another machine cannot be known where its platforms were told."""
    project.folder.joinpath("Dockerfile").write_text("FROM scratch\nARG CELL\nCOPY busybox /bin/busybox\nLABEL cell=$CELL\n")
    with line_to(daemon) as other:
        nodes: list[dict[str, Any]] = [{"endpoint": other.address, "platforms": ["linux/riscv64"]}]
        builder = {"driver": "remote", "endpoint": line.address, "name": name_for(line.address), "platforms": ["linux/amd64"]}
        project.write(
            axes={"platform": ["linux/amd64", "linux/riscv64"]},
            builder={**builder, "nodes": nodes},
            defaults={"platform": "{platform}", "args": {"CELL": str(project.folder)}},
        )
        project.matrix("bootstrap")
        before = (line.carried, other.carried)
        (first,) = project.run("--only", "platform=linux/riscv64")["cells"]
        by_other = other.carried - before[1]
        assert by_other > project.folder.joinpath("busybox").stat().st_size / 2 > line.carried - before[0], "its context went there"
        assert (first["build"]["platform"], first["build"]["emulated"]) == ("linux/riscv64", None)
        both = project.run()["cells"]
        assert [cell["build"]["platform"] for cell in both] == ["linux/amd64", "linux/riscv64"]
        other.cut()
        done = project.matrix("run", "--progress", "plain", "--only", "platform=linux/amd64")
        assert f"nothing answers at {other.address}, which no cell needs" in done.stderr
        project.matrix("run", "--progress", "none", exit_code=4)
