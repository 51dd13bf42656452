"""The buildx command of a cell, its secrets, and what buildx says of a finished build."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.docker.build import (
    BuildMetadata,
    Target,
    build_environment,
    load_metadata,
    render_build_argv,
    render_secret_argv,
)
from orchestrator.docker.builder import Builder
from orchestrator.docker.engine import child_environment, describe_passed_over
from orchestrator.errors import UsageError
from orchestrator.model import Cell, Secret, Settings
from orchestrator.record import Base

FOLDER = Path("/project")
CONTAINER = Builder("matrix", "docker-container", "v0.21.0", exports_oci=True, did="reused")
ENGINE = Builder("default", "docker", None, exports_oci=True, did="own")
CLASSIC = Builder("default", "docker", None, exports_oci=False, did="own")


def argv_of(settings: Settings, builder: Builder = CONTAINER, target: Target | None = None) -> list[str]:
    """Write the command of a cell with these settings."""
    cell = Cell("slim-3.12", (("base", "slim"), ("python", "3.12")), settings)
    return render_build_argv(
        ["docker", "buildx"], builder, "m", cell, FOLDER, target or Target(Path("/store/x"), None), Path("/run/metadata.json")
    )


def options(argv: list[str], name: str) -> list[str]:
    """Give the values of an option."""
    return [value for option, value in itertools.pairwise(argv) if option == name]


def test_a_plain_cell_is_built_from_the_folder_of_its_matrix() -> None:
    """Paths are those of matrix.yaml, progress is for machines, and nothing of buildx's own is added to the image."""
    assert argv_of(Settings()) == [
        "docker", "buildx", "build", "--builder", "matrix", "--progress=rawjson", "--provenance=false",
        "--metadata-file", "/run/metadata.json", "--file", "/project/Dockerfile",
        "--label", "io.matrix.matrix=m", "--label", "io.matrix.cell=slim-3.12",
        "--output", "type=oci,tar=false,dest=/store/x", "/project",
    ]  # fmt: skip


def test_every_setting_reaches_the_builder() -> None:
    """What matrix.yaml says of a cell is in its command, each value an argument of its own."""
    argv = argv_of(
        Settings(
            dockerfile="d/Dockerfile",
            context="app",
            contexts=(("w", "wheels"), ("i", "docker-image://busybox"), ("s", "target:x")),
            target="final",
            args=(("A", "b c; $(rm -rf /)"), ("E", "")),
            platform="linux/arm64",
            labels=(("team", "x"),),
            network="host",
            requirements="app/deps/r.txt",
            push="registry.example/x:1",
            cache_from=("type=gha",),
            cache_to=("type=gha,mode=max",),
        )
    )
    assert argv[-1] == "/project/app"
    assert options(argv, "--build-arg") == ["A=b c; $(rm -rf /)", "E=", "REQUIREMENTS=deps/r.txt"]
    assert options(argv, "--build-context") == ["w=/project/wheels", "i=docker-image://busybox", "s=target:x"]
    assert options(argv, "--label")[0] == "team=x"
    assert [options(argv, name) for name in ("--target", "--platform", "--network")] == [["final"], ["linux/arm64"], ["host"]]
    assert options(argv, "--allow") == ["network.host"]
    assert (options(argv, "--cache-from"), options(argv, "--cache-to")) == (["type=gha"], ["type=gha,mode=max"])
    assert options(argv, "--output")[-1] == "type=image,name=registry.example/x:1,push=true,oci-mediatypes=true,store=false"


def test_a_remote_context_has_its_own_dockerfile() -> None:
    """What the builder fetches is named as it stands in matrix.yaml."""
    argv = argv_of(Settings(context="https://example.org/r.git#main", dockerfile="D", requirements="r.txt"))
    assert argv[-1] == "https://example.org/r.git#main"
    assert options(argv, "--file") == ["D"]
    assert options(argv, "--build-arg") == ["REQUIREMENTS=r.txt"]


