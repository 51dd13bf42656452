"""`matrix lock` and `matrix run --locked` with a real uv, an index on the loopback, and a docker that builds nothing."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.forked import run_forked
from tests.package_index import Index, make_wheel, serve
from tests.unit.golden import assert_golden

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKERFILE = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG REQUIREMENTS\nCOPY ${REQUIREMENTS} /r.txt\n"
DOCKER = """#!/bin/sh
echo "$*" >> "$0.asked"
here=$(dirname "$0")
case "$1 $2 $3" in
  "info --format {{json"*) cat "$here/info.json" ;;
  "buildx inspect "*) exit 1 ;;
  "buildx imagetools inspect")
    cat "$here/registry/$(echo "$4" | tr '/:' '__')" 2>/dev/null && exit 0
    cat "$here/refusal" >&2
    exit 1 ;;
  "image inspect "*) cat "$here/engine/$(echo "$5" | tr '/:' '__')" ;;
  "buildx build "*) for file in "$here"/project/deps/.*.locked.txt; do cat "$file" >> "$0.locked"; done; echo failed >&2; exit 1 ;;
  "context inspect "*) echo unix:///var/run/docker.sock ;;
  *) exit 0 ;;
esac
"""
INFO = {
    "ServerVersion": "28.5.2",
    "OSType": "linux",
    "Architecture": "x86_64",
    "ClientInfo": {"Context": "default", "Plugins": [{"Name": "buildx", "Version": "v0.29.1"}]},
}
MATRIX = """\
version: 1
name: m
axes: {base: [alpine, slim], python: ["3.12", "3.13"], deps: [none, app]}
defaults: {requirements: "deps/{deps}.txt", args: {BASE_IMAGE: "python:{python}-{base}"}, platform: linux/amd64, retries: 0}
settings: {base: {alpine: {libc: musl}, slim: {libc: glibc}}}
builder: {driver: docker}
"""
REFS = [f"python:{python}-{base}" for python in ("3.12", "3.13") for base in ("alpine", "slim")]


def digest(number: int) -> str:
    """Make a digest."""
    return f"sha256:{number:064x}"


class Project:
    """A folder with a matrix.yaml, a docker before it on the PATH, and an index of the test's own."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.index, self.tools = index, folder
        self.folder = folder / "project"
        for name in ("project/deps", "registry", "engine"):
            (folder / name).mkdir(parents=True)
        (folder / "docker").write_text(DOCKER)
        (folder / "docker").chmod(0o755)
        (folder / "info.json").write_text(json.dumps(INFO))
        (folder / "refusal").write_text("ERROR: docker.io/library/x: not found\n")
        (self.folder / "matrix.yaml").write_text(MATRIX)
        (self.folder / "Dockerfile").write_text(
            "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG REQUIREMENTS\nCOPY ${REQUIREMENTS} /r.txt\n"
        )
        (self.folder / "deps/none.txt").write_text("")
        (self.folder / "deps/app.txt").write_text("app\n")
        for number, ref in enumerate(REFS):
            self.publish(ref, number * 16 + 1)

    def publish(self, ref: str, number: int) -> None:
        """Put a base for two platforms into the registry."""
        images = [
            {"digest": digest(number + at), "platform": {"os": "linux", "architecture": name}}
            for at, name in enumerate(("amd64", "arm64"), 1)
        ]
        attestation = {"digest": digest(number + 9), "platform": {"os": "unknown", "architecture": "unknown"}}
        data = {"digest": digest(number), "manifests": [attestation, *images]}
        self.file("registry", ref).write_text(json.dumps(data))

    def file(self, place: str, ref: str) -> Path:
        """Name what the registry, or the engine, says of a reference."""
        return self.tools / place / ref.replace("/", "_").replace(":", "_")

    def matrix(self, *argv: str) -> tuple[int, str, str]:
        """Run matrix; give its exit code and what it printed."""
        places = {"UV_CACHE_DIR": str(self.tools / "uv"), "MATRIX_CACHE_DIR": str(self.tools / "cache"), "HOME": str(self.tools)}
        variables = {
            "PATH": os.pathsep.join([str(self.tools), "/usr/bin", "/bin"]),
            "PIP_CONFIG_FILE": os.devnull,
            "UV_DEFAULT_INDEX": self.index.url,
            "UV_HTTP_RETRIES": "0",
            **places,
        }
        done = run_forked([*argv], self.folder, variables, timeout_s=300)
        return done.returncode, done.stdout, done.stderr

    @property
    def lock(self) -> dict[str, Any]:
        """Read the lock."""
        return tomllib.loads((self.folder / "matrix.lock").read_text())

    def asked(self, words: str) -> list[str]:
        """Give the commands of docker that begin with these words."""
        path = self.tools / "docker.asked"
        return [line for line in path.read_text().splitlines() if line.startswith(words)] if path.exists() else []


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Give a project whose index has two versions of a package, and one that it requires."""
    index = Index()
    index.wheel("app", "1", "py3-none-any", "part>=1", "back; python_version < '3.13'")
    index.wheel("part", "1", "cp312-cp312-musllinux_1_2_x86_64")
    index.wheel("part", "1", "cp313-cp313-manylinux_2_17_x86_64")
    index.wheel("back", "1", "py3-none-any")
    with serve(index):
        yield Project(tmp_path, index)


def test_everything_is_locked_by_digest_and_by_hash(project: Project) -> None:
    """Each base on each platform, one resolution for all bases and Pythons, every file of every package; always the same text."""
    code, out, err = project.matrix("lock")
    assert (code, out) == (0, ""), err
    assert err == "wrote matrix.lock\nmatrix: 4 bases, 2 requirements files, 3 packages\n"
    text = (project.folder / "matrix.lock").read_text()
    assert_golden("matrix.lock", text)
    assert project.matrix("lock")[0] == 0
    assert (project.folder / "matrix.lock").read_text() == text
    assert len(project.asked("buildx imagetools")) == 8
    assert project.matrix("lock", "--check") == (0, "nothing has moved since matrix.lock was written\n", "")


def test_what_has_moved_is_said(project: Project) -> None:
    """Which base, which package from what to what, and which file; nothing is written."""
    project.matrix("lock")
    before = (project.folder / "matrix.lock").read_text()
    project.publish("python:3.12-slim", 0x100)
    same = {"digest": digest(50), "platform": {"os": "linux", "architecture": "amd64"}}
    moved_elsewhere = json.dumps({"digest": digest(0x200), "manifests": [same]})
    project.file("registry", "python:3.13-slim").write_text(moved_elsewhere)
    project.index.wheel("app", "2", "py3-none-any", "part>=1", "fresh")
    project.index.wheel("fresh", "1", "py3-none-any")
    (project.folder / "deps/none.txt").write_text("# a comment\n")
    for page in (project.tools / "uv").rglob("*.rkyv"):
        page.unlink()  # uv asks again
    code, out, err = project.matrix("lock", "--check")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        f"base python:3.12-slim (linux/amd64): {digest(18)[:19]} -> {digest(0x101)[:19]}",
        "deps/none.txt: the file has changed",
        "deps/app.txt: app 1 -> 2",
        "deps/app.txt: back 1 ; python_full_version < '3.13' -> not there",
        "deps/app.txt: fresh not there -> 1",
    ]
    assert (project.folder / "matrix.lock").read_text() == before


def test_a_registry_that_gives_nothing_is_named(project: Project) -> None:
    """With what to do about it, unless it has no such image and the engine has: then that is locked, and said."""
    for words, expected in (
        (
            "ERROR: failed to do request: dial tcp: lookup registry-1.docker.io: no such host",
            "cannot be reached for python:3.12-alpine",
        ),
        (
            "ERROR: toomanyrequests: You have reached your pull rate limit",
            "takes no more requests from here for now; try again later",
        ),
        ("ERROR: docker.io/library/python: not found", "has no python:3.12-alpine; mend the name, or build it here"),
        ("ERROR: 401 Unauthorized", "does not give python:3.12-alpine to us; `docker login docker.io`"),
    ):
        project.file("registry", "python:3.12-alpine").unlink(missing_ok=True)
        (project.tools / "refusal").write_text(words)
        code, _, err = project.matrix("lock")
        assert code == 4
        assert f"the registry docker.io {expected}" in err
        assert not (project.folder / "matrix.lock").exists()
    project.file("engine", "python:3.12-alpine").write_text(digest(77) + "\n")
    code, _, err = project.matrix("lock")
    assert code == 0
    assert "base python:3.12-alpine is locked to the image that only this engine has: the registry docker.io" in err
    assert project.lock["base"][0] == {
        "ref": "python:3.12-alpine",
        "platform": "linux/amd64",
        "digest": digest(77),
        "image": digest(77),
        "source": "engine",
    }
    (project.tools / "refusal").write_text("ERROR: failed to do request: dial tcp: i/o timeout")
    code, _, err = project.matrix("lock", "--check")
    assert (code, "cannot be reached for python:3.12-alpine" in err) == (4, True)
    project.file("engine", "python:3.12-alpine").write_text(digest(78) + "\n")
    code, _, err = project.matrix("run", "--locked", "--only", "alpine-3.12-app")
    assert code == 2
    assert f"base python:3.12-alpine is locked to the engine's {digest(77)[:19]}, and it has {digest(78)[:19]}" in err


def test_a_locked_run_builds_what_is_locked(project: Project) -> None:
    """Bases by digest, requirements with hashes in the Dockerfile's own place; both are in the record, and nothing is left."""
    project.matrix("lock")
    code, _, err = project.matrix("run", "--locked", "--only", "slim-3.12-app", "--no-trace", "--progress", "none")
    assert code == 1, err
    (build,) = project.asked("buildx build")
    assert f" --build-context python:3.12-slim=docker-image://python:3.12-slim@{digest(17)} " in build
    words = build.split()
    name = next(word for word in words if word.startswith("REQUIREMENTS=")).partition("=")[2]
    assert name.startswith("deps/.app.")
    assert name.endswith(".locked.txt")
    text = (project.tools / "docker.locked").read_text()
    assert "app==1 \\\n    --hash=sha256:" in text
    assert text.count("--hash=") == 4
    assert list((project.folder / "deps").glob(".*")) == []
    run = json.loads((project.folder / "reports/latest/run.json").read_text())
    assert run["inputs"]["lock_digest"].startswith("sha256:")
    assert run["cells"][0]["inputs"]["requirements_digest"].startswith("sha256:")
    (project.folder / "matrix.lock").write_text((project.folder / "matrix.lock").read_text() + "\n")
    code, _, err = project.matrix("run", "--resume", "latest")
    assert (code, err) == (2, "matrix: matrix.lock has changed since the run was started; start a new run\n")


