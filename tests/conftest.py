"""What all tests share: the engines, and the tiny image that most of them build on."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
from functools import cache
from pathlib import Path

import pytest

from orchestrator.docker.engine import connect
from orchestrator.index.simple import PackageIndex
from orchestrator.index.sources import load_sources
from orchestrator.index.troubles import PackageIndexError
from tests.lab.__main__ import HAS_CLASSIC, NO_ENGINE
from tests.lab.bases import ensure_bases
from tests.lab.debian import unpacked
from tests.lab.engine import CLASSIC, answers

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell hands it on to what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
gc.set_threshold(50_000, 50, 50)  # looking for circles among what pytest and the libraries keep took a third of the unit tests
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read when grpc is imported: what its core says is no part of any test
BUILDER_IMAGE = "moby/buildkit:buildx-stable-1"
OF_THE_IMAGE = ("docker-container", "remote")
ALL_FAULTS = os.environ.get("FAULTS") == "all"  # they take minutes; tests/golden/logs has what they said, for the unit tests
QUICK = ("tests/unit/", "tests/properties/", "tests/views/")
DRILLS = "tests/faults/engine/"
ALONE = ("tests/e2e/", "tests/integration/")
NEEDS = {"builder_image": "docker-container", "remote": "remote"}
PLACES = ("containerd", "classic", *OF_THE_IMAGE)


@cache
def missing_engine() -> str | None:
    """Say why tests cannot have an engine, or give None when one answers."""
    if reason := os.environ.get(NO_ENGINE):
        return reason
    try:
        done = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no docker command; `make test` brings an engine up"
    return None if done.returncode == 0 else f"no engine answers ({done.stderr.strip()}); `make test` brings one up"


@cache
def missing_index() -> str | None:
    """Say why tests cannot have the package index, or give None when it answers."""
    index = load_sources(os.environ, Path.cwd()).default
    try:
        PackageIndex(load_sources(os.environ, Path.cwd())).fetcher.get(f"{index.rstrip('/')}/pip/", "text/html", 64 * 1024**2)
    except PackageIndexError as error:
        return str(error)
    return None


@cache
def places() -> tuple[str, ...]:
    """Name the ways an image can be built here: both image stores, a builder in a container, and one that is only reached."""
    found = ["containerd"]
    if missing_engine() is None:
        words = ["docker", "image", "inspect", BUILDER_IMAGE]
        has_image = subprocess.run(words, capture_output=True, check=False).returncode == 0
        found += OF_THE_IMAGE if has_image else ["remote"] if buildkitd() else []
        found += ["classic"] if os.environ.get(HAS_CLASSIC) == "yes" else []
    return tuple(found)


@cache
def buildkitd() -> str | None:
    """Find a BuildKit that can be started beside the engine; it takes root to run steps."""
    return shutil.which("buildkitd") if os.geteuid() == 0 else None


@cache
def buildx() -> tuple[str, ...]:
    """Give the words that start buildx by itself: docker starts it twice, and takes longer than a build of cached steps."""
    return connect().buildx_argv


def pytest_report_header() -> str:
    """Say what is tested here, and what cannot be: a builder image that no registry gives is no failure."""
    lacking = [place for place in PLACES if place not in places()]
    return f"built with: {', '.join(places())}" + (f"; not to be had here: {', '.join(lacking)}" if lacking else "")


def pytest_configure(config: pytest.Config) -> None:
    """Start once what all workers take their forks of `matrix` from."""
    if config.getoption("numprocesses", None):
        from tests.forked import reach_server  # noqa: PLC0415  # takes a while, and unit tests alone need none

        reach_server()


def pytest_collection_finish() -> None:
    """Leave what is there before the first test out of every search for circles: it stays to the end."""
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a `place` once for each way of building that is here."""
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", places())


@pytest.fixture(scope="session")
def engine() -> None:
    """Make sure that an engine answers; without one the test is skipped, and in CI that is a failure."""
    if reason := missing_engine():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def package_index() -> None:
    """Make sure that the configured package index answers; as with the engine, doing without is a failure in CI."""
    if reason := missing_index():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def bases(engine: None) -> None:
    """Make sure that the stand-in bases are in the engine; they take minutes once, and are cached."""
    ensure_bases()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a builder image where there is none, as the header says, and faults that nobody asked for.

    Give `lab` and `index` tests what they need.
    """
    lacking = [mark for mark, place in NEEDS.items() if place not in places()]
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in lacking)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    if not ALL_FAULTS:
        items[:] = [item for item in items if not item.get_closest_marker("fault")]
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("lab"):
            item.fixturenames.insert(0, "bases")
        if isinstance(item, pytest.Function) and item.get_closest_marker("index"):
            item.fixturenames.insert(0, "package_index")
    items[:] = deal(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def deal(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Put tests in an order in which all workers are busy to the end.

    xdist gives each worker a piece of the list, all of a length, and takes from
    the ends of others what is left. So each piece begins with tests that need an
    engine, those that wait long among the others, and ends with quick ones.
    Tests of a file stay together where they may share what is costly to make;
    those on stand-in bases are one worker's, which makes the bases where there
    are none while the others go on.
    """
    if workers == 1:
        return items
    quick = [item for item in items if item.nodeid.startswith(QUICK)]
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        if not item.nodeid.startswith(QUICK):
            groups.setdefault(_sharing(item.nodeid), []).append(item)
    dealt: list[list[list[pytest.Item]]] = [[] for _ in range(workers)]
    for group in sorted(groups.values(), key=_is_long, reverse=True):
        on_bases = any(item.get_closest_marker("lab") for item in group)
        (dealt[0] if on_bases else min(dealt, key=lambda own: sum(map(len, own)))).append(group)
    pieces = [[item for group in _mixed(own) for item in group] for own in dealt]
    for at, piece in enumerate(pieces):
        room = max(0, (len(items) + at) // workers - len(piece))  # as xdist cuts the list
        piece.extend(quick[:room])
        del quick[:room]
    return [item for piece in pieces for item in piece] + quick


def _is_long(group: list[pytest.Item]) -> bool:
    return any(item.get_closest_marker("long") for item in group)


def _mixed(groups: list[list[pytest.Item]]) -> list[list[pytest.Item]]:
    """Put those that wait long among the others: were all at the beginning, no worker would have anything to do then."""
    long, others = ([group for group in groups if _is_long(group) is kind] for kind in (True, False))
    each = len(others) // (len(long) + 1)
    parts = [[group, *others[at * each : (at + 1) * each]] for at, group in enumerate(long)]
    return [group for part in parts for group in part] + others[len(long) * each :]


def _sharing(nodeid: str) -> str:
    """Name what a test shares with others: its file, as a rule; the drills, an engine that is made for them."""
    if nodeid.startswith(ALONE):
        return nodeid
    return DRILLS if nodeid.startswith(DRILLS) else nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def classic_engine(engine: None) -> dict[str, str]:
    """Give the variables of the engine with the classic image store, which `make test` starts beside where it may."""
    if "classic" not in places():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no engine with the classic image store runs beside")
    assert answers(CLASSIC.environment), "the second engine of the lab does not answer"
    return CLASSIC.environment


@pytest.fixture(scope="session")
def busybox() -> Path:
    """Give a static busybox: all that a tiny image needs."""
    return unpacked("busybox-static") / "bin/busybox"
