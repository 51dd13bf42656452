"""The pod that builds, looked at while it does: a build whose pod is gone is tried again, and no other."""

from __future__ import annotations

from contextlib import contextmanager
from queue import Queue
from threading import Event, Semaphore
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator import building
from orchestrator.docker import pulse
from orchestrator.docker.build import Target
from orchestrator.docker.builder import Builder
from orchestrator.docker.process import Exit
from orchestrator.docker.pulse import Pulse, Watched, open_pulse
from orchestrator.errors import EngineError
from orchestrator.model import Status
from orchestrator.store import RunFolder
from orchestrator.workshop import CancelledError
from tests.unit.docker_fake import make_engine
from tests.unit.folders import make_files, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.docker.process import Signal

ENGINE = make_engine(storage="", containerd_store=True)
POD = Builder("cluster", "kubernetes", "v0.32.2", exports_oci=True, did="")
AWAY = "no running buildkit pods found"


class Looks:
    """Who is seen at each look, by name; nobody by that of an error."""

    def __init__(self) -> None:
        """See nobody yet."""
        self.names = Queue[str]()
        self.begun = Semaphore(0)

    def __call__(self, platform: str | None) -> str:
        """Look once."""
        assert platform == "linux/amd64"
        self.begun.release()
        if (name := self.names.get(timeout=10)) == AWAY:
            raise EngineError(AWAY)
        return name

    def see(self, *names: str) -> None:
        """Be seen one after another, and know that the last one was made up one's mind about."""
        for name in names:
            assert self.begun.acquire(timeout=10)
            self.names.put(name)
        assert self.begun.acquire(timeout=10)
        self.begun.release()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Looks]:
    """Look again at once; in the end somebody is seen, so that nobody is waited for."""
    monkeypatch.setattr(pulse, "_FIRST_S", 0)
    monkeypatch.setattr(pulse, "_LOOK_S", 0)
    found = Looks()
    yield found
    for _ in range(4):
        found.names.put("one")


def test_a_build_is_ended_when_another_builds_in_its_place(looks: Looks) -> None:
    """Not the one that began after that, nor one whose pod is always the same."""
    watching = Pulse(looks)
    with watching.watch("linux/amd64", Event()) as first:
        looks.see("one", "one")
        assert not first.is_set()
        looks.see("two")
        assert first.is_set()
        with watching.watch("linux/amd64", Event()) as second:
            looks.see("two", "two")
            assert (first.is_set(), second.is_set()) == (True, False)


def test_a_cluster_that_is_silent_for_a_while_ends_nothing(looks: Looks) -> None:
    """Until it has been for long; a run that is cancelled ends a build at once."""
    cancel = Event()
    with Pulse(looks).watch("linux/amd64", cancel) as build:
        looks.see("one", AWAY, AWAY, AWAY, "one", AWAY, AWAY, AWAY)
        assert not build.is_set()
        looks.see(AWAY)
        assert build.is_set()
    with Pulse(looks).watch("linux/amd64", cancel) as build:
        cancel.set()
        assert build.is_set()


def test_a_check_that_takes_too_long_may_have_nobody_who_runs_it() -> None:
    """So it is looked once more; who comes after that is nobody's loss, and who was never seen cannot be missed."""
    seen = ["one"]
    vigil = pulse._Vigil(lambda: seen[0])  # noqa: SLF001  # whose thread would look in between
    check = Watched(Event(), vigil, 0)
    assert not check.is_lost()
    vigil.known = "one"
    assert not check.is_lost()
    seen[0] = "two"
    assert (check.is_lost(), check.is_lost(), vigil.losses) == (True, True, 1)
    assert not Watched(Event(), vigil, 1).is_lost()


def test_only_single_pods_are_watched() -> None:
    """Whoever else is away says so, or cannot be told from the others."""
    assert open_pulse(ENGINE, POD) is not None
    assert open_pulse(ENGINE, replace(POD, pods="sticky")) is None
    assert open_pulse(ENGINE, replace(POD, driver="remote")) is None


def test_a_build_whose_pod_is_gone_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Dockerfile has done nothing wrong, and it has not taken too long; a run that is cancelled is another matter."""
    make_files(tmp_path, "Dockerfile")
    (cell,) = plan_of("axes: {a: [x]}\n", tmp_path).cells
    gone, cancel = Event(), Event()

    @contextmanager
    def watch(_: str | None) -> Iterator[Signal]:
        yield gone

    def run_build(_: list[str], *, cancel: Signal, **__: object) -> Exit:
        assert cancel is gone
        return Exit(None, cancelled=True)

    monkeypatch.setattr(building, "run_build", run_build)
    shop: Any = SimpleNamespace(
        engine=ENGINE,
        builder=POD,
        name="m",
        folder=tmp_path,
        store=SimpleNamespace(folder=tmp_path / "images"),
        run=RunFolder(tmp_path / "run"),
        emit=lambda _: None,
        jobs=1,
        cancel=cancel,
        watch=watch,
    )
    traced: Any = SimpleNamespace(span=SimpleNamespace(trace_id="1" * 32, span_id="2" * 16))
    built = building.build_cell(shop, cell, Target(None, None), traced)
    assert built.failure is not None
    assert (built.status, built.failure.passing) == (Status.ERROR, True)
    assert built.failure.reason == "the pod that built it is gone, for which buildx would have waited on"
    cancel.set()
    with pytest.raises(CancelledError):
        building.build_cell(shop, cell, Target(None, None), traced)
