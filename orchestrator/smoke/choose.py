"""Which runner a check gets: a container where it costs nothing or the check needs it, else a step of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config.structure import load_structure
from orchestrator.errors import ConfigError
from orchestrator.model import HttpCheck, Limits, ProbeCheck, StructureCheck
from orchestrator.probes import PROBE_NEEDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from orchestrator.model import Check

CONTAINER, GRAPH = "container", "graph"


def choose_runner(asked: str, check: Check, folder: Path, *, has_engine: bool, moves: bool) -> str:
    """Choose for one check.

    Where the image is in the engine already, a container holds to all limits and
    takes no longer worth speaking of. Where it would have to be moved there, that
    takes longer than the check.
    """
    if asked != "auto":
        return asked
    if not has_engine:
        return GRAPH
    return GRAPH if moves and not any(find_unheld(check, folder)) else CONTAINER


def find_unheld(check: Check, folder: Path) -> Iterator[str]:
    """Name what a check asks for by itself that a step of a build cannot have."""
    yield from find_unheld_limits(check)
    if isinstance(check, ProbeCheck) and (why := PROBE_NEEDS[check.probe].no_graph):
        yield why
    if isinstance(check, StructureCheck) and _has_capabilities(folder / check.file, check.file):
        yield "capabilities of its own"


def find_unheld_limits(check: Check) -> Iterator[str]:
    """Name the limits that were set for a check, and that a step of a build cannot hold."""
    limits, usual = check.limits, Limits()
    words = {"memory_bytes": "a memory limit", "pids": "a process limit", "cpus": "a processor limit"}
    yield from (word for name, word in words.items() if getattr(limits, name) != getattr(usual, name))
    if limits.capabilities:
        yield "capabilities of its own"
    if limits.network == "internal" and not isinstance(check, HttpCheck):
        yield "a network without a way out"


def find_unlimited(check: Check, unlimited: Collection[str]) -> Iterator[str]:
    """Name the limits that were set for a check, and that an engine cannot hold its container to."""
    limits, usual = check.limits, Limits()
    if limits.memory_bytes != usual.memory_bytes and "memory" in unlimited:
        yield "a memory limit"
    if limits.pids != usual.pids and "processes" in unlimited:
        yield "a process limit"


def _has_capabilities(path: Path, name: str) -> bool:
    try:
        return bool(load_structure(path, name).container_run_options.capabilities)
    except ConfigError:  # which the check itself will tell
        return False
