"""A builder in pods of a cluster: which cluster that is, how long pods are waited for, and which of several buildx takes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from orchestrator.model import Route
from orchestrator.paths import home_or_here
from orchestrator.places import is_remote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.docker.builder import Builder
    from orchestrator.docker.nodes import Existing
    from orchestrator.model import Cell

STICKY, RANDOM = "sticky", "random"  # buildx's loadbalance: by the context's folder, or by chance
_NOT_READY = re.compile(r"expected \d+ replicas to be ready, got \d+$")
_NOT_DELETED = re.compile(r'deploymentClient\.Delete for "([^"\s]+)"')
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")


def find_other_cluster(existing: Existing) -> str | None:
    """Name the file by which a builder is reached if another one is configured: buildx keeps to that which it was made with."""
    configured = os.environ.get("KUBECONFIG") or str(home_or_here() / ".kube" / "config")
    kept = (parse_qs(urlsplit(node.endpoint).query).get("kubeconfig", [""])[0] for node in existing.nodes)
    return next((name for name in kept if name and name != configured), None)


def explain_other_cluster(name: str, existing: Existing) -> str | None:
    """Say that a builder is not where it would be looked for; one whose file is gone cannot be reached by anybody."""
    other = find_other_cluster(existing)
    if other is None or not Path(other).exists():
        return None
    return (
        f"builder '{name}' is in the cluster of KUBECONFIG={other}, which is not the one that is set; "
        "set that, give another builder.name, or `matrix bootstrap --force` makes it anew (its build cache is lost)"
    )


def waiting_s(options: Mapping[str, str]) -> float:
    """Give how long buildx waits for pods, where it was told; a text that it cannot read it refuses itself."""
    return sum(float(count) * _UNITS_S[unit] for count, unit in _TIME.findall(options.get("timeout", "")))


def explain_pods(reason: str, options: Mapping[str, str]) -> str:
    """Say where the cluster tells why pods are not ready: buildx only counts them."""
    if not _NOT_READY.search(reason):
        return reason
    where = f" --namespace {options['namespace']}" if "namespace" in options else ""
    return f"{reason}; `kubectl{where} get events` says why, and builder.options.timeout waits longer"


def explain_rest(said: str) -> str:
    """Say what is left in the cluster of a builder that could not be removed: buildx forgets it all the same."""
    found = _NOT_DELETED.search(said)
    return f"; buildx has forgotten it, and `kubectl delete deployment {found[1]}` removes what is left of it" if found else ""


def find_choice(existing: Existing) -> str | None:
    """Say by what buildx takes one of a node's pods; None where no node has more than one."""
    choices = [node.options.get("loadbalance", STICKY) for node in existing.nodes if node.options.get("replicas", "1") != "1"]
    return RANDOM if RANDOM in choices else next(iter(choices), None)


def make_route(builder: Builder, platform: str | None, context: str) -> Route:
    """Say which way a build goes; the folder of a context that is fetched is no place to ask from."""
    return Route(platform, _absolute(context) if builder.pods == STICKY and not is_remote(context) else None)


def find_routes(builder: Builder, cells: Iterable[Cell], folder: Path) -> frozenset[Route]:
    """Give every way that builds of these cells go."""
    return frozenset(cell_route(builder, cell, folder) for cell in cells)


def cell_route(builder: Builder, cell: Cell, folder: Path) -> Route:
    """Say which way a cell's builds go, and what is to find its image where it was built."""
    context = cell.settings.context
    return make_route(builder, cell.settings.platform, context if is_remote(context) else str(folder / context))


def _absolute(context: str) -> str:
    """Name a context as buildx does: by the way to it that was gone, not by where its links lead."""
    gone = os.environ.get("PWD", "")
    here = gone if gone and Path(gone).exists() and Path(gone).samefile(".") else str(Path.cwd())
    return os.path.normpath(Path(here, context))