def test_an_ignore_file_does_not_keep_the_locked_requirements_out(project: Project) -> None:
    """A context that lets in only what it names gets one line more, beside a copy of the very Dockerfile."""
    (project.folder / ".dockerignore").write_text("*\n!deps/app.txt")
    project.matrix("lock")
    assert project.matrix("run", "--locked", "--only", "slim-3.12-app", "--no-trace", "--progress", "none")[0] == 1
    words = project.asked("buildx build")[0].split()
    dockerfile = Path(words[words.index("--file") + 1])
    name = next(word for word in words if word.startswith("REQUIREMENTS=")).partition("=")[2]
    assert dockerfile.read_text() == DOCKERFILE
    assert dockerfile.with_name("Dockerfile.dockerignore").read_text() == f"*\n!deps/app.txt\n!{name}\n"
    assert words[-1] == "."


def test_an_ignore_file_may_be_in_any_encoding(project: Project) -> None:
    """Its comments are nobody's business."""
    (project.folder / ".dockerignore").write_bytes("# caf\xe9\n*.pyc\n".encode("latin-1"))
    project.matrix("lock")
    assert project.matrix("run", "--locked", "--only", "slim-3.12-app", "--no-trace", "--progress", "none")[0] == 1
    words = project.asked("buildx build")[0].split()
    copy = Path(words[words.index("--file") + 1]).with_name("Dockerfile.dockerignore")
    assert copy.read_bytes().startswith("# caf\xe9\n*.pyc\n!deps/.app.".encode("latin-1"))