@pytest.mark.parametrize(
    ("builder", "target", "outputs"),
    [
        (CONTAINER, Target(Path("/s"), None), ["type=oci,tar=false,dest=/s"]),
        (ENGINE, Target(Path("/s"), "i:t"), ["type=oci,tar=false,dest=/s", "type=image,name=i:t,oci-mediatypes=true"]),
        (CLASSIC, Target(None, "i:t"), ["type=docker,name=i:t"]),
        (CONTAINER, Target(None, "i:t"), ["type=docker,name=i:t"]),
        (ENGINE, Target(None, None), ["type=image,oci-mediatypes=true,store=false"]),
    ],
)
def test_an_image_leaves_its_builder_the_way_that_moves_least(builder: Builder, target: Target, outputs: list[str]) -> None:
    """A shared store where there can be one, the engine beside it where that costs nothing, and a copy only otherwise."""
    assert options(argv_of(Settings(), builder, target), "--output") == outputs


def test_an_engines_own_builder_needs_no_leave_for_the_hosts_network() -> None:
    """Only a builder that asks for the entitlement is given it."""
    assert options(argv_of(Settings(network="host"), ENGINE), "--allow") == []
    assert options(argv_of(Settings(network="none")), "--allow") == []


def test_a_secret_is_named_and_never_carried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command line names where a secret comes from; its value is not in it."""
    monkeypatch.setenv("TOKEN", "hunter2")
    (tmp_path / "ca.pem").write_text("hunter2")
    monkeypatch.setenv("PIP_CONF", str(tmp_path / "ca.pem"))
    found = [
        render_secret_argv(secret, tmp_path)
        for secret in (Secret("t", env="TOKEN"), Secret("c", file="ca.pem"), Secret("p", file_env="PIP_CONF"))
    ]
    assert found == [
        ["--secret", "id=t,env=TOKEN"],
        ["--secret", f"id=c,src={tmp_path}/ca.pem"],
        ["--secret", f"id=p,src={tmp_path}/ca.pem"],
    ]


def test_a_secret_may_lie_wherever_a_file_may(tmp_path: Path) -> None:
    """A comma or a quote in a path must not begin another of the fields that buildx reads."""
    (tmp_path / 'a,"b').write_text("x")
    assert render_secret_argv(Secret("c", file='a,"b'), tmp_path) == ["--secret", f'id=c,"src={tmp_path}/a,""b"']


def test_a_secret_may_be_optional(tmp_path: Path) -> None:
    """An optional secret that is not there is left out; so is one whose variable names no file."""
    for secret in (
        Secret("t", env="NO_SUCH", optional=True),
        Secret("c", file="gone", optional=True),
        Secret("p", file_env="NO_SUCH"),
    ):
        assert render_secret_argv(secret, tmp_path) == []


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (Secret("t", env="NO_SUCH"), "secret 't' is not there: NO_SUCH; give it, or mark it `optional: true`"),
        (Secret("c", file="gone.pem"), "secret 'c' is not there: gone.pem; give it, or mark it `optional: true`"),
        (Secret("p", file_env="PIP_CONF"), "secret 'p' is not there: PIP_CONF; give it, or mark it `optional: true`"),
    ],
)
def test_a_secret_that_is_not_there_is_named(secret: Secret, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build does not begin without a secret that it needs."""
    monkeypatch.setenv("PIP_CONF", "gone.conf")
    with pytest.raises(UsageError) as caught:
        render_secret_argv(secret, tmp_path)
    assert str(caught.value) == words


