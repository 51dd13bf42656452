"""How a builder is known to be matrix's: by a variable in its own environment, or by what was written down when it was made."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.disk import write_whole
from orchestrator.paths import cache_folder, home_or_here
from orchestrator.strict import items_of, parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.docker.nodes import Existing

    Node = tuple[str | None, Mapping[str, str]]  # its endpoint, where that is not left to buildx, and its options

MARK = "env.MATRIX_BUILDER"  # buildx cannot label a builder; a variable in its environment can
CARRIES_IT = "docker-container"  # the driver whose builders have an environment


def write_mark(name: str, driver: str, nodes: Sequence[Node]) -> None:
    """Write down what is about to be made, where the builder cannot carry the mark itself."""
    if driver != CARRIES_IT:
        made = {"driver": driver, "nodes": [{"endpoint": endpoint, "options": dict(options)} for endpoint, options in nodes]}
        write_whole(_file(name), json.dumps(made).encode())


def remove_mark(name: str) -> None:
    """Forget a builder that is gone."""
    _file(name).unlink(missing_ok=True)


def is_marked(name: str, existing: Existing) -> bool:
    """Tell whether a builder is what was made here: one that somebody made since under the same name has other nodes.

    Of one that was broken off, the last nodes are missing.
    """
    if MARK in existing.options:
        return True
    try:
        made = parse_object(_file(name).read_bytes())
    except FileNotFoundError:
        return False
    nodes = items_of(made, "nodes")
    pairs = zip(nodes, existing.nodes, strict=False)
    return (
        made.get("driver") == existing.driver
        and len(existing.nodes) <= len(nodes)
        and all(node.get("endpoint") in (None, found.endpoint) and node.get("options") == found.options for node, found in pairs)
    )


def _file(name: str) -> Path:
    """Name the file of a builder; each of docker's configurations has builders of its own."""
    folder = os.environ.get("BUILDX_CONFIG") or os.environ.get("DOCKER_CONFIG") or home_or_here() / ".docker"
    whose = hashlib.sha256(bytes(Path(folder).resolve())).hexdigest()[:12]
    return cache_folder("builders") / f"{name}-{whose}.json"
