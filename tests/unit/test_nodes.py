"""A builder's nodes: what buildx prints of them, how more are asked for, and which platforms are emulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.docker import process, silence
from orchestrator.docker.builder import ensure_builder, render_create_argv
from orchestrator.docker.nodes import native_platforms, needed_nodes, other_platforms, parse_inspection, tell_emulation
from orchestrator.errors import EngineError
from orchestrator.model import BuilderSpec, NodeSpec
from tests.unit.docker_fake import Answer, FakeDocker, make_engine

if TYPE_CHECKING:
    from pathlib import Path

ENGINE = make_engine(storage="overlay2", containerd_store=False)
TWO = """\
Name:          matrix
Driver:        remote
Last Activity: 2026-01-01 00:00:00 +0000 UTC

Nodes:
Name:             matrix0
Endpoint:         tcp://amd:1234
Status:           running
BuildKit version: v0.21.0
Platforms:        linux/amd64, linux/amd64/v2, linux/386, linux/arm64

Name:             matrix1
Endpoint:         tcp://arm:1234
Driver Options:   cacert="/ca.pem"
Status:           running
BuildKit version: v0.21.0
Platforms:        linux/arm64*, linux/arm/v7
"""
SPEC = BuilderSpec(
    driver="remote", endpoint="tcp://amd:1234", nodes=(NodeSpec("tcp://arm:1234", ("linux/arm64",), (("cacert", "/ca.pem"),)),)
)
CLUSTER = BuilderSpec(
    driver="kubernetes",
    platforms=("linux/amd64",),
    options=(
        ("namespace", "ci"),
        ("replicas", "3"),
        ("requests.cpu", "2"),
        ("limits.memory", "8Gi"),
        ("nodeselector", "kubernetes.io/arch=amd64,pool=build"),
    ),
    nodes=(NodeSpec(None, ("linux/arm64",), (("nodeselector", "kubernetes.io/arch=arm64"),)),),
)
PODS = """\
Name:          matrix
Driver:        kubernetes
Last Activity: 2026-11-30 20:48:44 +0000 UTC

Nodes:
Name:                  matrix0
Endpoint:              kubernetes:///matrix?deployment=buildkit-9760c44e-634fb&kubeconfig=
Driver Options:        namespace="ci" replicas="2" image="moby/buildkit:buildx-stable-1"
Status:                running
BuildKit daemon flags: --allow-insecure-entitlement=network.host
BuildKit version:      v0.32.2
Platforms:             linux/amd64, linux/amd64/v2, linux/386
Labels:
 org.mobyproject.buildkit.worker.hostname:         matrix0-588d6899bb-5t827

Name:                  matrix0
Endpoint:              kubernetes:///matrix?deployment=buildkit-9760c44e-634fb&kubeconfig=
Driver Options:        image="moby/buildkit:buildx-stable-1" namespace="ci" replicas="2"
Status:                running
BuildKit daemon flags: --allow-insecure-entitlement=network.host
BuildKit version:      v0.32.2
Platforms:             linux/amd64, linux/amd64/v2, linux/386
Labels:
 org.mobyproject.buildkit.worker.hostname:         matrix0-588d6899bb-5t827