def test_a_cells_secrets_are_in_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each secret that is there is an option of the build."""
    monkeypatch.setenv("TOKEN", "x")
    argv = argv_of(Settings(secrets=(Secret("t", env="TOKEN"), Secret("o", env="NO_SUCH", optional=True))))
    assert options(argv, "--secret") == ["id=t,env=TOKEN"]


@pytest.mark.parametrize("shape", ["v0.2", "v1"])
def test_buildx_says_which_bases_a_build_resolved(shape: str, tmp_path: Path) -> None:
    """Bases come with their digests out of the provenance, in either of its shapes, each once."""
    digest = {"sha256": "ab"}
    materials = [
        {"uri": "pkg:docker/python@3.13-slim?platform=linux%2Famd64", "digest": digest},
        {"uri": "pkg:docker/python@3.13-slim?platform=linux%2Famd64", "digest": digest},
        {"uri": "pkg:docker/127.0.0.1:5000/team/app@1%2B2", "digest": digest},
        {"uri": "pkg:docker/busybox", "digest": digest},
        {"uri": "pkg:docker/nodigest@1", "digest": None},
        {"uri": "https://example.org/x.tar.gz", "digest": digest},
    ]
    provenance = {"materials": materials} if shape == "v0.2" else {"buildDefinition": {"resolvedDependencies": materials}}
    path = tmp_path / "metadata.json"
    data = {
        "buildx.build.ref": "matrix/matrix0/abc",
        "containerimage.digest": "sha256:d",
        "buildx.build.provenance": provenance,
    }
    path.write_text(json.dumps(data))
    assert replace(load_metadata(path), sources=()) == BuildMetadata(
        "matrix/matrix0/abc",
        "sha256:d",
        (Base("python:3.13-slim", "sha256:ab"), Base("127.0.0.1:5000/team/app:1+2", "sha256:ab"), Base("busybox", "sha256:ab")),
    )


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "{}",
        "[]",
        '{"buildx.build.provenance": []}',
        '{"buildx.build.provenance": null}',
        '{"buildx.build.provenance": {}}',
    ],
)
def test_a_build_of_which_buildx_says_nothing_is_known_by_nothing(text: str | None, tmp_path: Path) -> None:
    """A metadata file that is missing, damaged or empty leaves everything unknown, the bases, too: that is not to have none."""
    path = tmp_path / "metadata.json"
    if text is not None:
        path.write_text(text)
    assert load_metadata(path) == BuildMetadata()
    assert load_metadata(path).bases is None
    path.write_text('{"buildx.build.provenance": {"buildDefinition": {"resolvedDependencies": []}}}')
    assert load_metadata(path).bases == ()


def test_a_base_of_a_layout_is_one_that_is_not_known(tmp_path: Path) -> None:
    """It is no image of a registry's that could be asked for; the whole image is not what came on top of nothing."""
    path = tmp_path / "metadata.json"
    materials = [{"uri": f"pkg:oci/thing?digest=sha256:{'a' * 64}", "digest": {"sha256": "a" * 64}}]
    path.write_text(json.dumps({"buildx.build.provenance": {"materials": materials}}))
    assert load_metadata(path).bases is None


def test_a_builds_spans_do_not_arrive_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child has our environment without OpenTelemetry's variables, and with what is added."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x")
    monkeypatch.setenv("TRACEPARENT", "00-x")
    monkeypatch.setenv("KEPT", "1")
    found = child_environment(ADDED="2")
    assert (found["KEPT"], found["ADDED"]) == ("1", "2")
    assert not [name for name in found if name.startswith("OTEL_") or name == "TRACEPARENT"]


def test_only_matrix_yaml_says_for_which_platform_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record says what a cell asks for, or what its builder is; buildx would take another one from its environment."""
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    assert "DOCKER_DEFAULT_PLATFORM" not in child_environment()
    assert describe_passed_over().startswith("DOCKER_DEFAULT_PLATFORM=linux/arm64 is passed over: ")
    monkeypatch.delenv("DOCKER_DEFAULT_PLATFORM")
    assert describe_passed_over() == ""


def test_buildx_seldom_looks_for_garbage_unless_somebody_says_how_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has ended before there is much of it."""
    monkeypatch.delenv("GOGC", raising=False)
    assert child_environment()["GOGC"] == "400"
    monkeypatch.setenv("GOGC", "50")
    assert child_environment()["GOGC"] == "50"


def test_buildx_does_not_ask_git_for_each_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run reads the commit once; who asks buildx for it by a variable of its own has it."""
    for name in ("BUILDX_GIT_INFO", "BUILDX_GIT_LABELS", "BUILDX_GIT_CHECK_DIRTY"):
        monkeypatch.delenv(name, raising=False)
    found = build_environment({"TRACEPARENT": "00-a-b-01"})
    assert (found["BUILDX_GIT_INFO"], found["TRACEPARENT"], found["BUILDX_METADATA_PROVENANCE"]) == ("false", "00-a-b-01", "max")
    monkeypatch.setenv("BUILDX_GIT_LABELS", "full")
    assert "BUILDX_GIT_INFO" not in build_environment({})
