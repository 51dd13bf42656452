"""Cells of which nothing has changed are built by one buildx; whatever comes of it, each is as if it had been built alone."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.docker.engine import connect
from orchestrator.tracing.names import SOURCE, STEP_OUTCOME
from orchestrator.tracing.otlp import load_lines
from tests.e2e.conftest import DOCKERFILE, TOOLS, Project, cells_of, move_base

if TYPE_CHECKING:
    import pytest

KINDS = ["a", "b", "c"]
SMOKE = [{"run": ["true"]}]


def builds_of(project: Project) -> set[int]:
    """Give how many builds each cell of the newest run was built beside, itself with it."""
    return {cell["build"]["jobs"] for cell in project.record()["cells"]}


def instructions_of(cell: dict[str, Any]) -> list[str]:
    """Give a cell's steps, in no order: the cache tells several of the same moment."""
    return sorted(step["instruction"] for step in cell["build"]["steps"])


def test_unchanged_cells_are_built_by_one_buildx_and_looked_into_and_tested_as_ever(placed: Project) -> None:
    """The same images, steps from the cache, a log and a trace of each; with one job, each is built alone."""
    placed.traced = True
    placed.write(axes={"kind": KINDS}, defaults={"smoke": SMOKE, "args": {"DO": "echo {kind}", "AT": str(time.time_ns())}})
    first = cells_of(placed.run())
    assert builds_of(placed) == {2}
    second = cells_of(placed.run())
    one_store = placed.place != "classic"  # which does not say what an image was the last time
    assert builds_of(placed) == ({len(KINDS)} if one_store else {2})
    for cell, found in second.items():
        assert found["image"] == first[cell]["image"]
        assert found["inputs"] == first[cell]["inputs"]
        assert instructions_of(found) == instructions_of(first[cell])
        # the same file may be copied for another test at this moment
        assert {step["outcome"] for step in found["build"]["steps"] if step["instruction"].startswith("RUN")} == {"cached"}
        assert found["smoke"]["checks"][0]["outcome"] == "passed"
        assert found["attempts"] == 1
        assert (placed.latest / "cells" / cell / "progress.jsonl").stat().st_size > 0
        shown = placed.matrix("trace", "latest", cell).stdout
        assert f'RUN eval "echo {cell}"' not in shown or "c    0.0" in shown
        assert "run true" in shown
    alone = cells_of(placed.run("--jobs", "1"))
    assert builds_of(placed) == {1}
    assert {cell: found["image"]["digest"] for cell, found in alone.items()} == {
        cell: found["image"]["digest"] for cell, found in first.items()
    }


