"""The machine and the tools that a run is measured with."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from orchestrator import __version__
from orchestrator.load import cpu_model
from orchestrator.record import Environment

if TYPE_CHECKING:
    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Engine
    from orchestrator.model import BuilderSpec

_LIMITS = ("cpu", "memory", "limits.")  # what a builder may be allowed, by its driver's names


def make_environment(engine: Engine, builder: Builder, spec: BuilderSpec) -> Environment:
    """Say what a run is measured with."""
    limits = {name: value for name, value in spec.options if name.startswith(_LIMITS)}
    return Environment(
        docker=engine.version,
        buildx=engine.buildx,
        buildkit=builder.buildkit,
        driver=builder.driver,
        builder=builder.name,
        storage="containerd" if engine.containerd_store else engine.storage,
        cpus=engine.cpus,
        memory_bytes=engine.memory_bytes,
        platform=engine.platform,
        cgroup=engine.cgroup,
        python=platform.python_version(),
        tool=__version__,
        cpu=cpu_model() if engine.is_local else None,
        builder_limits=limits or None,
    )