def test_a_lock_is_made_of_what_uv_finds_at_our_indices(project: Project) -> None:
    """Wheels in a folder of this machine would be locked, and no container could install them; no file of uv's is written."""
    (project.folder / "wheels").mkdir()
    (project.folder / "wheels/app-9-py3-none-any.whl").write_bytes(make_wheel("app", "9", "py3-none-any"))
    (project.folder / "uv.toml").write_text('find-links = ["./wheels"]\n[pip]\noutput-file = "mine.lock"\n')
    (project.folder / "mine.lock").write_text("part==0.5\n")
    assert project.matrix("lock")[0] == 0
    assert project.lock["requirements"][0]["packages"][0] == "app==1"
    assert (project.folder / "mine.lock").read_text() == "part==0.5\n"


def test_a_run_says_where_its_forecast_was_right(project: Project) -> None:
    """What preflight said of the same cells is in the run's folder and in its report; the run asks no index for it."""
    assert project.matrix("preflight")[0] == 0
    project.index.status = 503
    code, out, err = project.matrix("run", "--only", "python=3.12", "--no-trace", "--progress", "none")
    assert code == 1, err
    assert "Foretold by matrix preflight: right for 1 of 4 cells; these say something:\n" in out
    (told,) = [line.split() for line in out.splitlines() if line.startswith("slim-3.12-app ")]
    assert (told[1], told[2], told[-1]) == ("build-failed", "build-failed", "yes")
    (kept,) = [one for one in json.loads((project.folder / "reports/latest/preflight.json").read_text())["cells"] if one["why"]]
    assert kept["why"] == ["part==1: wheels for glibc, musl only, no source"]
    (project.folder / "Dockerfile").write_text(DOCKERFILE + "USER 1\n")
    assert "Foretold" not in project.matrix("run", "--only", "slim-3.12-app", "--no-trace", "--progress", "none")[1]


