"""Bad input and bad luck: each has its own words, exit code, and no traceback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def fails(project: Project, exit_code: int, *words: str, **environment: str) -> str:
    """Run the matrix and expect it to stop with these words, and without a traceback."""
    done = project.matrix("run", "--progress", "plain", exit_code=exit_code, **environment)
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    for word in words:
        assert word in said
    return said


def fake_docker(project: Project, script: str) -> dict[str, str]:
    """Put a docker in front of the real one that answers one question in its own way."""
    folder = project.folder / "fake"
    folder.mkdir(exist_ok=True)
    real = shutil.which("docker")
    path = folder / "docker"
    path.write_text(f'#!/bin/sh\n{script}\nexec {real} "$@"\n')
    path.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_no_docker_command(project: Project) -> None:
    """The client is looked for before anything is asked of it."""
    project.write()
    fails(project, 4, "no 'docker' command is on the PATH", PATH="/nowhere")


def test_no_engine(project: Project) -> None:
    """The address that was tried and the ways to mend it are named."""
    project.write()
    fails(
        project,
        4,
        "no engine answers at unix:///nowhere/docker.sock",
        "systemctl start docker",
        DOCKER_HOST="unix:///nowhere/docker.sock",
    )


def test_no_permission_on_the_socket(project: Project) -> None:
    """The group to join is named, not the socket's mode."""
    project.write()
    words = "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock"
    script = f'[ "$1" = info ] && {{ echo "{words}" >&2; exit 1; }}'
    fails(project, 4, "no permission to talk to the engine", "usermod -aG docker", **fake_docker(project, script))


def without_buildx(plugin: str, version: str) -> str:
    """Answer `docker info` with another plugin in the place of buildx."""
    said = json.dumps({"ServerVersion": "28.5.2", "ClientInfo": {"Plugins": [{"Name": plugin, "Version": version}]}})
    return f"[ \"$1\" = info ] && {{ echo '{said}'; exit 0; }}"


def test_an_engine_without_buildx(project: Project) -> None:
    """The package to install is named."""
    project.write()
    script = without_buildx("compose", "2.30.0")
    fails(project, 4, "docker has no buildx", "docker-buildx", **fake_docker(project, script))


def test_a_buildx_that_is_too_old(project: Project) -> None:
    """Both versions are named: the one there and the one needed."""
    project.write()
    script = without_buildx("buildx", "0.10.5")
    fails(project, 4, "buildx 0.10.5 is too old", "0.13.0 or newer", **fake_docker(project, script))


def test_a_missing_dockerfile_is_an_error_of_the_file(project: Project) -> None:
    """It is found before the engine is asked for anything."""
    project.write(defaults={"dockerfile": "Dockrfile"})
    fails(project, 2, "defaults.dockerfile: no such file: 'Dockrfile'; did you mean 'Dockerfile'?", PATH="/nowhere")


def test_a_dockerfile_that_does_not_parse(project: Project) -> None:
    """It is the cell's own failure, and not tried again."""
    project.folder.joinpath("Dockerfile").write_text("FROM scratch\nCOPPY a b\n")
    project.write()
    fails(project, 1, "the Dockerfile cannot be read", "COPPY")
    assert project.record()["cells"][0]["attempts"] == 1


def test_a_base_whose_registry_is_out_of_reach(project: Project) -> None:
    """That is no verdict on the cell: it is tried again, and then an error of the surroundings."""
    project.folder.joinpath("Dockerfile").write_text("FROM registry.invalid/no/base:1\n")
    project.write(defaults={"retries": 1})
    fails(project, 4, "the registry of the base image registry.invalid/no/base:1 cannot be reached")
    cell = project.record()["cells"][0]
    assert (cell["status"], cell["attempts"]) == ("error", 2)