"""
OF_PODS = BuilderSpec(driver="kubernetes", options=(("namespace", "ci"), ("replicas", "2")))


def test_every_node_of_a_builder_is_read() -> None:
    """Each with its address, its options and its platforms; a star marks what it was told to build for."""
    found = parse_inspection(TWO)
    assert [(node.driver, node.endpoint, node.options) for node in found.nodes] == [
        ("remote", "tcp://amd:1234", {}),
        ("remote", "tcp://arm:1234", {"cacert": "/ca.pem"}),
    ]
    assert found.others[0].platforms == ("linux/arm64", "linux/arm/v7")
    assert found.others[0].pinned == ("linux/arm64",)


def test_a_node_names_its_own_platform_first() -> None:
    """Unless it was told what to build for: then nobody knows which machine it is."""
    found = parse_inspection(TWO)
    assert native_platforms(found) == ("linux/amd64",)
    assert other_platforms(found) == ("linux/amd64/v2", "linux/386"), "not what the other node was told to build for"
    assert native_platforms(parse_inspection(TWO.replace("arm64*", "arm64"))) == ("linux/amd64", "linux/arm64")
    assert native_platforms(parse_inspection("")) == ()


@pytest.mark.parametrize(
    ("platform", "native", "others", "emulated"),
    [
        (None, ("linux/amd64",), (), False),
        (None, (), (), None),
        ("linux/amd64", ("linux/amd64",), (), False),
        ("linux/amd64/v2", ("linux/amd64",), ("linux/amd64/v2",), False),
        ("linux/arm64", ("linux/amd64",), ("linux/arm64",), True),
        ("linux/arm64", ("linux/amd64", "linux/arm64"), (), False),
        ("linux/aarch64", ("linux/amd64",), ("linux/arm64",), True),
        ("x86_64", ("linux/amd64",), (), False),
        ("linux/386", ("linux/amd64",), ("linux/386",), None),
        ("linux/s390x", ("linux/amd64",), (), None),
        ("linux/arm64", (), ("linux/arm64",), None),
    ],
)
def test_emulation_is_said_where_it_can_be_known(
    platform: str | None,
    native: tuple[str, ...],
    others: tuple[str, ...],
    emulated: bool | None,  # noqa: FBT001  # what is expected
) -> None:
    """A platform that some node is itself is built there; another architecture can only be emulated."""
    assert tell_emulation(platform, native, others) is emulated


def test_options_of_a_cluster_and_its_nodes_are_passed_on() -> None:
    """Replicas, requests, limits and node selectors are buildx's to understand; a comma does not cut a value in two."""
    buildx = ["docker", "buildx"]
    assert render_create_argv(buildx, CLUSTER, "kubernetes", None)[3:] == [
        "--name", "matrix", "--driver", "kubernetes", "--bootstrap",
        "--driver-opt", "namespace=ci", "--driver-opt", "replicas=3", "--driver-opt", "requests.cpu=2",
        "--driver-opt", "limits.memory=8Gi", "--driver-opt", '"nodeselector=kubernetes.io/arch=amd64,pool=build"',
        "--driver-opt", f"image={CLUSTER.image}", "--platform", "linux/amd64",
    ]  # fmt: skip
    appended = render_create_argv(buildx, CLUSTER, "kubernetes", None, CLUSTER.nodes[0])
    assert appended[3:9] == ["--name", "matrix", "--driver", "kubernetes", "--bootstrap", "--append"]
    assert "nodeselector=kubernetes.io/arch=arm64" in appended
    assert "replicas=3" in appended
    assert appended[-2:] == ["--platform", "linux/arm64"]


def test_further_nodes_are_appended_to_a_new_builder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One after another; the builder knows then what it can build for. A certificate that is not there is missed before."""
    absent: Answer = (1, 'ERROR: no builder "matrix" found')
    docker = FakeDocker(buildx_inspect_bootstrap="", buildx_inspect___bootstrap="", buildx_inspect=[absent, TWO], buildx_create="")
    monkeypatch.setattr(process, "run", docker)
    certificate = tmp_path / "ca.pem"
    spec = replace(SPEC, nodes=(replace(SPEC.nodes[0], options=(("cacert", str(certificate)),)),))
    with pytest.raises(EngineError, match=r"^builder\.options\.cacert: there is no file .*ca\.pem$"):
        ensure_builder(ENGINE, spec)
    assert docker.did("buildx", "create") == []
    docker.also(buildx_inspect=[absent, TWO])
    certificate.touch()
    builder = ensure_builder(ENGINE, spec)
    assert [argv[-1] for argv in docker.did("buildx", "create")] == ["tcp://amd:1234", "tcp://arm:1234"]
    assert ("--append" in docker.did("buildx", "create")[1], builder.native) == (True, ("linux/amd64",))


def test_the_pods_of_a_node_are_no_further_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a node with two pods buildx prints all twice; the builder is what the file asks for all the same."""
    assert len(parse_inspection(PODS).nodes) == 1
    monkeypatch.setattr(process, "run", FakeDocker(buildx_inspect=PODS))
    assert ensure_builder(ENGINE, OF_PODS).did == "reused builder 'matrix'"