def test_an_unlocked_run_is_not_resumed_as_a_locked_one(project: Project) -> None:
    """It would be half the one and half the other."""
    project.matrix("lock")
    assert project.matrix("run", "--only", "slim-3.12-none", "--no-trace", "--progress", "none")[0] == 1
    code, _, err = project.matrix("run", "--resume", "latest", "--locked")
    assert (code, err) == (2, "matrix: the run to be resumed was not locked; leave --locked out, or start a new run\n")


def test_a_lock_that_does_not_fit_is_refused(project: Project) -> None:
    """With everything that does not, before anything is built."""
    code, _, err = project.matrix("run", "--locked")
    assert (code, err) == (2, "matrix.lock: no such file; `matrix lock` writes it\n")
    project.matrix("lock")
    (project.folder / "deps/app.txt").write_text("app==1\n")
    (project.folder / "matrix.yaml").write_text(MATRIX.replace('"3.13"]', '"3.14"]').replace("none, app", "app, more"))
    (project.folder / "deps/more.txt").write_text("")
    code, out, err = project.matrix("run", "--locked")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "matrix.lock: deps/app.txt has changed since it was written",
        "matrix.lock: deps/more.txt is not in it",
        "matrix.lock: base python:3.14-alpine (linux/amd64) is not in it",
        "matrix.lock: base python:3.14-slim (linux/amd64) is not in it",
        "matrix.lock: does not fit matrix.yaml; `matrix lock` writes it anew",
    ]
    assert project.asked("buildx build") == []


def test_nobodys_code_runs_unless_it_is_allowed(project: Project) -> None:
    """A package without any wheel is named, with the option that lets its build run."""
    project.index.offer("legacy", "legacy-1.tar.gz", b"")
    (project.folder / "deps/app.txt").write_text("legacy\n")
    code, _, err = project.matrix("lock")
    assert code == 2
    words = "deps/app.txt: legacy has no wheel, so its build would have to be run to learn what it requires"
    assert f"{words}; `matrix lock --build` allows that" in err
