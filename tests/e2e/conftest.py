"""A project of tiny images, and the installed `matrix` to run on it."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.conftest import BUILDER_IMAGE, OF_THE_IMAGE, buildkitd
from tests.forked import run_forked
from tests.lab.__main__ import HAS_TINY
from tests.lab.engine import CLASSIC, TINY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.engine import EngineSpec

_NEEDING_MORE = ("answering", "lab", "builder_image", "remote")  # than an engine in a network of its own
_LOOK_S = 0.05  # what is waited for lies in files and in the engine, which tell nobody
MATRIX = str(Path(sys.executable).with_name("matrix"))

# What is started by its name; a shell of busybox has the others in itself. All 269 took 0.05 s to unpack for each check.
_STARTED = "cat echo false httpd ls mkdir rm seq sh sleep test touch true wget yes"
TOOLS = f'RUN ["/bin/busybox", "sh", "-c", "for name in {_STARTED}; do ln -s busybox /bin/$name; done"]'
DOCKERFILE = f"""\
FROM scratch
COPY busybox /bin/busybox
{TOOLS}
ARG DO=true
RUN eval "$DO"
CMD ["sleep", "100"]
"""


@dataclass
class Project:
    """A folder with a matrix.yaml, and the ways to use it."""

    folder: Path
    place: str = "containerd"
    jobs: int | None = 2  # whatever machine this is; with none, as many as matrix takes by itself
    traced: bool = False  # what is not about traces does without: fetching them takes a command for each run
    environment: dict[str, str] = field(default_factory=dict)
    beside: EngineSpec | None = None  # the engine, where it has a network of its own
    endpoint: str | None = None  # of a BuildKit that runs by itself

    def write(self, **parts: Any) -> None:
        """Write matrix.yaml: a matrix of tiny images, with these parts changed."""
        driver = self.place if self.place in OF_THE_IMAGE else "docker"
        reached = {"endpoint": self.endpoint, "name": name_for(self.endpoint)} if self.endpoint else {}
        matrix: dict[str, Any] = {
            "version": 1,
            "name": "tiny",
            "axes": {"kind": ["one"]},
            "builder": {"driver": driver, "name": "matrix-tests", **reached},
            **parts,
        }
        matrix["defaults"] = {"context": ".", "dockerfile": "Dockerfile", "network": "none", **matrix.get("defaults", {})}
        self.folder.joinpath("matrix.yaml").write_text(yaml.safe_dump(matrix, sort_keys=False))

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start the installed `matrix` and leave it running."""
        return subprocess.Popen(
            [MATRIX, *self._words(words)],
            cwd=self.folder,
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_in_another_network(self, *words: str, exit_code: int) -> dict[str, Any]:
        """Run the matrix where the engine's socket is found, but none of its containers; give its run.json."""
        argv = ["unshare", "--net", MATRIX, *self._words(("run", "--progress", "none", *words))]
        done = subprocess.run(
            argv, cwd=self.folder, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == exit_code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return self.record()

    def matrix(self, *words: str, exit_code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `matrix` to its end, and expect an exit code."""
        variables = {**os.environ, **self.environment, **environment}
        done = run_forked(self._words(words), self.folder, variables, timeout_s=300)
        assert done.returncode == exit_code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def _words(self, words: tuple[str, ...]) -> list[str]:
        if words[0] != "run":
            return list(words)
        more = [] if self.traced else ["--no-trace"]
        return [*words, *more, *([] if self.jobs is None or "--jobs" in words else ["--jobs", str(self.jobs)])]

    def run(self, *words: str, exit_code: int = 0, **environment: str) -> dict[str, Any]:
        """Run the matrix, and give its run.json."""
        self.matrix("run", "--progress", "none", *words, exit_code=exit_code, **environment)
        return self.record()

    def record(self) -> dict[str, Any]:
        """Read the newest run.json."""
        found: dict[str, Any] = json.loads(self.latest.joinpath("run.json").read_bytes())
        return found

    @property
    def latest(self) -> Path:
        """Give the newest run's folder."""
        return (self.folder / "reports" / "latest").resolve()

    def events(self) -> list[dict[str, Any]]:
        """Read the newest run's journal."""
        return [json.loads(line) for line in self.latest.joinpath("events.jsonl").read_text().splitlines()]

    def take_image(self, tar: bytes, name: str) -> None:
        """Give the engine an image; not built, since the build cache must not hold its layer."""
        words = ["docker", "import", "-", name]
        subprocess.run(words, env={**os.environ, **self.environment}, input=tar, capture_output=True, check=True)

    def docker(self, *words: str) -> str:
        """Ask the engine something; again, where a list is spoilt by what other tests remove meanwhile."""
        for _ in range(3):
            done = subprocess.run(
                ["docker", *words], env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                return done.stdout
        raise AssertionError(done.stderr)


def name_for(endpoint: str) -> str:
    """Name the builder of an address, so that no two tests share one."""
    return f"matrix-tests-{endpoint.rpartition(':')[2]}"


def cells_of(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give a record's cells by id."""
    return {cell["id"]: cell for cell in record["cells"]}


def events_so_far(project: Project) -> list[dict[str, Any]]:
    """Read the journal of a run under way, if there is one yet."""
    return project.events() if project.latest.joinpath("events.jsonl").is_file() else []


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something is true of a run under way."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it never came true"
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)
            pytest.fail(f"the run ended before: {process.communicate()[1]}")


@pytest.fixture
def project(tmp_path: Path, engine: None, busybox: Path, request: pytest.FixtureRequest) -> Project:
    """Give a project on an engine in which there is nothing but such projects, where it runs, or on the one that answers.

    What lies in an engine costs time whenever something is removed from it.
    """
    shutil.copy(busybox, tmp_path / "busybox")
    tmp_path.joinpath("Dockerfile").write_text(DOCKERFILE)
    needs_more = any(request.node.get_closest_marker(mark) for mark in _NEEDING_MORE)
    if os.environ.get(HAS_TINY) == "yes" and not needs_more:
        return Project(tmp_path, environment=TINY.environment, beside=TINY)
    return Project(tmp_path)


@pytest.fixture(scope="session")
def daemon(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a BuildKit that no builder of docker's knows of, and give its address: by its program, or by its image."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    program = buildkitd()
    with _started(program, address, tmp_path_factory.mktemp("buildkit")) if program else _contained(address):
        yield address
        subprocess.run(["docker", "buildx", "rm", "--force", name_for(address)], capture_output=True, check=False)


@contextmanager
def _started(program: str, address: str, folder: Path) -> Iterator[None]:
    config = folder / "buildkitd.toml"
    config.write_text("[worker.containerd]\nenabled = false\n")
    words = [program, "--config", str(config), "--root", str(folder / "root"), "--addr", address]
    with folder.joinpath("log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as child:
        try:
            yield
        finally:
            child.terminate()


@contextmanager
def _contained(address: str) -> Iterator[None]:
    words = ["docker", "run", "--detach", "--rm", "--privileged", "--network", "host", BUILDER_IMAGE, "--addr", address]
    box = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    try:
        yield
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", box], capture_output=True, check=True)


@pytest.fixture
def placed(project: Project, place: str, request: pytest.FixtureRequest) -> Project:
    """Give a project for each way of building that is here."""
    project.place = place
    if place in OF_THE_IMAGE:
        project.environment, project.beside = {}, None
    if place == "remote":
        project.endpoint = request.getfixturevalue("daemon")
    if place == "classic":
        project.environment, project.beside = CLASSIC.environment, CLASSIC
    return project


def move_base(project: Project, name: str, *files: str) -> None:
    """Let a name stand for another image: what is built on it looks unchanged until it is built."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add(project.folder / "busybox", "bin/busybox")
        for path in ("at", *files):
            content = f"{time.time_ns()}\n".encode()
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    project.take_image(tar.getvalue(), name)