@pytest.mark.parametrize(
    ("spec", "differing"),
    [
        (SPEC, None),
        (replace(SPEC, nodes=()), "nodes"),
        (replace(SPEC, nodes=(NodeSpec("tcp://other:1234", ("linux/arm64",), (("cacert", "/ca.pem"),)),)), "nodes"),
        (replace(SPEC, nodes=(NodeSpec("tcp://arm:1234", (), (("cacert", "/ca.pem"),)),)), "nodes"),
        (replace(SPEC, nodes=(NodeSpec("tcp://arm:1234", ("linux/arm64",)),)), "nodes"),
        (replace(SPEC, platforms=("linux/amd64",)), "platforms"),
    ],
)
def test_a_builder_with_other_nodes_differs(spec: BuilderSpec, differing: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A builder that has what the file asks for is reused; otherwise it is named what is not the same."""
    docker = FakeDocker(buildx_inspect_bootstrap="", buildx_inspect___bootstrap="", buildx_inspect=TWO)
    monkeypatch.setattr(process, "run", docker)
    if differing is None:
        assert ensure_builder(ENGINE, spec).did == "reused builder 'matrix'"
        return
    with pytest.raises(EngineError, match=rf"differs from matrix\.yaml in {differing};"):
        ensure_builder(ENGINE, spec)


PINNED = TWO.replace("linux/amd64, linux/amd64/v2", "linux/amd64*, linux/amd64/v2")
AWAY = PINNED.replace(
    'cacert="/ca.pem"\nStatus:           running\nBuildKit version: v0.21.0', 'cacert="/ca.pem"\nStatus: inactive'
)


@pytest.mark.parametrize(
    ("text", "platforms", "needed"),
    [
        (PINNED, ["linux/amd64"], ["amd"]),
        (PINNED, ["linux/x86_64"], ["amd"]),
        (PINNED, ["linux/arm64/v8"], ["arm"]),
        (PINNED, ["linux/amd64", "linux/arm64"], ["amd", "arm"]),
        (PINNED, [None], ["amd"]),
        (PINNED, [None, "linux/arm64"], ["amd", "arm"]),
        (PINNED, ["linux/arm/v7"], ["amd", "arm"]),
        (PINNED, [], ["amd", "arm"]),
        (TWO, ["linux/arm64"], ["arm"]),
        (TWO, ["linux/amd64"], ["amd", "arm"]),
    ],
)
def test_a_node_that_was_told_of_other_platforms_is_not_needed(text: str, platforms: list[str | None], needed: list[str]) -> None:
    """Where no node was told of a platform buildx asks all of them, so all are needed."""
    found = needed_nodes(parse_inspection(text), platforms)
    assert [node.endpoint for node in found] == [f"tcp://{name}:1234" for name in needed]


def test_a_run_goes_without_a_node_that_it_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so; cells of that node's platform are not begun, and neither is a builder for nobody in particular."""
    late: Answer = (1, "ERROR: context deadline exceeded")
    monkeypatch.setattr(
        process, "run", FakeDocker(buildx_inspect_bootstrap=late, buildx_inspect___bootstrap=late, buildx_inspect=AWAY)
    )
    monkeypatch.setattr(silence, "find_tls_trouble", lambda _endpoint, _options: None)
    spec = replace(SPEC, platforms=("linux/amd64",))
    builder = ensure_builder(ENGINE, spec, platforms={"linux/amd64"})
    assert builder.did == "reused builder 'matrix'; nothing answers at tcp://arm:1234, which no cell needs"
    for platforms in ({"linux/amd64", "linux/arm64"}, set[str]()):
        with pytest.raises(
            EngineError, match=r"does not start: nothing that speaks BuildKit's protocol answers at tcp://arm:1234 "
        ):
            ensure_builder(ENGINE, spec, platforms=platforms)


def test_a_node_that_comes_back_is_enough_where_no_other_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though buildx waits for all of them, and says that it has failed."""
    late: Answer = (1, "ERROR: context deadline exceeded")
    away = AWAY.replace("BuildKit version: v0.21.0\n", "")
    docker = FakeDocker(buildx_inspect_bootstrap=late, buildx_inspect___bootstrap=late, buildx_inspect=[away, AWAY])
    monkeypatch.setattr(process, "run", docker)
    spec = replace(SPEC, platforms=("linux/amd64",))
    assert ensure_builder(ENGINE, spec, platforms={"linux/amd64"}).buildkit == "v0.21.0"
