"""`matrix run`, from matrix.yaml to the report, on real engines."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.execute import usual_jobs
from tests.conftest import OF_THE_IMAGE
from tests.e2e.conftest import DOCKERFILE, Project, cells_of, move_base

if TYPE_CHECKING:
    from typing import Any

KINDS: dict[str, dict[str, Any]] = {
    "good": {"smoke": [{"run": ["echo", "hello"], "stdout": "^hello"}]},
    "bad-build": {"args": {"DO": "echo 'fatal error: linux/futex.h: No such file or directory' >&2; exit 3"}},
    "bad-smoke": {"smoke": [{"run": ["sh", "-c", "echo it is broken >&2; exit 7"]}]},
    "hangs": {"smoke": [{"run": ["sleep", "1000"], "timeout": "2s"}]},
    "known-bad": {"args": {"DO": "exit 1"}},
    "surprise": {"smoke": [{"run": ["true"]}]},
}


def write_twelve_cells(project: Project) -> None:
    """Write a matrix in which every outcome occurs, twice each."""
    project.write(
        axes={"kind": list(KINDS), "size": ["small", "large"]},
        settings={"kind": KINDS, "size": {"large": {"labels": {"size": "large"}}}},
        expect=[
            {"kind": ["known-bad", "surprise"], "outcome": "build-failed", "reason": "it always was"},
        ],
        claims=[{"say": "bad does not build", "left": {"kind": "bad-build"}, "right": {"kind": "good"}, "is": "fails"}],
        decide={"between": "kind", "require": ["smoke", "expected"], "prefer": [{"metric": "size"}]},
    )


def test_twelve_cells_end_in_every_way_and_the_record_says_how(project: Project) -> None:
    """A failing cell stops no other; expected failures pass, unexpected passes fail."""
    write_twelve_cells(project)
    record = project.run("--jobs", "4", exit_code=1)
    cells = cells_of(record)
    found = {cell: (item["status"], item["as_expected"]) for cell, item in cells.items() if cell.endswith("-small")}
    assert found == {
        "good-small": ("passed", True),
        "bad-build-small": ("build-failed", False),
        "bad-smoke-small": ("smoke-failed", False),
        "hangs-small": ("timeout", False),
        "known-bad-small": ("build-failed", True),
        "surprise-small": ("passed", False),
    }
    assert len(cells) == 12
    assert record["complete"]
    assert not record["interrupted"]
    assert "exit 3: fatal error: linux/futex.h: No such file or directory" in cells["bad-build-small"]["reason"]
    assert cells["bad-smoke-small"]["reason"] == "run sh -c echo it is broken >&2; exit 7: exit 7: it is broken"
    assert cells["hangs-small"]["reason"] == "run sleep 1000: still running after 2 s"
    assert cells["good-small"]["attempts"] == 1
    assert cells["bad-build-small"]["attempts"] == 1, "a Dockerfile that fails is not tried again"
    assert [(claim["verdict"], len(claim["pairs"])) for claim in record["claims"]] == [("confirmed", 2)]
    assert (record["decision"]["winner"], len(record["decision"]["per_group"])) == ("good", 2)
    check_files(project, cells)
    assert project.matrix("report", "--format", "json").stdout == project.latest.joinpath("run.json").read_text(), "to the byte"
    assert leftovers(project) == []


def test_checks_that_were_not_run_refute_no_expectation(project: Project) -> None:
    """Nothing works now that failed before; a build that was expected to fail has passed all the same."""
    checks = {"defaults": {"smoke": [{"probe": "dns"}]}}
    project.write(**checks, expect=[{"kind": "one", "outcome": "smoke-failed"}])
    cell = project.run("--no-smoke")["cells"][0]
    assert (cell["status"], cell["as_expected"], cell["reason"], cell["diagnosis"]) == ("passed", True, "no check was run", [])
    in_graph = {"builder": {"driver": "docker", "name": "matrix-tests", "smoke": "graph"}}
    project.write(**checks, **in_graph, expect=[{"kind": "one", "outcome": "smoke-failed"}])
    for words in ((), ("--skip-unchanged",)):
        cell = project.run(*words)["cells"][0]
        assert (cell["status"], cell["as_expected"], cell["diagnosis"]) == ("passed", True, [])
        assert cell["reason"].startswith("no check was run: probe dns: ")
    project.write(**checks, expect=[{"kind": "one", "outcome": "build-failed"}])
    assert not project.run("--no-smoke", exit_code=1)["cells"][0]["as_expected"]


def check_files(project: Project, cells: dict[str, dict[str, Any]]) -> None:
    """Every cell has its log, its raw progress and its result; the run has its reports."""
    for cell in cells:
        folder = project.latest / "cells" / cell
        assert json.loads(folder.joinpath("result.json").read_bytes())["id"] == cell
        assert folder.joinpath("progress.jsonl").read_bytes().startswith(b"{")
    assert "linux/futex.h" in (project.latest / "cells/bad-build-small/build.log").read_text()
    assert "it is broken" in (project.latest / "cells/bad-smoke-small/smoke.log").read_text()
    rows = list(csv.DictReader(io.StringIO(project.latest.joinpath("report.csv").read_text())))
    assert [row["cell"] for row in rows] == list(cells)
    reasons = {row["cell"]: row["reason"] for row in rows}
    assert reasons["known-bad-small"].endswith("exit 1; expected build-failed: it always was")
    assert reasons["surprise-small"] == "expected build-failed: it always was"
    for name in ("report.md", "report.html"):
        assert "passed (unexpected)" in project.latest.joinpath(name).read_text()


def leftovers(project: Project) -> list[str]:
    """List what a run of this project left in the engine."""
    run = project.latest.name
    containers = project.docker("ps", "-aq", "--filter", f"label=io.matrix.run={run}")
    networks = project.docker("network", "ls", "-q", "--filter", f"label=io.matrix.run={run}")
    images = project.docker("image", "ls", "-q", "--filter", f"reference=matrix.local/*:{run.lower()}*")
    return (containers + networks + images).split()


def test_sizes_are_the_same_figures_whatever_builds_and_keeps_the_image(placed: Project, busybox: Path) -> None:
    """Unpacked bytes are those of the layers' tars: busybox and its headers, everywhere."""
    placed.folder.joinpath("Dockerfile").write_text("FROM scratch\nCOPY busybox /bin/busybox\nENV A=1\n")
    placed.write()
    image = placed.run()["cells"][0]["image"]
    (layer,) = image["layers"]
    blocks = -(-busybox.stat().st_size // 512) * 512
    assert image["uncompressed_bytes"] == layer["uncompressed_bytes"]
    assert blocks < image["uncompressed_bytes"] < blocks + 20_000
    assert image["uncompressed_bytes"] == image["over_base_bytes"], "an image from scratch has no base"
    assert 0.3 < image["compressed_bytes"] / image["uncompressed_bytes"] < 0.8
    assert image["compressed_estimated"] is (placed.place == "classic")
    assert layer["instruction"] == "COPY busybox /bin/busybox"


def test_what_comes_on_top_of_the_base_is_told_apart_from_it(placed: Project) -> None:
    """Over-base is the cell's own layers only; the base is found by its layers, not by its name."""
    if placed.place in OF_THE_IMAGE:
        base = "FROM scratch AS base\nCOPY busybox /bin/busybox\n"
        placed.folder.joinpath("Dockerfile").write_text(f"{base}FROM base\nCOPY Dockerfile /\n")
    else:
        placed.folder.joinpath("Base").write_text("FROM scratch\nCOPY busybox /bin/busybox\n")
        placed.docker(
            "buildx",
            "build",
            "--quiet",
            "--load",
            "--provenance=false",
            "--tag",
            "matrix-tests-base:1",
            "-f",
            str(placed.folder / "Base"),
            str(placed.folder),
        )
        placed.folder.joinpath("Dockerfile").write_text("FROM matrix-tests-base:1\nCOPY Dockerfile /\n")
    placed.write()
    cell = placed.run()["cells"][0]
    if placed.place not in OF_THE_IMAGE:
        assert [base["ref"].split("/")[-1] for base in cell["inputs"]["base"]] == ["matrix-tests-base:1"]
        assert cell["image"]["over_base_bytes"] < 10_000
    assert cell["image"]["uncompressed_bytes"] > 1_000_000


def test_steps_are_listed_with_their_times_and_whether_they_were_cached(project: Project) -> None:
    """The second run of the same matrix finds its steps in the cache."""
    project.write(defaults={"args": {"DO": f"sleep 0.3; echo {project.folder}"}})
    record = project.run()
    steps = record["cells"][0]["build"]["steps"]
    (slow,) = [step for step in steps if "eval" in step["instruction"]]
    assert slow["outcome"] == "executed"
    assert 0.3 <= slow["duration_s"] < 5
    tells = record["environment"]["cgroup"] == "v2"
    assert (slow["usage"] is not None and 0 < slow["usage"]["cpu_s"] < slow["duration_s"]) == tells
    build = project.run()["cells"][0]["build"]
    assert {step["outcome"] for step in build["steps"]} == {"cached"}
    assert 0 < build["cached_steps"] == build["total_steps"] <= len(steps), "BuildKit need not name every step that it skips"
    assert build["timing"] == "shared"


def test_a_step_that_was_done_before_a_cell_began_was_there_though_its_build_goes_on(placed: Project) -> None:
    """The third cell begins when the first has ended, while the second still sleeps, whose steps BuildKit tells it as run."""
    placed.folder.joinpath("new").write_text(str(time.time_ns()))
    placed.folder.joinpath("Dockerfile").write_text(DOCKERFILE.replace("ARG DO", "COPY new /\nARG DO"))
    placed.write(axes={"seconds": ["0", "4", "0.1"]}, defaults={"args": {"DO": "sleep {seconds}"}})
    cells = [cell["build"] for cell in placed.run("--jobs", "2")["cells"]]
    copied = [step for build in cells for step in build["steps"] if step["instruction"] == "COPY new /"]
    assert "executed" in {step["outcome"] for step in copied[:2]}
    assert copied[2]["outcome"] == "cached"
    assert copied[2]["started_at"] >= cells[2]["started_at"]
    assert cells[2]["shared_s"] == 0.0


def test_no_run_leaves_an_image_in_the_engine(placed: Project) -> None:
    """Neither a named one nor a nameless one: not the first run, and none of what is unchanged."""
    mark = str(time.time_ns())
    placed.write(axes={"kind": ["one", "other"]}, defaults={"labels": {"mark": mark}, "smoke": [{"run": ["true"]}]})
    for words in ((), (), ("--no-smoke",)):
        placed.run(*words)
        assert placed.docker("image", "ls", "--all", "--quiet", "--filter", f"label=mark={mark}") == "", words


def test_the_environment_of_the_measurement_is_recorded(placed: Project) -> None:
    """A figure without its machine is worth nothing."""
    placed.write()
    placed.jobs = None
    record = placed.run()
    environment = record["environment"]
    assert environment["storage"] == ("overlay2" if placed.place == "classic" else "containerd")
    assert environment["driver"] == (placed.place if placed.place in OF_THE_IMAGE else "docker")
    assert environment["stand_in_bases"] == []
    if placed.place == "remote":
        assert environment["cpus"] is None, "another machine's, which nobody tells"
    else:
        assert record["cells"][0]["build"]["jobs"] == usual_jobs(environment["cpus"])


def test_a_report_of_a_stored_run_needs_no_docker(project: Project) -> None:
    """Any format, of any run, by id, by the start of the id, by folder."""
    project.write()
    record = project.run()
    project.environment = {"DOCKER_HOST": "unix:///nowhere"}
    table = project.matrix("report").stdout
    assert "one" in table
    assert "passed" in table
    assert json.loads(project.matrix("report", record["id"][:15], "--format", "json").stdout) == record
    folder = str(project.latest)
    assert project.matrix("report", folder, "--format", "markdown").stdout == project.latest.joinpath("report.md").read_text()
    assert "there is no run" in project.matrix("report", "2019", exit_code=2).stderr
    project.matrix("report", "--only", "kind=two", exit_code=3)


def test_no_smoke_builds_and_measures_only(project: Project) -> None:
    """Nothing is loaded into the engine for it."""
    project.write(defaults={"smoke": [{"run": ["false"]}]})
    cell = project.run("--no-smoke")["cells"][0]
    assert (cell["status"], cell["smoke"]["outcome"]) == ("passed", "skipped")
    assert cell["image"]["compressed_bytes"] > 0


def test_builds_that_copy_the_stored_runs_are_said_before_the_first(project: Project) -> None:
    """Or the images grow from run to run, and nobody knows by what."""
    project.folder.joinpath("Dockerfile").write_text("FROM scratch\nCOPY . /app\n")
    project.write(axes={"kind": ["a", "b"]})
    project.run("--no-smoke")
    kinds = [event["kind"] for event in project.events()]
    (warning,) = [event["text"] for event in project.events() if event["kind"] == "warning"]
    assert warning.startswith("reports/runs lies in the context '.' of 2 cells, and no .dockerignore leaves it out")
    assert kinds.index("warning") < kinds.index("cell-started")
    project.folder.joinpath(".dockerignore").write_text("reports\n")
    project.run("--no-smoke")
    assert "warning" not in [event["kind"] for event in project.events()]


def test_fail_fast_stops_handing_out_cells(project: Project) -> None:
    """What is left has no result, and the run is incomplete rather than interrupted."""
    project.write(axes={"kind": ["bad", *"abcdef"]}, settings={"kind": {"bad": {"args": {"DO": "exit 1"}}}})
    record = project.run("--fail-fast", "--jobs", "1", exit_code=1)
    assert [cell["id"] for cell in record["cells"]] == ["bad"]
    assert not record["complete"]
    assert not record["interrupted"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_cell_is_built_while_another_is_tested(jobs: int, project: Project) -> None:
    """Never more builds than jobs, and more cells under way than jobs; with one job nothing goes on beside a build."""
    project.write(axes={"kind": list("abcd")}, defaults={"args": {"DO": "true {kind}"}, "smoke": [{"run": ["sleep", "1"]}]})
    project.run("--jobs", str(jobs))
    built, under_way = set[str](), set[str]()
    most_built = most_under_way = 0
    for event in project.events():
        cell = str(event.get("cell"))
        match event["kind"]:
            case "cell-started":
                built.add(cell)
                under_way.add(cell)
            case "cell-measuring":
                built.discard(cell)
            case "cell-finished":
                under_way.discard(cell)
        most_built, most_under_way = max(most_built, len(built)), max(most_under_way, len(under_way))
    assert most_built == jobs
    assert most_under_way == 1 if jobs == 1 else jobs < most_under_way <= 2 * jobs


def test_keep_leaves_the_images_in_the_engine_until_clean_removes_them(placed: Project) -> None:
    """Clean goes by label: an image that only looks like ours stays."""
    placed.write(name="kept")
    placed.run("--keep")
    (image,) = placed.docker(
        "image",
        "ls",
        "--filter",
        f"reference=matrix.local/kept:{placed.latest.name.lower()}*",
        "--format",
        "{{.Repository}}:{{.Tag}}",
    ).split()
    placed.docker("tag", image, "matrix.local/looks-alike:1")
    placed.folder.joinpath("Other").write_text("FROM scratch\nCOPY Other /\n")
    placed.docker(
        "buildx",
        "build",
        "--quiet",
        "--load",
        "--tag",
        "matrix.local/not-ours:1",
        "-f",
        str(placed.folder / "Other"),
        str(placed.folder),
    )
    assert image in placed.matrix("clean").stdout
    left = placed.docker("image", "ls", "--filter", "reference=matrix.local/*", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert "matrix.local/not-ours:1" in left
    assert image not in left
    placed.docker("image", "rm", "matrix.local/not-ours:1")


def test_two_runs_at_once_do_not_disturb_each_other(project: Project) -> None:
    """Each has its own id, folder, images and containers."""
    project.write(axes={"kind": list("abc")}, defaults={"smoke": [{"run": ["echo", "hi"]}]})
    both = [project.start("run", "--progress", "none", "--format", "json") for _ in range(2)]
    records = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert records[0]["id"] != records[1]["id"]
    for record in records:
        assert {cell["id"]: cell["status"] for cell in record["cells"]} == dict.fromkeys("abc", "passed")


def test_shards_of_two_machines_make_one_run(project: Project) -> None:
    """Each builds its part, in a folder of its own; merged they are the run that one machine would have made."""
    project.write(
        axes={"kind": ["a", "b", "c"]}, exclude=[{"kind": "c", "reason": "why not"}], defaults={"smoke": [{"run": ["true"]}]}
    )
    folders = []
    for part in ("1/2", "2/2"):
        place = project.folder / f"machine-{part[0]}"
        project.matrix("run", "--progress", "none", "--shard", part, "--reports", str(place))
        folders.append(str((place / "latest").resolve()))
    assert [[cell["id"] for cell in json.loads(Path(folder, "run.json").read_text())["cells"]] for folder in folders] == [
        ["a", "c"],
        ["b"],
    ]
    lacking = project.matrix("merge", folders[0], exit_code=1)
    assert "shard 2/2 is not here" in lacking.stderr
    assert "1 of 2 cells has no result: b" in lacking.stderr
    project.matrix("merge", *folders)
    merged = project.record()
    assert [(cell["id"], cell["status"]) for cell in merged["cells"]] == [("a", "passed"), ("b", "passed"), ("c", "excluded")]
    assert merged["complete"]
    assert [part["shard"]["cells"] for part in merged["parts"]] == [["a"], ["b"]]
    assert (project.latest / "cells" / "b" / "build.log").is_file()
    assert "2 of 2 cells ended as expected, 1 excluded" in project.matrix("report", "latest").stdout
    assert project.matrix("plan", "--format", "github", "--shards", "8").stdout == (
        '{"include": [{"shard": "1/2"}, {"shard": "2/2"}]}\n'
    )
    assert "leave --shard out" in project.matrix("run", "--shard", "1/2", "--resume", "latest", exit_code=2).stderr


def test_cells_of_which_nothing_has_changed_are_taken_over(placed: Project) -> None:
    """With their figures, checks and logs; a changed argument, check or file builds that cell, and no other, anew."""
    placed.folder.joinpath("app").write_text("1\n")
    placed.folder.joinpath(".dockerignore").write_text("matrix.yaml\n")  # or any change of it is one of the context
    placed.folder.joinpath("Dockerfile").write_text(DOCKERFILE.replace("CMD", "COPY app /\nCMD"))

    def write(**of_b: Any) -> None:
        settings = {"kind": {"b": of_b}}
        expect = [{"kind": "a", "outcome": "passed", "reason": f"of {len(of_b)} changes"}]  # what is expected builds nothing anew
        placed.write(axes={"kind": ["a", "b"]}, defaults={"smoke": [{"run": ["true"]}]}, settings=settings, expect=expect)

    def carried(*words: str) -> dict[str, str | None]:
        cells = cells_of(placed.run("--skip-unchanged", *words))
        assert all(cell["status"] == "passed" and cell["image"] and cell["smoke"]["outcome"] == "passed" for cell in cells.values())
        assert all((placed.latest / "cells" / cell / "build.log").is_file() for cell in cells)
        return {cell: found["carried_from"] for cell, found in cells.items()}

    write()
    assert carried() == {"a": None, "b": None}
    first = placed.record()["id"]
    assert carried() == {"a": first, "b": first}
    assert "2 cells are taken over from run" in placed.matrix("report", "latest").stdout
    write(args={"DO": "echo changed"})
    assert carried() == {"a": first, "b": None}
    assert cells_of(placed.record())["a"]["expected_reason"] == "of 1 changes"
    write(args={"DO": "echo changed"}, smoke=[{"run": ["sh", "-c", "true"]}])
    assert carried()["b"] is None
    placed.folder.joinpath("app").write_text("2\n")
    assert carried() == {"a": None, "b": None}
    record = placed.run()
    assert [cell["carried_from"] for cell in record["cells"]] == [None, None]


def test_what_a_cell_follows_from_beside_its_context_builds_it_anew(project: Project) -> None:
    """The file of a check, a file that another cell names, the image that a context is; a renamed axis changes nothing."""
    base = f"matrix-tests-beside:{time.time_ns()}"
    move_base(project, f"{base}-1")
    move_base(project, f"{base}-2")
    for name, text in (("deps/a.txt", "1\n"), ("checks/s.yaml", ""), (".dockerignore", "matrix.yaml\nchecks\n")):
        project.folder.joinpath(name).parent.mkdir(exist_ok=True)
        project.folder.joinpath(name).write_text(text)
    project.folder.joinpath("Dockerfile").write_text("FROM base\nCOPY deps /deps\n")

    def check(path: str) -> None:
        test = f"{{name: there, path: {path}, shouldExist: true}}"
        project.folder.joinpath("checks/s.yaml").write_text(f"schemaVersion: 2.0.0\nfileExistenceTests: [{test}]\n")

    def write(axis: str = "kind", image: str = f"{base}-1") -> None:
        defaults = {"contexts": {"base": f"docker-image://{image}"}, "smoke": [{"structure": "checks/s.yaml"}]}
        project.write(axes={axis: ["a", "b"]}, defaults=defaults, settings={axis: {"a": {"requirements": "deps/a.txt"}}})

    def carried() -> list[bool]:
        return [bool(cell["carried_from"]) for cell in project.run("--skip-unchanged")["cells"]]

    check("/deps/a.txt")
    write()
    assert carried() == [False, False]
    assert carried() == [True, True]
    write(axis="sort")
    assert carried() == [True, True]
    assert [cell["axes"] for cell in project.record()["cells"]] == [{"sort": "a"}, {"sort": "b"}]
    check("/at")
    assert carried() == [False, False]
    project.folder.joinpath("deps/a.txt").write_text("2\n")
    assert carried() == [False, False]
    write(axis="sort", image=f"{base}-2")
    assert carried() == [False, False]
    assert carried() == [True, True]


def test_what_variables_have_buildx_do_builds_cells_anew(placed: Project) -> None:
    """Labels of the commit, and a policy that may put one base in another's place: neither is in any file of the cell."""
    placed.folder.joinpath(".dockerignore").write_text("matrix.yaml\n.git\npolicy.json\n")
    placed.write()

    def carried(**environment: str) -> bool:
        (cell,) = placed.run("--skip-unchanged", exit_code=0, **environment)["cells"]
        return bool(cell["carried_from"])

    def commit() -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        words = ("commit", "--quiet", "--allow-empty", "--message=a")
        subprocess.run(["git", *who, *words], cwd=placed.folder, check=True)

    subprocess.run(["git", "init", "--quiet"], cwd=placed.folder, check=True)
    commit()
    assert [carried(BUILDX_GIT_LABELS="1") for _ in range(2)] == [False, True]
    commit()
    assert [carried(BUILDX_GIT_LABELS="1"), carried(), carried()] == [False, False, True]
    commit()
    assert carried()
    policy = placed.folder / "policy.json"
    for rules in ([], [{"action": "ALLOW", "selector": {"identifier": "docker-image://*"}}]):
        policy.write_text(json.dumps({"rules": rules}))
        assert [carried(EXPERIMENTAL_BUILDKIT_SOURCE_POLICY=str(policy)) for _ in range(2)] == [False, True]


def test_a_base_for_another_platform_is_said_of_the_cells_that_asked_for_that_alone(project: Project) -> None:
    """An image of one platform is taken whatever is asked for; cells that are asked for together all hear of it."""
    base = f"matrix-tests/one-platform-{time.time_ns()}:1"
    move_base(project, base)
    native = project.docker("image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", base).strip()
    project.folder.joinpath("Dockerfile").write_text(f"FROM {base}\nCOPY Dockerfile /x\n")
    project.write(axes={"platform": [native, "linux/riscv64"]}, defaults={"platform": "{platform}"})
    for _ in range(2):
        own, other = project.run("--jobs", "2")["cells"]
        assert (own["reason"], own["build"]["foreign_base"], own["diagnosis"]) == (None, None, [])
        words = f"{base} is for {native}, and linux/riscv64 was asked for"
        assert (other["status"], other["reason"], other["build"]["foreign_base"]) == ("passed", f"the base image {words}", words)
        assert [one["code"] for one in other["diagnosis"]] == ["base-of-another-platform"]
    project.docker("image", "rm", base)
