"""Several at once: runs beside runs, a clean-up beside a run, and things that only look like ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import cells_of
from tests.faults.engine.conftest import times
from tests.faults.engine.tally import Tally
from tests.faults.engine.test_kill import still_running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Project

WORDS = ("run", "--progress", "none", "--jobs", "2", "--format", "json")


def write_cells(project: Project, mark: str) -> None:
    """Write three cells whose results say whose they are."""
    project.write(
        axes={"kind": ["a", "b", "c"]},
        defaults={"args": {"DO": f"echo {mark} > /mark"}, "smoke": [{"run": ["cat", "/mark"], "stdout": f"^{mark}$"}]},
    )


@pytest.mark.whole
def test_ten_runs_in_one_folder_and_in_ten_do_not_disturb_each_other(fresh: Callable[[str], Project]) -> None:
    """Each has a folder, a record and images of its own, whatever the others do."""
    count = 10
    for folders in (1, count):
        tally = Tally()
        for number in range(times(1, 3)):
            with tally.one():
                projects = [fresh(f"beside-{folders}-{number}-{index}") for index in range(folders)]
                for index, project in enumerate(projects):
                    write_cells(project, f"mark{index}")
                runs = [(projects[index % folders], projects[index % folders].start(*WORDS)) for index in range(count)]
                ids = set()
                for project, process in runs:
                    out, err = process.communicate(timeout=300)
                    assert process.returncode == 0, err
                    record = json.loads(out)
                    ids.add(record["id"])
                    assert [cell["status"] for cell in record["cells"]] == ["passed"] * 3
                    stored = project.folder / "reports/runs" / record["id"] / "run.json"
                    assert json.loads(stored.read_bytes()) == record, "another run's result"
                assert len(ids) == count
                assert sum(len(list(project.folder.glob("reports/runs/*"))) for project in projects) == count
                for project in projects:
                    assert still_running(project) == []
                assert projects[0].docker("image", "ls", "--quiet", "--filter", "reference=matrix.local/*") == ""
                assert projects[0].docker("ps", "--all", "--quiet") == ""
                tally.seen["all passed, each in its own run"] += 1
        where = "one folder" if folders == 1 else f"{folders} folders"
        tally.save("two at once", f"{count} runs side by side in {where}")


LOOK_ALIKES = ("matrix-20261121T000000Z-abcdef-1", "matrix", "my-matrix-run", "matrix.local")


@pytest.mark.whole
def test_a_clean_up_touches_no_run_under_way_and_nothing_that_only_looks_like_ours(fresh: Callable[[str], Project]) -> None:
    """What is ours is known by its label, and what is needed by its lock."""
    tally = Tally()
    for number in range(times(1, 10)):
        with tally.one():
            project = fresh(f"clean-{number}")
            write_cells(project, "mark")
            project.docker("build", "--tag", "matrix-local/tiny:1", "--tag", "matrix.local/tiny:mine", str(project.folder))
            for name in LOOK_ALIKES:
                project.docker("create", "--name", name, "--label", f"matrix.run={name}", "matrix-local/tiny:1")
                project.docker("network", "create", f"{name}-net")
            process = project.start(*WORDS)
            cleaned = 0
            while process.poll() is None:
                cleaned += 1
                project.matrix("clean")
            out, err = process.communicate()
            assert process.returncode == 0, err
            assert {cell["status"] for cell in cells_of(json.loads(out)).values()} == {"passed"}
            assert project.matrix("clean").stdout == "nothing of matrix's is here\n"
            names = project.docker("ps", "--all", "--format", "{{.Names}}").split()
            networks = project.docker("network", "ls", "--format", "{{.Name}}").split()
            images = project.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
            project.docker("rm", "--force", *LOOK_ALIKES)
            project.docker("network", "rm", *(f"{name}-net" for name in LOOK_ALIKES))
            project.docker("image", "rm", "matrix-local/tiny:1", "matrix.local/tiny:mine")
            assert set(LOOK_ALIKES) <= set(names), names
            assert {f"{name}-net" for name in LOOK_ALIKES} <= set(networks), networks
            assert {"matrix-local/tiny:1", "matrix.local/tiny:mine"} <= set(images), images
            tally.seen["the run passed, and every look-alike was left alone"] += 1
    tally.save("two at once", "`matrix clean` again and again during a run, beside things with our names")
