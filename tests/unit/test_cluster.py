"""A builder in pods: which of them is asked for a build, and which folder that follows from."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.docker import dial as door
from orchestrator.docker.builder import Builder
from orchestrator.docker.cluster import RANDOM, STICKY, find_choice, find_routes, make_route
from orchestrator.docker.history import BuilderHistory
from orchestrator.docker.nodes import Existing
from orchestrator.errors import EngineError
from orchestrator.model import Cell, Route, Settings
from tests.unit.docker_fake import make_engine

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ENGINE = make_engine(storage="", containerd_store=True)
PODS = Builder("cluster", "kubernetes", "v0.32.2", exports_oci=True, did="", pods=STICKY)


def a_node(**options: str) -> Existing:
    """Make a node with options."""
    return Existing("kubernetes", options, "", "kubernetes:///cluster", "v0.32.2")


def test_pods_are_chosen_where_a_node_has_several() -> None:
    """By the context's folder unless chance was asked for; of one pod there is no choice."""
    assert find_choice(a_node(namespace="ci")) is None
    assert find_choice(a_node(replicas="1", loadbalance="random")) is None
    assert find_choice(a_node(replicas="2")) == STICKY
    assert find_choice(a_node(replicas="2", loadbalance="random")) == RANDOM
    assert find_choice(replace(a_node(), others=(a_node(replicas="3"),))) == STICKY


def test_builds_of_one_context_go_one_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named as buildx names it, by the links that were gone through; what is fetched, or has one pod to go to, has no folder."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    monkeypatch.chdir(real)
    monkeypatch.setenv("PWD", str(link))
    assert make_route(PODS, "linux/amd64", "../a/./b") == Route("linux/amd64", str(tmp_path / "a/b"))
    assert make_route(PODS, None, ".") == Route(None, str(link))
    monkeypatch.setenv("PWD", "/nowhere")
    assert make_route(PODS, None, ".") == Route(None, str(real))
    cells = [
        Cell(name, (), Settings(context=where)) for name, where in [("a", "x"), ("b", "x/"), ("c", "https://example.com/x.git")]
    ]
    assert find_routes(PODS, cells, tmp_path) == {Route(None, str(tmp_path / "x")), Route()}
    assert find_routes(replace(PODS, pods=None), cells, tmp_path) == {Route()}


def test_a_pod_is_asked_from_the_folder_that_leads_to_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By its own working folder buildx chooses whom it connects to."""
    asked: list[str | None] = []

    @contextmanager
    def carrying(
        _: list[str], connection: socket.socket, said: IO[bytes], env: Mapping[str, str], folder: str | None
    ) -> Iterator[None]:
        assert said.readable()
        assert env
        asked.append(folder)
        with connection:
            yield

    monkeypatch.setattr(door, "carrying", carrying)
    for route in (Route(None, str(tmp_path)), Route()):
        with door.dial(ENGINE, PODS, route):
            pass
    assert asked == [str(tmp_path), None]


def test_pods_that_are_chosen_by_chance_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be waited in vain for the trace of each build that another one has."""
    monkeypatch.setattr(tempfile, "TemporaryFile", None)  # nothing is opened
    history = BuilderHistory(ENGINE, replace(PODS, pods=RANDOM), frozenset([Route()]))
    for ask in (history.connect, lambda: history.trace_of("cluster/cluster0/ref", Route())):
        with pytest.raises(EngineError, match=r"^which of its pods builds is left to chance \(loadbalance: random\)"):
            ask()
