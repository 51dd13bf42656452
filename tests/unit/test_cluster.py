"""A builder in pods: whose cluster it is in, how long it is waited for, and which pod is asked for a build."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from orchestrator.docker import dial as door
from orchestrator.docker import process
from orchestrator.docker.builder import Builder, ensure_builder, remove_builder
from orchestrator.docker.cluster import RANDOM, STICKY, find_choice, find_other_cluster, find_routes, make_route
from orchestrator.docker.history import BuilderHistory
from orchestrator.docker.nodes import Existing
from orchestrator.docker.process import Exit, Output
from orchestrator.errors import EngineError
from orchestrator.failures import classify_failure
from orchestrator.model import BuilderSpec, Cell, Route, Settings
from tests.unit.docker_fake import Answer, FakeDocker, make_engine

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PODS_OF_CI = """\
Name:          matrix
Driver:        kubernetes

Nodes:
Name:                  matrix0
Endpoint:              kubernetes:///matrix?deployment=buildkit-9760c44e-634fb&kubeconfig=
Driver Options:        image="moby/buildkit:buildx-stable-1" namespace="ci"
Status:                running
BuildKit version:      v0.32.2
Platforms:             linux/amd64
"""
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


ABSENT: Answer = (1, 'ERROR: no builder "matrix" found')
IN_CI = BuilderSpec(driver="kubernetes", options=(("namespace", "ci"), ("timeout", "10m30s")))


def test_pods_are_waited_for_as_long_as_buildx_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a cluster that has to fetch a machine first would be given up before its time."""
    limits: list[float] = []

    def run(argv: list[str], *, timeout_s: float = 0.0, **_: object) -> Output:
        if "create" in argv:
            limits.append(timeout_s)
        return Output(Exit(1), "", 'ERROR: no builder "matrix" found' if "inspect" in argv else "ERROR: too late")

    monkeypatch.setattr(process, "run", run)
    for options in ((), (("timeout", "2m"),), (("timeout", "10m30s"),), (("timeout", "soon"),)):
        with pytest.raises(EngineError, match=r"could not be made: too late$"):
            ensure_builder(ENGINE, replace(IN_CI, options=options))
    assert limits == [180.0, 180.0, 690.0, 180.0]


@pytest.mark.parametrize(("namespace", "words"), [("ci", "kubectl --namespace ci get events"), (None, "kubectl get events")])
def test_pods_that_are_not_ready_have_a_reason_in_the_cluster(
    namespace: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buildx counts them, and says no more."""
    said = "#1 waiting for 1 pods to be ready, timeout: 2 minutes\nERROR: expected 1 replicas to be ready, got 0\n"
    monkeypatch.setattr(process, "run", FakeDocker(buildx_inspect=ABSENT, buildx_create=(1, said), buildx_rm=""))
    spec = replace(IN_CI, options=(("namespace", namespace),) if namespace else ())
    with pytest.raises(EngineError, match=rf"got 0; `{words}` says why, and builder\.options\.timeout waits longer$"):
        ensure_builder(ENGINE, spec)


def test_a_builder_in_another_cluster_is_neither_used_nor_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Buildx keeps to the file that it was made with, whichever is set; one that is gone leads nowhere."""
    kept, other = tmp_path / "kept", tmp_path / "other"
    kept.touch()
    made = PODS_OF_CI.replace("kubeconfig=", f"kubeconfig={quote(str(kept), safe='')}")
    docker = FakeDocker(buildx_inspect=made, buildx_create="", buildx_rm="", buildx_inspect___bootstrap="")
    monkeypatch.setattr(process, "run", docker)
    spec = replace(IN_CI, options=(("namespace", "ci"),))
    monkeypatch.setenv("KUBECONFIG", str(kept))
    assert ensure_builder(ENGINE, spec).did == "reused builder 'matrix'"
    monkeypatch.setenv("KUBECONFIG", str(other))
    with pytest.raises(EngineError, match=rf"^builder 'matrix' is in the cluster of KUBECONFIG={kept}, which"):
        ensure_builder(ENGINE, spec)
    assert docker.did("buildx", "rm") == []
    assert ensure_builder(ENGINE, spec, force=True).did == "made builder 'matrix' anew: KUBECONFIG differed"
    kept.unlink()
    assert ensure_builder(ENGINE, spec).did == "made builder 'matrix' anew: KUBECONFIG differed"


def test_a_builder_that_was_made_without_kubeconfig_follows_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So does one that was made with the file that is taken where none is named."""
    monkeypatch.setenv("KUBECONFIG", "/x/other")
    assert find_other_cluster(replace(a_node(), endpoint="kubernetes:///cluster?deployment=x&kubeconfig=")) is None
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    own = replace(a_node(), endpoint=f"kubernetes:///cluster?kubeconfig={tmp_path}/.kube/config")
    assert find_other_cluster(own) is None
    assert find_other_cluster(replace(own, others=(replace(own, endpoint="kubernetes:///c?kubeconfig=%2Fx%2Fy"),))) == "/x/y"


def test_a_builder_that_cannot_be_asked_for_is_not_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buildx prints why, and succeeds; cells would be said to have failed by their own doing."""
    lost = "cannot determine Kubernetes namespace, specify manually: stat ../kubeconfig: no such file or directory"
    made = PODS_OF_CI.partition("Status:")[0] + f"Error:          {lost}\n"
    monkeypatch.setattr(process, "run", FakeDocker(buildx_inspect=made))
    with pytest.raises(EngineError, match=f"^builder 'matrix' cannot be reached: {lost}$"):
        ensure_builder(ENGINE, replace(IN_CI, options=(("namespace", "ci"),)))
    failure = classify_failure(None, [f"ERROR: no valid drivers found: {lost}"], [])
    assert (failure.is_ours, failure.passing) == (False, True)


def test_what_is_left_of_a_builder_in_the_cluster_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buildx forgets a builder whose deployment it could not delete, so nobody would find it again."""
    said = (
        'ERROR: failed to remove matrix: error while calling deploymentClient.Delete for "matrix0": Delete '
        '"https://127.0.0.1/apis/apps/v1/namespaces/ci/deployments/matrix0": dial tcp 127.0.0.1:6443: connection refused\n'
    )
    monkeypatch.setattr(process, "run", FakeDocker(buildx_rm=(1, said)))
    with pytest.raises(
        EngineError, match=r"refused; buildx has forgotten it, and `kubectl delete deployment matrix0` removes what is left of"
    ):
        remove_builder(ENGINE, "matrix")
