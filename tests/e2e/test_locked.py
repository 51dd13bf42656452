"""`matrix lock` and `matrix run --locked` against a real registry, whose tags move, and real engines."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import cells_of
from tests.lab.registry import push, serve_registry

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

DOCKERFILE = """\
FROM {base}
COPY --from={base} /version /copied
ARG REQUIREMENTS
COPY $REQUIREMENTS /requirements.txt
RUN ["/bin/busybox", "true"]
"""


def make_base(project: Project, base: str, version: str) -> None:
    """Give the engine an image that says its version; not built, since the build cache must not hold its layer."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add(project.folder / "busybox", "bin/busybox")
        said = tarfile.TarInfo("version")
        said.size = len(version)
        archive.addfile(said, io.BytesIO(version.encode()))
    subprocess.run(["docker", "import", "-", base], input=tar.getvalue(), capture_output=True, check=True)


@pytest.mark.long
@pytest.mark.index
def test_a_locked_run_builds_on_the_base_that_was_locked_though_its_tag_has_moved(placed: Project) -> None:
    """By digest, in FROM and in COPY --from; the record names it, `lock --check` says what moved, a free run gets the new one."""
    base = f"matrix-tests-locked:{time.time_ns()}"
    make_base(placed, base, "first")
    placed.folder.joinpath("requirements.txt").write_text("packaging==25.0\n")
    placed.folder.joinpath(".dockerignore").write_text("*\n!requirements.txt\n")
    run = ["/bin/busybox", "sh", "-c", "cat /version /copied; grep -c sha256: /requirements.txt || true"]

    def expect(words: str) -> None:
        defaults = {"requirements": "requirements.txt", "smoke": [{"run": run, "stdout": words}], "libc": "glibc"}
        placed.write(axes={"python": ["3.12"]}, defaults=defaults)

    with serve_registry([base], beside=placed.beside) as address:
        placed.folder.joinpath("Dockerfile").write_text(DOCKERFILE.format(base=f"{address}/library/{base}"))
        expect("firstfirst2")
        placed.matrix("lock")
        lock = tomllib.loads(placed.folder.joinpath("matrix.lock").read_text())
        (locked,) = lock["base"]
        assert (locked["ref"], locked["source"]) == (f"{address}/library/{base}", "registry")
        make_base(placed, base, "second")
        push(base, address)

        first = cells_of(placed.run("--locked"))["3.12"]
        assert [(one["ref"], one["digest"]) for one in first["inputs"]["base"]] == [(locked["ref"], locked["digest"])]
        assert first["image"]["over_base_bytes"] < 50_000

        moved = placed.matrix("lock", "--check", exit_code=1).stdout
        assert moved.startswith(f"base {locked['ref']} (linux/amd64): {locked['digest'][:19]} -> ")

        expect("secondsecond0")
        (free,) = cells_of(placed.run())["3.12"]["inputs"]["base"]
        assert free["digest"][:19] == moved.split()[-1]


@pytest.mark.builder_image
def test_a_lock_asks_the_mirrors_that_the_builder_asks(project: Project) -> None:
    """The base is on Docker Hub by its name, and on the loopback in truth."""
    base = f"matrix-tests-mirrored:{time.time_ns()}"
    make_base(project, base, "first")
    project.folder.joinpath("Dockerfile").write_text(f"FROM {base}\n")
    with serve_registry([base]) as address:
        name = f"matrix-tests-mirrors-{os.getpid()}"
        builder = {"driver": "docker-container", "name": name, "network": "host", "mirrors": {"docker.io": [address]}}
        project.write(builder=builder, defaults={"smoke": [{"run": ["/bin/busybox", "cat", "/version"], "stdout": "^first$"}]})
        try:
            project.matrix("bootstrap")
            project.matrix("lock")
            (locked,) = tomllib.loads(project.folder.joinpath("matrix.lock").read_text())["base"]
            assert (locked["ref"], locked["source"]) == (base, "registry")
            make_base(project, base, "second")
            push(base, address)
            (built,) = cells_of(project.run("--locked"))["one"]["inputs"]["base"]
            assert built["digest"] == locked["digest"]
        finally:
            project.docker("buildx", "rm", "--force", name)
