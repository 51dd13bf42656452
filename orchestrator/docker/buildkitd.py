"""The configuration of a builder's daemon: written from matrix.yaml, and compared with what a builder has."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from orchestrator.docker.marks import MARK

if TYPE_CHECKING:
    from orchestrator.docker.nodes import Existing
    from orchestrator.model import BuilderSpec


def render_buildkitd_toml(spec: BuilderSpec) -> str:
    """Write the daemon's configuration: mirrors, and nothing when there are none."""
    tables = {registry: [f"mirrors = {json.dumps(list(mirrors))}"] for registry, mirrors in spec.mirrors}
    for mirror in dict.fromkeys(mirror for _, mirrors in spec.mirrors for mirror in mirrors):  # one may stand for several
        if mirror.startswith(("127.", "localhost", "[::1]")):
            tables.setdefault(mirror, []).append("http = true")
    return "".join(f"[registry.{json.dumps(name)}]\n" + "".join(f"  {line}\n" for line in lines) for name, lines in tables.items())


def has_mirrors(spec: BuilderSpec, existing: Existing) -> bool:
    """Tell whether a builder was made with the same mirrors; an older buildx shows no builder's configuration, but its mark."""
    toml = render_buildkitd_toml(spec)
    return existing.options.get(MARK) == mark_of(toml) or _parse_toml(toml) == _parse_toml(existing.config)


def mark_of(toml: str) -> str:
    """Give a short word for a configuration, for the mark of a builder that has it."""
    return hashlib.sha256(toml.encode()).hexdigest()[:12]


def _parse_toml(text: str) -> dict[str, Any]:
    """Read a configuration for comparison: buildx lays the file out anew."""
    import tomllib  # noqa: PLC0415  # most builders have none

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return {"unreadable": str(error)}
