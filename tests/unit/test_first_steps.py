"""What a newcomer meets first: `init`, `doctor`, and the exit code of the first run."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.config.load import load_matrix
from orchestrator.docker import process
from orchestrator.doctor import examine, render_examination
from orchestrator.ending import exit_code_of
from orchestrator.errors import EngineError, ExitCode, StoreError, UsageError
from orchestrator.exposed import find_exposed
from orchestrator.model import Status
from orchestrator.starter import FILES, write_starter
from tests.unit.docker_fake import Answer, FakeDocker, make_which
from tests.unit.folders import make_files
from tests.unit.records import make_cell, make_record

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = {"Plugins": [{"Name": "buildx", "Version": "v0.23.0"}]}
INFO = json.dumps(
    {"ServerVersion": "28.1.0", "Driver": "overlay2", "NCPU": 2, "OSType": "linux", "Architecture": "x86_64", "ClientInfo": CLIENT}
)
ABSENT: Answer = (1, 'ERROR: no builder "matrix" found')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a matrix.yaml, on a machine that has a docker."""
    make_files(tmp_path, "Dockerfile")
    (tmp_path / "matrix.yaml").write_text("version: 1\nname: m\naxes: {a: [x, y]}\n")
    monkeypatch.setattr(shutil, "which", make_which(found=True))
    return tmp_path


def examined(folder: Path, monkeypatch: pytest.MonkeyPatch, **answers: Answer) -> dict[str, tuple[bool, str]]:
    """Look at a machine whose docker gives these answers; give what was found."""
    monkeypatch.setattr(process, "run", FakeDocker(**{"info": INFO, "buildx_inspect": ABSENT, **answers}))
    return {found.what: (found.ok, found.words) for found in examine(folder / "matrix.yaml", folder / "reports")}


def test_what_init_writes_is_a_matrix(tmp_path: Path) -> None:
    """It loads as it is, with more than one cell and nothing but the files that were written; no build copies its runs."""
    written = write_starter(tmp_path / "new", force=False)
    assert written == [tmp_path / "new" / name for name in FILES]
    matrix = load_matrix(tmp_path / "new" / "matrix.yaml")
    assert len(matrix.plan.cells) > 1
    (tmp_path / "new" / "Dockerfile").write_text("FROM x\nCOPY . /app\n")
    assert list(find_exposed(matrix.plan.cells, matrix.folder, tmp_path / "new" / "reports")) == []


def test_init_overwrites_only_when_told(tmp_path: Path) -> None:
    """A file that is there is named and kept, and nothing else is written beside it."""
    (tmp_path / "Dockerfile").write_text("mine")
    with pytest.raises(UsageError) as caught:
        write_starter(tmp_path, force=False)
    assert str(caught.value) == f"{tmp_path}/Dockerfile is there already; --force overwrites"
    assert [item.name for item in tmp_path.iterdir()] == ["Dockerfile"]
    (tmp_path / ".dockerignore").touch()
    with pytest.raises(UsageError, match=r"/Dockerfile, .*/\.dockerignore are there already; --force overwrites"):
        write_starter(tmp_path, force=False)
    write_starter(tmp_path, force=True)
    assert (tmp_path / "Dockerfile").read_text() != "mine"


def test_doctor_says_that_builds_would_copy_the_stored_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is broken by it, so it changes no exit code."""
    assert "context" not in examined(folder, monkeypatch)
    (folder / "Dockerfile").write_text("FROM x\nCOPY . /app\n")
    words = (
        "reports/runs lies in the context '.' of 2 cells, and no .dockerignore leaves it out: "
        "a COPY of everything copies it; add the line 'reports' to .dockerignore"
    )
    assert examined(folder, monkeypatch)["context"] == (False, words)
    (found,) = (one for one in examine(folder / "matrix.yaml", folder / "reports") if one.what == "context")
    assert found.exit_code == 0


def test_doctor_misses_a_daemon_that_no_run_can_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run would end there after a while; a builder in a container is started by it."""
    nodes = "Driver: remote\n\nNodes:\nName: a\nEndpoint: tcp://a:1\nBuildKit version: v0.32.2\nName: b\nEndpoint: tcp://b:2\n"
    words = "'matrix': nothing answers at tcp://b:2; see that its daemon runs"
    assert examined(folder, monkeypatch, buildx_inspect=nodes)["builder"] == (False, words)
    stopped = nodes.replace("remote", "docker-container")
    assert examined(folder, monkeypatch, buildx_inspect=stopped)["builder"][0]