def put_before(folder: Path, script: str) -> dict[str, str]:
    """Put a buildx before the real one; give the variables that lead to it."""
    folder.joinpath("docker-buildx").write_text(script)
    folder.joinpath("docker-buildx").chmod(0o755)
    folder.joinpath("config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(folder)]}))
    return {"DOCKER_CONFIG": str(folder)}


def counting_buildx(folder: Path) -> dict[str, str]:
    """Have a buildx that writes down what it is started for."""
    (real,) = connect().buildx_argv
    return put_before(folder, f'#!/bin/sh\necho "$1 $2" >> {folder}/started\nexec {real} "$@"\n')


def buildx_that_goes_on(folder: Path) -> dict[str, str]:
    """Have a buildx whose bake goes on when a target fails."""
    (real,) = connect().buildx_argv
    root = Path(__file__).parents[2]
    script = f"import sys; sys.path.insert(0, {str(root)!r})\nfrom tests.e2e.going_on import main\nmain({real!r})\n"
    return put_before(folder, f"#!{sys.executable}\n{script}")


def test_unchanged_cells_are_tested_in_as_many_builds_as_there_are_jobs(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where checks are steps of builds; the one that fails ends its build, and who comes after it has another."""
    kinds = ["a", "b", "c", "d"]
    check = 'read uptime rest < /proc/uptime; echo "$uptime"; cat /kind'
    project.write(
        axes={"kind": kinds},
        builder={"driver": "docker", "name": "matrix-tests", "smoke": "graph"},
        defaults={
            "args": {"DO": "echo {kind} > /kind", "AT": str(time.time_ns())},
            "smoke": [{"run": ["sh", "-c", check], "stdout": "\\n[a-d]\\n"}, {"run": ["sh", "-c", 'test "$(cat /kind)" != c']}],
        },
    )
    config = tmp_path_factory.mktemp("config")
    environment = counting_buildx(config)
    first = cells_of(project.run("--jobs", "2", exit_code=1, **environment))
    config.joinpath("started").unlink()
    second = cells_of(project.run("--jobs", "2", exit_code=1, **environment))
    assert builds_of(project) == {len(kinds)}
    started = config.joinpath("started").read_text().splitlines()
    assert started.count("bake --builder") == 1
    assert 2 <= started.count("build --builder") <= 3, "two rows of cells, and who comes after c in one of them"
    for kind, cell in second.items():
        assert {one["runner"] for one in cell["smoke"]["checks"]} == {"graph"}
        assert [one["outcome"] for one in cell["smoke"]["checks"]] == ["passed", "failed" if kind == "c" else "passed"]
        assert cell["image"] == first[kind]["image"]
        assert all(0 < one["duration_s"] < 5 for one in cell["smoke"]["checks"]), "its own, without those before it"
        assert kind in (project.latest / "cells" / kind / "smoke.log").read_text().split()


def test_where_more_is_to_be_done_than_there_are_jobs_each_cell_is_built_alone(project: Project) -> None:
    """A base that has moved makes all steps run; a failing one then ends its own cell and no other."""
    project.traced = True
    base = f"matrix-tests-moved:{time.time_ns()}"
    steps = f'{TOOLS}\nRUN sleep 3; eval "$DO"'
    text = DOCKERFILE.replace("FROM scratch\nCOPY busybox /bin/busybox\n", f"FROM {base}\n")
    lines = [line for line in text.splitlines() if not line.startswith("RUN")]
    project.folder.joinpath("Dockerfile").write_text("\n".join([*lines[:-1], steps, lines[-1]]) + "\n")
    tests = "if test {kind} = b && test -e /broken; then echo it is broken; exit 7; fi"
    project.write(axes={"kind": KINDS}, defaults={"smoke": SMOKE, "args": {"DO": tests}, "retries": 0})
    move_base(project, base)
    first = cells_of(project.run())
    move_base(project, base, "broken")
    found = cells_of(project.run(exit_code=1))
    (parted,) = [event for event in project.events() if event["kind"] == "group-parted"]
    assert sorted(parted["cells"]) == KINDS
    assert {cell: one["status"] for cell, one in found.items()} == {
        "a": "passed",
        "b": "build-failed",
        "c": "passed",
    }
    assert "exit 7: it is broken" in found["b"]["reason"]
    assert "it is broken" in (project.latest / "cells/b/build.log").read_text()
    assert builds_of(project) == {2}
    assert {one["attempts"] for one in found.values()} == {1}
    assert [event for event in project.events() if event["kind"] == "warning"] == []
    spans = load_lines((project.latest / "cells/b/trace.json").read_text())
    (failed,) = [span for span in spans if "exit code: 7" in span.status.message and span.name.startswith("[3/3]")]
    # a step that the group's build had begun, and that did not end with it, was joined
    assert (failed.attributes[SOURCE], failed.attributes[STEP_OUTCOME]) in {("buildkit", "executed"), ("progress", "joined")}
    assert found["a"]["image"]["digest"] != first["a"]["image"]["digest"]


def test_where_bake_goes_on_when_one_fails_the_others_are_what_it_made_of_them(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A base that has moved makes one of three fail: it alone is built by itself, and tells why."""
    base = f"matrix-tests-moved:{time.time_ns()}"
    tests = 'RUN if test "$KIND" = b && test -e /broken; then echo it is broken; exit 7; fi'
    project.folder.joinpath("Dockerfile").write_text(f"FROM {base}\n{TOOLS}\nARG KIND\n{tests}\n")
    project.write(axes={"kind": KINDS}, defaults={"smoke": SMOKE, "args": {"KIND": "{kind}"}, "retries": 0})
    environment = buildx_that_goes_on(tmp_path_factory.mktemp("config"))
    move_base(project, base)
    first = cells_of(project.run(exit_code=0, **environment))
    move_base(project, base, "broken")
    found = cells_of(project.run(exit_code=1, **environment))
    assert {cell: one["build"]["jobs"] for cell, one in found.items()} == {"a": len(KINDS), "b": 2, "c": len(KINDS)}
    assert [event["cells"] for event in project.events() if event["kind"] == "group-parted"] == [["b"]]
    assert {cell: one["status"] for cell, one in found.items()} == {"a": "passed", "b": "build-failed", "c": "passed"}
    assert "exit 7: it is broken" in found["b"]["reason"]
    for cell in ("a", "c"):
        assert found[cell]["image"]["digest"] != first[cell]["image"]["digest"]
        base_step, *steps = instructions_of(found[cell])
        assert base_step.startswith("FROM ")
        assert steps == instructions_of(first[cell])[1:]


def test_an_image_that_turns_out_to_be_another_is_read_and_tested(project: Project) -> None:
    """One step is run, which is no more than there are jobs: the group ends as it began, with another image in it.

    Its checks had been begun in the image that was expected: what they found is nobody's.
    """
    base = f"matrix-tests-moved:{time.time_ns()}"
    project.folder.joinpath("Dockerfile").write_text(f"FROM {base}\nARG OWN\nLABEL own=$OWN\n")
    project.write(
        axes={"kind": KINDS},
        builder={"driver": "docker", "name": "matrix-tests", "smoke": "graph"},
        defaults={"args": {"OWN": "{kind}"}, "smoke": [{"run": ["/bin/busybox", "test", "-e", "/more"]}]},
    )
    move_base(project, base)
    first = cells_of(project.run(exit_code=1))
    move_base(project, base, "more")
    second = cells_of(project.run())
    assert builds_of(project) == {len(KINDS)}
    for cell, found in second.items():
        assert found["image"]["digest"] != first[cell]["image"]["digest"]
        assert found["image"]["uncompressed_bytes"] > first[cell]["image"]["uncompressed_bytes"]
        assert (first[cell]["status"], found["status"]) == ("smoke-failed", "passed")
