"""A builder in pods of a cluster: which of several pods buildx takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.model import Route
from orchestrator.places import is_remote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.docker.builder import Builder
    from orchestrator.docker.nodes import Existing
    from orchestrator.model import Cell

STICKY, RANDOM = "sticky", "random"  # buildx's loadbalance: by the context's folder, or by chance


def find_choice(existing: Existing) -> str | None:
    """Say by what buildx takes one of a node's pods; None where no node has more than one."""
    choices = [node.options.get("loadbalance", STICKY) for node in existing.nodes if node.options.get("replicas", "1") != "1"]
    return RANDOM if RANDOM in choices else next(iter(choices), None)


def make_route(builder: Builder, platform: str | None, context: str) -> Route:
    """Say which way a build goes; the folder of a context that is fetched is no place to ask from."""
    return Route(platform, _absolute(context) if builder.pods == STICKY and not is_remote(context) else None)


def find_routes(builder: Builder, cells: Iterable[Cell], folder: Path) -> frozenset[Route]:
    """Give every way that builds of these cells go."""
    asked = {(cell.settings.platform, cell.settings.context) for cell in cells}
    return frozenset(make_route(builder, way, name if is_remote(name) else str(folder / name)) for way, name in asked)


def _absolute(context: str) -> str:
    """Name a context as buildx does: by the way to it that was gone, not by where its links lead."""
    gone = os.environ.get("PWD", "")
    here = gone if gone and Path(gone).exists() and Path(gone).samefile(".") else str(Path.cwd())
    return os.path.normpath(Path(here, context))