def test_what_a_killed_build_has_spoilt_is_built_without_the_cache(project: Project) -> None:
    """The builder would give the same half-done step to every other build of it."""
    said = json.loads(project.docker("info", "--format", "{{json .ClientInfo.Plugins}}"))
    real = next(plugin["Path"] for plugin in said if plugin["Name"] == "buildx")
    plugin = project.folder / "docker-buildx"
    words = "failed to commit a to b during finalize: failed to stat active key during commit: snapshot a does not exist: not found"
    plugin.write_text(
        '#!/bin/sh\ncase "$*" in build*--no-cache*) ;; build*) '
        f'echo "ERROR: failed to build: failed to solve: {words}" >&2; exit 1;; esac\nexec {real} "$@"\n'
    )
    plugin.chmod(0o755)
    project.folder.joinpath("config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(project.folder)]}))
    project.folder.joinpath(".dockerignore").write_text("*\n!busybox\n")
    with project.folder.joinpath("busybox").open("ab") as file:  # no step is one that another test's build has just run
        file.write(str(time.time_ns()).encode())
    project.write()
    (cell,) = project.run(DOCKER_CONFIG=str(project.folder))["cells"]
    assert (cell["status"], cell["attempts"], cell["build"]["cached_steps"]) == ("passed", 2, 0)
    assert [event["reason"] for event in project.events() if event["kind"] == "cell-retried"] == [words]


def test_a_context_with_a_socket_and_a_pipe_in_it(project: Project) -> None:
    """What cannot be sent is left out by buildx, and the build goes on."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(project.folder / "s"))
        os.mkfifo(project.folder / "pipe")
        project.folder.joinpath("Dockerfile").write_text("FROM scratch\nCOPY . /all\n")
        project.write()
        assert project.run()["cells"][0]["status"] == "passed"


@pytest.fixture
def reader(project: Project) -> Iterator[Project]:
    """Give a project whose client may not read all of the context: root reads everything but this."""
    secret = project.folder / "unreadable"
    secret.mkdir()
    subprocess.run(["mount", "-t", "proc", "-o", "subset=pid", "proc", str(secret)], check=True)
    yield project
    subprocess.run(["umount", str(secret)], check=True)


def test_a_context_with_a_file_that_cannot_be_read(reader: Project) -> None:
    """The file is named, and how to leave it out."""
    reader.folder.joinpath("Dockerfile").write_text("FROM scratch\nCOPY unreadable/1/mem /x\n")
    reader.write()
    fails(reader, 1, "the context cannot be read", ".dockerignore")


def test_a_full_disk_under_the_run_folder(project: Project) -> None:
    """Results so far are kept, and the way on is named: of this run, not of the one before that `latest` may point to."""
    reports = project.folder / "reports"
    reports.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(reports)], check=True)
    try:
        cells = [f"cell{number}" for number in range(12)]
        project.write(axes={"kind": cells}, defaults={"args": {"DO": "seq 2000"}})
        said = fails(project, 4, "no room left on the disk")
        assert f"; free some, then `matrix run --resume {project.latest.name}`\n" in said
        subprocess.run(["dd", "if=/dev/zero", f"of={reports}/rest"], capture_output=True, check=False)
        fails(project, 4, "/run.json; free some\n")
    finally:
        subprocess.run(["umount", str(reports)], check=True)


def test_a_build_that_never_ends_is_stopped_in_time(project: Project) -> None:
    """With its whole process tree; the step that hung is named."""
    project.write(defaults={"args": {"DO": "echo begun; sleep 600"}, "timeout": {"build": "8s"}})
    fails(project, 1, "build: still running after 8 s", "eval")
    cell = project.record()["cells"][0]
    assert (cell["status"], cell["image"]) == ("timeout", None)
    assert "begun" in project.latest.joinpath("cells/one/build.log").read_text()
    assert subprocess.run(["pgrep", "-f", str(project.folder)], capture_output=True, check=False).returncode == 1


def test_a_secret_that_is_not_there(project: Project) -> None:
    """It is missed before anything is built, unless it is optional."""
    project.write(defaults={"secrets": {"token": {"env": "NO_SUCH_TOKEN"}}})
    fails(project, 2, "secret 'token' is not there: NO_SUCH_TOKEN")
    project.write(defaults={"secrets": {"token": {"env": "NO_SUCH_TOKEN"}}, "secret_args": {"KEY": "NO_SUCH_KEY"}})
    both = "secret build argument 'KEY': the variable NO_SUCH_KEY is not set\n  secret 'token' is not there: NO_SUCH_TOKEN"
    fails(project, 2, f"2 secrets are not there:\n  {both}")
    project.write(defaults={"secrets": {"token": {"env": "NO_SUCH_TOKEN", "optional": True}}})
    assert project.run()["cells"][0]["status"] == "passed"


def test_a_secret_reaches_the_build_and_nothing_else(placed: Project) -> None:
    """Its value is in no argument, log, record or layer."""
    canary = "canary-6f1c9e"
    dockerfile = placed.folder.joinpath("Dockerfile").read_text()
    mount = 'RUN --mount=type=secret,id=token test "$(cat /run/secrets/token | wc -c)" = 13\n'
    placed.folder.joinpath("Dockerfile").write_text(dockerfile.replace('RUN eval "$DO"\n', mount))
    placed.write(defaults={"secrets": {"token": {"env": "TOKEN"}}})
    assert placed.run(TOKEN=canary)["cells"][0]["status"] == "passed"
    files = [path for path in placed.latest.rglob("*") if path.is_file()]
    assert len(files) >= 6
    assert not [path for path in files if canary.encode() in path.read_bytes()]


def test_nothing_selected(project: Project) -> None:
    """It has an exit code of its own, before any engine is needed."""
    project.write()
    told = project.matrix("run", "--only", "two*", exit_code=3, PATH="/nowhere").stderr
    assert told == "matrix: --only 'two*' names no cell; `matrix plan` lists them\n"


def test_a_bug_of_ours_leaves_lines_to_report(project: Project) -> None:
    """Exit 70 is for what no user can mend."""
    project.write()
    broken = project.folder / "broken"
    broken.mkdir()
    broken.joinpath("tabulate.py").write_text("raise RuntimeError('broken on purpose')\n")
    process = project.start("plan", PYTHONPATH=str(broken))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 70
    assert "broken on purpose" in errors
    assert "this is a bug in matrix" in errors


def test_words_that_are_no_command_are_a_usage_error(project: Project) -> None:
    """As are options that do not exist and values that do not fit."""
    for words in (["fly"], ["run", "--jobs", "none"], ["plan", "--format", "pdf"], ["run", "--progress", "loud"]):
        done = project.matrix(*words, exit_code=2)
        assert "Traceback" not in done.stderr


def test_doctor_says_what_is_missing_and_how_to_mend_it(project: Project) -> None:
    """One thing missing does not hide the next; its exit code is that of the worst."""
    project.write()
    assert "MISSING" not in project.matrix("doctor").stdout
    project.folder.joinpath("matrix.yaml").unlink()
    said = project.matrix("doctor", exit_code=4, DOCKER_HOST="unix:///nowhere").stdout
    assert "matrix init" in said
    assert "no engine answers at unix:///nowhere" in said


def test_init_writes_a_matrix_that_plans_and_never_overwrites(tmp_path: Path) -> None:
    """A newcomer's first two commands."""
    project = Project(tmp_path / "new")
    project.folder.mkdir()
    project.matrix("init")
    assert project.matrix("plan", "--format", "ids").stdout.split() == [
        "alpine-3.13-stdlib",
        "alpine-3.13-http",
        "slim-3.13-stdlib",
        "slim-3.13-http",
    ]
    assert "are there already" in project.matrix("init", exit_code=2).stderr
