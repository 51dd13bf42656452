"""What a run works with: the builder that matrix.yaml asks for, and the machine and tools that stand in its record."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator import __version__
from orchestrator.load import cpu_model
from orchestrator.record import Environment
from orchestrator.standins import VARIABLE

if TYPE_CHECKING:
    from orchestrator.config.load import Matrix
    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Engine
    from orchestrator.model import BuilderSpec

_LIMITS = ("cpu", "memory", "limits.")  # what a builder may be allowed, by its driver's names


def builder_spec(matrix: Matrix) -> BuilderSpec:
    """Give the builder that matrix.yaml asks for, or the one that the bases of this machine ask for."""
    if matrix.builder.driver == "auto" and os.environ.get(VARIABLE):
        return replace(matrix.builder, driver="docker", why_in_engine="stand-in bases are in the engine alone")
    return matrix.builder


def make_environment(engine: Engine, builder: Builder, spec: BuilderSpec) -> Environment:
    """Say what a run's figures were measured with; nothing is known of an engine that does not answer, or of other machines."""
    limits = {name: value for name, value in spec.options if name.startswith(_LIMITS)}
    return Environment(
        docker=engine.version or None,
        buildx=engine.buildx,
        buildkit=builder.buildkit,
        driver=builder.driver,
        builder=builder.name,
        storage=("containerd" if engine.containerd_store else engine.storage) or None,
        cpus=None if spec.is_elsewhere else engine.cpus or None,
        memory_bytes=None if spec.is_elsewhere else engine.memory_bytes or None,
        platform=next(iter(builder.native), None) if spec.is_elsewhere else engine.platform or None,
        cgroup=None if spec.is_elsewhere else engine.cgroup or None,
        python=platform.python_version(),
        tool=__version__,
        cpu=cpu_model() if engine.is_local and not spec.is_elsewhere else None,
        builder_limits=limits or None,
        product=engine.product if engine.answers else None,
        endpoints=(spec.endpoint or "", *(node.endpoint or "" for node in spec.nodes)) if builder.driver == "remote" else None,
    )
