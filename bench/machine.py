"""The machine and the tools that a measurement was made with."""

from __future__ import annotations

import os
import platform

from orchestrator import __version__
from orchestrator.docker.engine import connect
from orchestrator.load import cpu_model
from orchestrator.standins import VARIABLE


def describe_machine(*, is_own_engine: bool) -> dict[str, str]:
    """Say what figures depend on; measurements of another machine, or by other tools, do not go into one table."""
    engine = connect()
    return {
        "cpu": cpu_model() or "unknown",
        "cpus": str(engine.cpus),
        "memory": f"{engine.memory_bytes / 2**30:.0f} GiB",
        "engine": f"{engine.version}, image store {'containerd' if engine.containerd_store else engine.storage}",
        "in the engine": "at first the bases, and nothing else" if is_own_engine else "whatever it was found with",
        "buildx": engine.buildx,
        "cgroup": engine.cgroup,
        "python": platform.python_version(),
        "matrix": __version__,
        "bases": "stand-ins, which are not the real images" if os.environ.get(VARIABLE) else "the real ones",
    }
