"""What the drills share: how often each is done, the engine that they may break, a project of tiny images."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import DOCKERFILE, Project
from tests.faults.engine.laboratory import engine_on_its_own_disk
from tests.lab.__main__ import NO_ENGINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.lab.engine import EngineSpec


@pytest.fixture(autouse=True)
def _no_process_and_no_network() -> None:
    """Let these drills start what they like: they are no drills of files."""


@pytest.fixture(autouse=True)
def _cache_of_its_own() -> None:
    """Let these drills have the cache that the lab has."""


def times(quick: int, whole: int) -> int:
    """Say how often a drill is done: a few times by `make test`, often by `make drills`."""
    return int(os.environ.get("DRILL_TIMES", whole)) if os.environ.get("DRILLS") else quick


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to `make drills` what takes long."""
    if not os.environ.get("DRILLS"):
        left_out = [item for item in items if item.get_closest_marker("whole")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def drilled() -> Iterator[EngineSpec]:
    """Give the engine that drills may break; where none can be brought up they are skipped."""
    if reason := os.environ.get(NO_ENGINE):
        pytest.skip(reason)
    with engine_on_its_own_disk() as spec:
        yield spec


def make_project(folder: Path, busybox: Path, spec: EngineSpec | None = None) -> Project:
    """Lay out a project of tiny images, with a cache and a place for passing files of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(busybox, folder / "busybox")
    folder.joinpath("Dockerfile").write_text(DOCKERFILE)
    for name in ("cache", "passing"):
        folder.joinpath(name).mkdir(exist_ok=True)
    own = {"MATRIX_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder / "passing")}
    return Project(folder, environment={**(spec.environment if spec else {}), **own})


@pytest.fixture
def fresh(tmp_path: Path, busybox: Path, drilled: EngineSpec) -> Callable[[str], Project]:
    """Give what makes project after project on the engine that drills may break."""
    return lambda name: make_project(tmp_path / name, busybox, drilled)