def test_doctor_misses_a_builder_that_is_in_another_cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pods answer, but no run would take them."""
    kept = folder / "kept"
    kept.touch()
    monkeypatch.setenv("KUBECONFIG", "/x/other")
    nodes = f"Driver: kubernetes\n\nName: matrix0\nEndpoint: kubernetes:///matrix?kubeconfig={kept}\nBuildKit version: v0.32.2\n"
    is_there, words = examined(folder, monkeypatch, buildx_inspect=nodes)["builder"]
    assert not is_there
    assert words.startswith(f"builder 'matrix' is in the cluster of KUBECONFIG={kept}, which is not the one that is set; ")


def test_doctor_says_why_a_cluster_cannot_be_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pods may run all the same."""
    nodes = "Driver: kubernetes\n\nName: matrix0\nEndpoint: kubernetes:///matrix\nError: stat x: no such file or directory\n"
    words = "'matrix': stat x: no such file or directory"
    assert examined(folder, monkeypatch, buildx_inspect=nodes)["builder"] == (False, words)


def test_doctor_tries_the_daemon_that_a_remote_builder_is_to_reach(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A builder that is not there yet cannot be made where nothing listens; what is not tried is said."""
    text = "version: 1\nname: m\naxes: {a: [x]}\nbuilder: {driver: remote, endpoint: '%s', nodes: [{endpoint: '%s'}]}\n"
    answers = {"tcp://a:1": True, "tcp://b:2": False, "unix:///c": None}
    monkeypatch.setattr("orchestrator.doctor.listens", answers.get)
    (folder / "matrix.yaml").write_text(text % ("tcp://a:1", "tcp://b:2"))
    found = examined(folder, monkeypatch)
    assert found["matrix file"] == (True, f"{folder}/matrix.yaml: 1 cell")
    assert found["builder"] == (False, "'matrix': nothing answers at tcp://b:2; see that its daemon runs")
    (folder / "matrix.yaml").write_text(text % ("tcp://a:1", "unix:///c"))
    words = f"'matrix' is not there yet; `matrix bootstrap -f {folder}/matrix.yaml`, or the first run, makes it"
    assert examined(folder, monkeypatch)["builder"] == (True, f"{words}; whether anything answers at unix:///c was not tried")


def test_init_names_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder below a file is an error in the system's words; a file in the place of the folder is called one."""
    (tmp_path / "matrix.yaml").touch()
    with pytest.raises(StoreError, match=r"below/matrix\.yaml cannot be written: Not a directory"):
        write_starter(tmp_path / "matrix.yaml/below", force=False)
    with pytest.raises(UsageError) as caught:
        write_starter(tmp_path / "matrix.yaml", force=True)
    assert str(caught.value) == f"{tmp_path}/matrix.yaml is a file; name a folder"


def test_doctor_finds_a_machine_that_has_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing that a run needs is a line, with what was found."""
    found = examined(folder, monkeypatch)
    assert found["matrix file"] == (True, f"{folder}/matrix.yaml: 2 cells")
    assert found["engine"] == (True, "Docker 28.1.0, buildx 0.23.0, linux/amd64, 2 CPUs")
    assert (
        found["builder"][1] == f"'matrix' is not there yet; `matrix bootstrap -f {folder}/matrix.yaml`, or the first run, makes it"
    )
    assert found["image store"][1].startswith("overlay2: works; compressed sizes are estimates")
    text = "Driver: docker-container\nBuildKit version: v0.21.0\n"
    assert examined(folder, monkeypatch, buildx_inspect=text)["builder"][1] == "'matrix': docker-container, BuildKit v0.21.0"


def test_doctor_looks_for_the_engines_own_buildkit_where_that_is_to_build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has to be made then; Podman, for one, has none."""
    podman = {"Plugins": {"Log": ["k8s-file"]}, "MemoryLimit": False}
    (folder / "matrix.yaml").write_text("version: 1\nname: m\naxes: {a: [x]}\nbuilder: {driver: docker}\n")
    monkeypatch.setattr("orchestrator.doctor.check_own_buildkit", lambda *_: None)
    assert examined(folder, monkeypatch)["builder"] == (True, "the engine's own BuildKit (matrix.yaml asks for it)")

    def refuse(_: object, why: str) -> None:
        message = f"no BuildKit ({why})"
        raise EngineError(message)

    monkeypatch.setattr("orchestrator.doctor.check_own_buildkit", refuse)
    found = examined(folder, monkeypatch, info=json.dumps({**json.loads(INFO), **podman}))
    assert found["builder"] == (False, "no BuildKit (matrix.yaml asks for it)")
    assert found["engine"] == (True, "Podman 28.1.0, buildx 0.23.0, linux/amd64, 2 CPUs")
    assert found["image store"] == (True, "overlay2; images are measured as they leave the builder")
    assert found["limits"] == (True, "this engine cannot limit memory: checks in containers run without")


def test_doctor_misses_no_engine_where_the_builder_is_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The docker client with buildx is enough for a remote builder, unless checks are to run in containers."""
    silent = json.dumps({"ServerVersion": "", "ServerErrors": ["Cannot connect"], "ClientInfo": CLIENT})
    remote = "version: 1\nname: m\naxes: {a: [x]}\nbuilder: {driver: remote, endpoint: 'unix:///b', smoke: %s}\n"
    (folder / "matrix.yaml").write_text(remote % "auto")
    found = examined(folder, monkeypatch, info=silent)
    assert found["engine"] == (True, "none answers, and none is needed: the builder is elsewhere; buildx 0.23.0")
    assert "image store" not in found
    (folder / "matrix.yaml").write_text(remote % "container")
    assert not examined(folder, monkeypatch, info=silent)["engine"][0]


def test_doctor_goes_on_after_the_first_thing_that_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thing missing does not hide the next, and the exit code is that of the worst."""
    (folder / "matrix.yaml").write_text("version: 1\nname: m\naxes: {}\n")
    found = examined(folder, monkeypatch, info=(1, "Cannot connect"))
    assert not found["matrix file"][0]
    assert found["engine"][1].startswith("no engine answers at unix:///var/run/docker.sock: Cannot connect")
    assert found["cache folder"][0]


def test_doctor_survives_a_builder_that_cannot_be_asked_after(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken buildx configuration is a finding, not the end of the examination."""
    found = examined(folder, monkeypatch, buildx_inspect=(1, "ERROR: config is broken"))
    assert found["builder"] == (False, "buildx cannot inspect builder 'matrix': ERROR: config is broken")
    assert "cache folder" in found


def test_doctor_survives_a_cache_that_cannot_be_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder in an impossible place is a finding with its cure."""
    monkeypatch.setenv("MATRIX_CACHE_DIR", str(folder / "Dockerfile"))
    found = examined(folder, monkeypatch)
    assert not found["cache folder"][0]
    assert found["cache folder"][1].endswith("MATRIX_CACHE_DIR names another")


def test_doctor_is_read_by_people_and_machines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing stands out in a table, and is false in JSON."""
    (folder / "matrix.yaml").unlink()
    monkeypatch.setattr(process, "run", FakeDocker(info=INFO, buildx_inspect=ABSENT))
    findings = examine(folder / "matrix.yaml", folder / "reports")
    table = render_examination(findings, "table", 10_000)
    assert f"MISSING  matrix file   {folder}/matrix.yaml: no such file; `matrix init` writes one" in table
    assert "ok       engine        Docker 28.1.0" in table
    narrow = render_examination(findings, "table", 60)
    assert narrow.split() == table.split()
    assert "\n                       " in narrow
    rows = json.loads(render_examination(findings, "json", 80))
    assert [row["ok"] for row in rows if row["what"] == "matrix file"] == [False]


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        (Status.PASSED, Status.PASSED, ExitCode.OK),
        (Status.BUILD_FAILED, Status.BUILD_FAILED, ExitCode.OK),
        (Status.PASSED, Status.BUILD_FAILED, ExitCode.UNEXPECTED),
        (Status.SMOKE_FAILED, Status.PASSED, ExitCode.UNEXPECTED),
        (Status.TIMEOUT, Status.PASSED, ExitCode.UNEXPECTED),
        (Status.ERROR, Status.PASSED, ExitCode.ENGINE),
        (Status.ERROR, Status.ERROR, ExitCode.OK),
    ],
)
def test_a_run_is_judged_by_what_was_expected(status: Status, expected: Status, code: ExitCode) -> None:
    """The exit code says whether all ended as expected, and whether it was the engine that did not."""
    broken = make_record()
    assert any(gate.passed is False for gate in broken.gates)
    judged = replace(broken, cells=(make_cell("a", "b", Status.PASSED), make_cell("x", "y", status, expected)))
    record = replace(judged, gates=())
    assert exit_code_of(record) is code
    assert exit_code_of(judged) is (ExitCode.GATE if code is ExitCode.OK else code)
    assert exit_code_of(replace(record, interrupted=True)) is ExitCode.INTERRUPTED
