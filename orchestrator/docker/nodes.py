"""What buildx says of a builder's nodes: their options, and which platforms they are themselves and which they emulate."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.platforms import normal_platform

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_FIELD = re.compile(r"(Driver|Endpoint|Driver Options|BuildKit version|Platforms|Error):\s*(.*)")


class Existing(Struct, frozen=True):
    """A node as buildx knows it, and the further nodes of its builder."""

    driver: str
    options: dict[str, str]
    config: str
    endpoint: str
    buildkit: str | None
    platforms: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()  # of these, what it was told to build for
    others: tuple[Existing, ...] = ()
    error: str | None = None  # why nothing can be known of it

    @property
    def nodes(self) -> tuple[Existing, ...]:
        """Give all nodes."""
        return (self, *self.others)


def parse_inspection(text: str) -> Existing:
    """Read what `buildx inspect` prints of a builder."""
    driver = ""
    blocks: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        if line.startswith("Driver:"):
            driver = line.partition(":")[2].strip()
        elif line.startswith("Name:"):
            blocks.append((line.partition(":")[2].strip(), []))
        else:
            blocks[-1][1].append(line)
    # A node is what has an endpoint; the builder's own block, which comes first, has none.
    # Of a node of a cluster that runs there is a block for each of its pods, all under the node's name.
    nodes: dict[str, list[str]] = {}
    for name, block in blocks:
        if any(line.startswith("Endpoint:") for line in block):
            nodes.setdefault(name, block)
    first, *others = [_parse_node(block, driver) for block in nodes.values() or [text.splitlines()]]
    return replace(first, others=tuple(others))


def _parse_node(lines: Sequence[str], driver: str) -> Existing:
    fields: dict[str, str] = {}
    config: list[str] = []
    for line in lines:
        if line.startswith(" > "):
            config.append(line[3:])
        elif found := _FIELD.match(line):
            fields.setdefault(found[1], found[2].strip())
    options = dict(word.split("=", 1) for word in shlex.split(fields.get("Driver Options", "")) if "=" in word)
    version = fields.get("BuildKit version", "")
    known = version if version and not version.startswith("v0.0.0") else None
    named = [name for name in re.split(r",\s*", fields.get("Platforms", "")) if name]
    pinned = tuple(name.rstrip("*") for name in named if name.endswith("*"))
    platforms = tuple(name.rstrip("*") for name in named)
    endpoint, error = fields.get("Endpoint", ""), fields.get("Error")
    return Existing(driver, options, "\n".join(config), endpoint, known, platforms, pinned, error=error)


def needed_nodes(existing: Existing, platforms: Collection[str | None]) -> tuple[Existing, ...]:
    """Give the nodes that are needed to build for some platforms: all, unless each has nodes that were told to build for it.

    buildx then asks no other, and waits for none. A build for no platform by name goes to the first.
    """
    served = [(node, _served_by(node, is_first=node is existing)) for node in existing.nodes]
    asked = {platform and normal_platform(platform) for platform in platforms}
    if not asked or not asked <= set[str | None]().union(*(own for _, own in served)):
        return existing.nodes
    return tuple(node for node, own in served if own & asked)


def _served_by(node: Existing, *, is_first: bool) -> set[str | None]:
    return {*map(normal_platform, node.pinned), *([None] if is_first else [])}


def native_platforms(existing: Existing) -> tuple[str, ...]:
    """Give what the nodes are themselves: a node names its own platform first, unless it was told what to build for."""
    firsts = [node.platforms[0] for node in existing.nodes if node.platforms and not node.pinned]
    return tuple(dict.fromkeys(firsts))


def other_platforms(existing: Existing) -> tuple[str, ...]:
    """Give what the nodes build besides, by emulation or because their processors can; of one that was told nobody knows it."""
    told = {name for node in existing.nodes for name in node.pinned}
    every = dict.fromkeys(name for node in existing.nodes if not node.pinned for name in node.platforms)
    return tuple(name for name in every if name not in {*native_platforms(existing), *told})


def tell_emulation(platform: str | None, native: Sequence[str], others: Sequence[str]) -> bool | None:
    """Tell whether a platform is emulated: True, False, or None where nobody can say it.

    A platform of the same architecture is run by the processor itself or not
    at all, but 32 bits on 64 are a matter of the machine.
    """
    if platform is None:
        return False if native else None
    platform = normal_platform(platform)
    if any(_is_variant(platform, own) for own in native):
        return False
    if platform not in map(normal_platform, others) or not native or any(_family(platform) == _family(own) for own in native):
        return None
    return True


def _is_variant(platform: str, own: str) -> bool:
    return platform.split("/")[:2] == own.split("/")[:2]


def _family(platform: str) -> str:
    architecture = platform.split("/")[1] if "/" in platform else platform
    return {"386": "x86", "amd64": "x86", "arm": "arm", "arm64": "arm"}.get(architecture, architecture)
