"""What a killed process left of a run is removed before the run goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator.docker import process
from orchestrator.docker.images import ImageStore
from orchestrator.store import Reports
from orchestrator.tidying import clear_remains
from tests.unit.docker_fake import FakeDocker, make_engine

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ENGINE = replace(make_engine(storage="overlay2", containerd_store=True), answers=False)


def test_the_cache_mounts_of_a_killed_measurement_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample has some of its own, for which nobody would ask again; a run without samples costs no question."""
    docker = FakeDocker(buildx_prune="")
    monkeypatch.setattr(process, "run", docker)
    run = Reports(tmp_path).new_run()
    shop: Any = SimpleNamespace(run=run, store=ImageStore(tmp_path / "images"), engine=ENGINE, builder=SimpleNamespace(name="b"))
    clear_remains(shop)
    assert docker.asked == []
    run.sample("cell", "0001-cold")
    clear_remains(shop)
    (asked,) = docker.did("buildx", "prune", "--builder", "b")
    assert asked[-1] == f"description~=matrix-sample-{run.id.lower()}"
