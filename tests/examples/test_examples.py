"""The examples: each one's plan, its Dockerfile's lint, and a short run on stand-in bases."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from orchestrator.standins import VARIABLE
from tests.conftest import buildx
from tests.e2e.conftest import Project, cells_of
from tests.lab.bases import ensure_bases, save_description

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("installers", "node-grpc", "slow-step")
CELLS = {
    "installers": [f"{base}-3.13-{installer}" for base in ("slim", "alpine") for installer in ("pip", "uv", "poetry")],
    "node-grpc": [f"{base}-18-{client}" for base in ("alpine", "slim") for client in ("grpc-js", "grpc-native")],
    "slow-step": ["yes", "no"],
}
# What a file that was made for glibc is told on musl: an addon by the loader, a program by the kernel.
ON_MUSL = """\
FROM node:18-slim AS glibc
FROM python:3.13-alpine
COPY --from=glibc /usr/bin/node /usr/bin/
COPY --from=glibc /usr/lib/x86_64-linux-gnu/libstdc++.so.6 /srv/addon.node
"""


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def stand_ins(engine: None) -> Path:
    """Make the stand-ins once, and give the file that says what they lack."""
    ensure_bases(["slim-3.13", "alpine-3.13", "node-18"])
    return save_description()


@pytest.fixture
def example(tmp_path: Path, stand_ins: Path) -> Callable[..., Project]:
    """Give a function that copies an example, to be built by the engine itself on stand-ins."""

    def copied(example_name: str | None, **parts: Any) -> Project:
        if example_name:
            shutil.copytree(EXAMPLES / example_name, tmp_path, ignore=shutil.ignore_patterns("reports"), dirs_exist_ok=True)
            parts = {**yaml.safe_load((EXAMPLES / example_name / "matrix.yaml").read_text()), **parts}
        # Only the engine itself sees the stand-ins; a mirror or a proxy may be at this machine's own address.
        parts["builder"] = {"driver": "docker"}
        parts["defaults"] = {**parts["defaults"], "network": "host"}
        tmp_path.joinpath("matrix.yaml").write_text(yaml.safe_dump(parts, sort_keys=False))
        bundle = ssl.get_default_verify_paths().cafile
        trust = {"SSL_CERT_FILE": bundle} if bundle else {}
        return Project(tmp_path, environment={VARIABLE: str(stand_ins), **trust})

    return copied


def test_every_example_is_known_here() -> None:
    """A new folder is to be tested as the others are."""
    assert sorted(path.parent.name for path in EXAMPLES.glob("*/matrix.yaml")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_plan_of_an_example_is_valid(name: str) -> None:
    """Without an engine; the cells are those that its README speaks of."""
    done = Project(EXAMPLES / name).matrix("plan", "--format", "ids")
    assert done.stdout.split() == CELLS[name]
    assert EXAMPLES.joinpath(name, "README.md").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_no_lock_of_an_example_names_where_packages_come_from(name: str) -> None:
    """Whoever builds it has an index or a registry of their own."""
    for path in EXAMPLES.joinpath(name).rglob("package-lock.json"):
        packages = json.loads(path.read_bytes())["packages"]
        assert not [key for key, package in packages.items() if "resolved" in package]
    for path in EXAMPLES.joinpath(name).rglob("poetry.lock"):
        assert "[package.source]" not in path.read_text()


def test_pip_and_uv_install_the_versions_of_poetrys_lock() -> None:
    """Otherwise the installers would not be what differs."""
    folder = EXAMPLES / "installers"
    lock = folder.joinpath("poetry.lock").read_text().split("[[package]]")[1:]
    locked = {block.split('"')[1]: block.split('"')[3] for block in lock}
    required = dict(line.split("==") for line in folder.joinpath("requirements.txt").read_text().splitlines())
    assert required.items() <= locked.items()
    assert set(locked) - set(required) <= {"colorama"}  # of Windows alone


@pytest.mark.engine
@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_the_dockerfile_of_an_example_passes_its_lint(name: str, stand_ins: Path) -> None:
    """Buildx's own checks, without a warning."""
    words = [*buildx(), "build", "--builder", "default", "--check", str(EXAMPLES / name)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no warnings found" in done.stdout + done.stderr


@pytest.mark.engine
@pytest.mark.lab
def test_installers_builds_a_service_that_answers(example: Callable[..., Project]) -> None:
    """With uv, which is the quickest, on glibc and on musl."""
    cells = cells_of(example("installers").run("--only", "installer=uv"))
    assert {id_: cell["status"] for id_, cell in cells.items()} == {"slim-3.13-uv": "passed", "alpine-3.13-uv": "passed"}


@pytest.mark.engine
@pytest.mark.lab
def test_slow_step_tells_the_steps_apart(example: Callable[..., Project]) -> None:
    """Whether they were executed just now or came from the cache."""
    (cell,) = example("slow-step").run("--only", "recommends=no")["cells"]
    assert cell["status"] == "passed"
    steps = [step["name"] for step in cell["build"]["steps"] if " RUN " in step["name"]]
    assert len(steps) == 3
    assert sum("imagemagick" in step for step in steps) == 1, "in any order: what the cache holds is over at once"


@pytest.mark.engine
@pytest.mark.lab
def test_node_grpc_calls_with_one_client_and_expects_the_other_not_to_install(example: Callable[..., Project]) -> None:
    """On glibc; the stand-ins have no Node for musl, and the cells say so."""
    cells = cells_of(example("node-grpc").run())
    assert {id_: (cell["status"], cell["as_expected"]) for id_, cell in cells.items() if id_.startswith("slim")} == {
        "slim-18-grpc-js": ("passed", True),
        "slim-18-grpc-native": ("build-failed", True),
    }
    skipped = {id_: cell["reason"] for id_, cell in cells.items() if cell["status"] == "skipped"}
    assert skipped == dict.fromkeys(CELLS["node-grpc"][:2], "no stand-in for node:18-alpine: Debian has no Node for musl")


@pytest.mark.engine
@pytest.mark.lab
def test_what_was_made_for_glibc_is_named_when_it_does_not_start_on_musl(example: Callable[..., Project]) -> None:
    """A native addon, and Node itself, as they would come from a machine or a stage with glibc."""
    load = "import ctypes; ctypes.CDLL('/srv/addon.node')"
    smoke: list[dict[str, Any]] = [{"run": ["python3", "-c", load]}, {"run": ["node", "--version"]}]
    defaults = {"context": ".", "dockerfile": "Dockerfile", "libc": "musl", "smoke": smoke}
    project = example(None, version=1, name="on-musl", axes={"base": ["alpine"]}, defaults=defaults)
    project.folder.joinpath("Dockerfile").write_text(ON_MUSL)
    (cell,) = project.run(exit_code=1)["cells"]
    assert cell["status"] == "smoke-failed"
    addon, node = cell["smoke"]["checks"]
    assert "Error loading shared library ld-linux-x86-64.so.2: No such file or directory" in f"{addon['reason']} {addon['detail']}"
    assert node["outcome"] == "failed"
    assert "node" in node["reason"]
