"""The builder on a real engine: made once, reused, healed when matrix.yaml changes."""

from __future__ import annotations

import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.docker.builder import ensure_builder, remove_builder, was_made_here
from orchestrator.docker.engine import Engine, connect
from orchestrator.errors import EngineError
from orchestrator.model import BuilderSpec

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def here(engine: None) -> Engine:
    """Give the engine that answers."""
    return connect()


@pytest.fixture
def spec(here: Engine) -> Iterator[BuilderSpec]:
    """Give a builder of an own name, which is gone afterwards."""
    spec = BuilderSpec(name=f"matrix-tests-{uuid.uuid4().hex[:8]}")
    yield spec
    remove_builder(here, spec.name)


def test_the_engines_own_buildkit_needs_nothing_made(here: Engine) -> None:
    """Asked for by name, it is there."""
    builder = ensure_builder(here, BuilderSpec(driver="docker"))
    assert (builder.driver, builder.did) == ("docker", "using the engine's own BuildKit (matrix.yaml asks for it)")
    assert not builder.loads_by_copy


def test_auto_falls_back_to_the_engines_own_where_the_image_cannot_be_had(here: Engine, spec: BuilderSpec) -> None:
    """And says so, because the figures depend on it."""
    builder = ensure_builder(here, replace(spec, image="registry.invalid/no/builder:1"))
    assert builder.driver == "docker"
    assert builder.did == "using the engine's own BuildKit (the builder image registry.invalid/no/builder:1 cannot be had here)"


def test_a_builder_that_cannot_be_made_is_not_left_half_made(here: Engine, spec: BuilderSpec) -> None:
    """The reason is buildx's own, and a second try starts afresh."""
    with pytest.raises(EngineError, match="could not be made"):
        ensure_builder(here, replace(spec, driver="docker-container", image="registry.invalid/no/builder:1"))
    listed = subprocess.run(["docker", "buildx", "ls"], capture_output=True, text=True, check=True).stdout
    assert spec.name not in listed


@pytest.mark.long
def test_a_remote_builder_is_passed_to_buildx_as_it_is(here: Engine, spec: BuilderSpec) -> None:
    """One that nobody answers at is an error of the surroundings."""
    with pytest.raises(EngineError, match="could not be made"):
        ensure_builder(here, replace(spec, driver="remote", endpoint="unix:///nowhere/buildkitd.sock"))


@pytest.mark.builder_image
def test_a_builder_is_made_reused_and_healed(here: Engine, spec: BuilderSpec) -> None:
    """Twice is as good as once; a changed setting makes it anew, and which one is said."""
    asked = replace(spec, driver="docker-container")
    assert ensure_builder(here, asked).did == f"created builder '{spec.name}'"
    again = ensure_builder(here, asked)
    assert again.did == f"reused builder '{spec.name}'"
    assert again.exports_oci
    assert was_made_here(here, spec.name)
    changes = {
        "TRACE": replace(asked, env=(("TRACE", "a,b"),)),
        "network": replace(asked, env=(("TRACE", "a,b"),), network="bridge"),
        "mirrors": replace(asked, env=(("TRACE", "a,b"),), network="bridge", mirrors=(("docker.io", ("127.0.0.1:5000",)),)),
    }
    for name, changed in changes.items():
        assert ensure_builder(here, changed).did == f"made builder '{spec.name}' anew: {name} differed"
        assert ensure_builder(here, changed).did == f"reused builder '{spec.name}'"


@pytest.mark.builder_image
def test_a_builder_of_somebody_else_is_not_remade_without_being_told(here: Engine, spec: BuilderSpec) -> None:
    """Its build cache would be lost."""
    options = ["--driver-opt", "image=moby/buildkit:buildx-stable-1", "--driver-opt", "network=bridge"]
    subprocess.run(
        ["docker", "buildx", "create", "--name", spec.name, "--driver", "docker-container", *options],
        check=True,
        capture_output=True,
    )
    with pytest.raises(EngineError, match=r"was not made by matrix and differs from matrix\.yaml in network"):
        ensure_builder(here, replace(spec, driver="docker-container"))
    assert not was_made_here(here, spec.name)
    assert ensure_builder(here, replace(spec, driver="docker-container"), force=True).did.endswith("anew: network differed")
