"""`matrix run --measure`: one build at a time, each sample with all its work, and the user's files as they were."""

from __future__ import annotations

import os
import subprocess
import time
from math import inf
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import TOOLS, Project, cells_of

if TYPE_CHECKING:
    from typing import Any

SLEEPS = {"short": "0.1", "middle": "1.6", "long": "3.1"}  # apart by more than a busy machine adds
DOCKERFILE = f"""\
FROM scratch
COPY busybox /bin/busybox
{TOOLS}
ARG STAMP SECONDS
RUN --mount=type=cache,id=${{STAMP}}-${{SECONDS}},target=/cache test ! -e /cache/seen && touch /cache/seen && sleep "$SECONDS"
"""
LAYERED = f"""\
FROM scratch
COPY busybox /bin/busybox
{TOOLS}
ARG REQUIREMENTS
COPY ${{REQUIREMENTS}} /requirements.txt
RUN sleep 3
COPY app.py /app.py
RUN sleep 2
"""


def write_cells_that_sleep(project: Project) -> None:
    """Write three cells that differ in how long one step takes, which fails when it finds what another left behind."""
    project.folder.joinpath("Dockerfile").write_text(DOCKERFILE)
    project.write(
        axes={"kind": list(SLEEPS)},
        defaults={"args": {"STAMP": str(time.time_ns())}},
        settings={"kind": {name: {"args": {"SECONDS": seconds}} for name, seconds in SLEEPS.items()}},
    )


def plain_loop(project: Project) -> list[str]:
    """Build the cells one after another, from nothing, three times; give them by the least time that they took."""
    times: dict[str, float] = {}
    for name, seconds in [*SLEEPS.items()] * 3:
        words = ["docker", "buildx", "build", "--builder", "default", "--no-cache", "--output", "type=cacheonly"]
        words += ["--build-arg", f"SECONDS={seconds}", "--build-arg", f"BUILDKIT_CACHE_MOUNT_NS={time.time_ns()}"]
        began = time.monotonic()
        subprocess.run([*words, str(project.folder)], env={**os.environ, **project.environment}, capture_output=True, check=True)
        times[name] = min(times.get(name, inf), time.monotonic() - began)
    return sorted(times, key=lambda name: times[name])


def scenarios_of(cell: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give what was measured of a cell."""
    return {scenario["name"]: scenario for scenario in cell["build"]["scenarios"]}


@pytest.mark.long
def test_samples_do_all_their_work_and_rank_as_a_plain_loop_does(project: Project, classic_engine: dict[str, str]) -> None:
    """No step cache and no other sample's cache mount; what is cached takes only what a start takes.

    On the engine that starts empty: where cache mounts are removed, an engine forgets the steps of all builds.
    """
    write_cells_that_sleep(project)
    project.environment = {**classic_engine, "MATRIX_CACHE_DIR": str(project.folder / "cache")}
    record = project.run("--jobs", "1", "--measure", "3", "--scenario", "cold", "--scenario", "cached")
    cells = cells_of(record)
    medians = {}
    for name, seconds in SLEEPS.items():
        build = cells[name]["build"]
        found = scenarios_of(cells[name])
        assert build["timing"] == "isolated"
        assert [len(one["samples_s"]) for one in found.values()] == [3, 3]
        assert (build["samples_s"], build["median_s"]) == (found["cold"]["samples_s"], found["cold"]["median_s"])
        assert min(found["cold"]["samples_s"]) > float(seconds)
        medians[name] = found["cold"]["median_s"]
    assert scenarios_of(cells["long"])["cached"]["median_s"] < medians["long"]
    assert sorted(medians, key=lambda name: medians[name]) == plain_loop(project)
    how = record["measurement"]
    assert (how["rounds"], how["control"]) == (3, "short")
    assert [(noise["scenario"], len(noise["a_s"]), len(noise["b_s"])) for noise in how["noise"]] == [
        ("cold", 3, 3),
        ("cached", 3, 3),
    ]
    assert any("3 samples a cell" in warning for warning in how["warnings"])
    logs = list(project.latest.glob("cells/long/samples/*-cold/build.log"))
    assert len(logs) == 3
    left = project.docker("buildx", "du", "--builder", "default", "--verbose", "--filter", "description~=matrix-sample-")
    assert record["id"].lower() not in left
    shown = project.matrix("report", "latest").stdout
    assert "timing: isolated" in shown
    assert "measured as if it were two cells" in shown
    assert list((project.folder / "cache" / "images").iterdir()) == []
    again = project.run("--skip-unchanged")
    assert {cell["carried_from"] for cell in again["cells"]} == {record["id"]}
    assert again["measurement"] == how
    assert project.run("--resume", record["id"], "--skip-unchanged")["measurement"] == how


@pytest.mark.long
def test_a_changed_source_and_a_changed_requirement_are_told_apart(placed: Project) -> None:
    """What comes after the change is built again, what comes before it is not; the user's files are not touched."""
    placed.folder.joinpath("Dockerfile").write_text(LAYERED)
    placed.folder.joinpath("app.py").write_text("print(1)\n")
    placed.folder.joinpath("requirements.txt").write_text("a==1\n")
    placed.write(defaults={"source": "app.py", "requirements": "requirements.txt"})
    words = [word for name in ("cached", "code", "deps") for word in ("--scenario", name)]
    found = scenarios_of(placed.run("--measure", "1", *words, "--no-smoke")["cells"][0])
    cached, code, deps = (found[name]["median_s"] for name in ("cached", "code", "deps"))
    assert code - cached > 0.4
    assert deps - code > 0.4
    assert placed.folder.joinpath("app.py").read_text() == "print(1)\n"
    assert placed.folder.joinpath("requirements.txt").read_text() == "a==1\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--measure", "3", "--scenario", "warm"], "--scenario 'warm' is not one of cold, cached, code, deps"),
        (["--scenario", "cold"], "give --measure N too"),
        (["--measure", "3", "--scenario", "code"], "the setting 'source' names"),
        (["--measure", "0"], "--measure"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_built(project: Project, words: list[str], said: str) -> None:
    """With what to write instead."""
    project.write()
    assert said in " ".join(project.matrix("run", *words, exit_code=2).stderr.split())
    assert not project.folder.joinpath("reports").exists()
