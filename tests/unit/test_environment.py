"""What stands in a record of the machine and the tools: only what is known of those that built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.config.load import load_matrix
from orchestrator.docker.builder import Builder
from orchestrator.environment import builder_spec, make_environment
from orchestrator.model import BuilderSpec, NodeSpec
from orchestrator.report.details import about_run
from orchestrator.report.table import make_heading
from orchestrator.standins import VARIABLE
from tests.unit.docker_fake import make_engine
from tests.unit.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ENGINE = make_engine(storage="overlay2", containerd_store=True)
NODES = BuilderSpec(driver="remote", endpoint="tcp://a:1", nodes=(NodeSpec("tcp://b:1"),))


def test_nothing_of_this_machine_is_said_of_others() -> None:
    """An engine may answer here, and other machines have built; reports name those."""
    builder = Builder("far", "remote", "v0.32.2", exports_oci=True, did="", native=("linux/arm64",))
    found = make_environment(ENGINE, builder, NODES)
    assert (found.cpu, found.cpus, found.memory_bytes, found.cgroup) == (None, None, None, None)
    assert (found.platform, found.endpoints) == ("linux/arm64", ("tcp://a:1", "tcp://b:1"))
    record = replace(make_record(), environment=replace(found, buildx="0.29.1", tool="1.0"))
    where = "buildx 0.29.1, driver remote at tcp://a:1 and tcp://b:1, BuildKit v0.32.2, machine unknown, linux/arm64, matrix 1.0"
    assert make_heading(record)[1] == where
    facts = dict(about_run(record))
    assert facts["builder"] == "buildx 0.29.1, driver remote, v0.32.2, at tcp://a:1 and tcp://b:1"
    assert facts["machine"] == "unknown, linux/arm64"


def test_the_engines_machine_is_the_builders_where_it_is_in_the_engine() -> None:
    """In a container of its, too."""
    builder = Builder("near", "docker-container", "v0.32.2", exports_oci=True, did="", native=("linux/amd64",))
    found = make_environment(ENGINE, builder, BuilderSpec(driver="docker-container"))
    assert (found.cpus, found.memory_bytes, found.platform) == (ENGINE.cpus, ENGINE.memory_bytes, ENGINE.platform)
    assert found.endpoints is None


def test_stand_in_bases_are_where_auto_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in the engine alone, so a builder in a container would not find them; who names a driver has seen to it."""
    text = "version: 1\nname: a\naxes: {base: [slim]}\n"
    file = tmp_path / "matrix.yaml"
    tmp_path.joinpath("Dockerfile").write_text("FROM scratch\n")

    def drivers() -> list[str]:
        found = []
        for builder in ("", "builder: {driver: docker-container}\n"):
            file.write_text(text + builder)
            found.append(builder_spec(load_matrix(file)).driver)
        return found

    monkeypatch.delenv(VARIABLE, raising=False)
    assert drivers() == ["auto", "docker-container"]
    monkeypatch.setenv(VARIABLE, "bases.json")
    assert drivers() == ["docker", "docker-container"]
