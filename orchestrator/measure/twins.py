"""Steps that BuildKit tells twice, another build's beside this one's own: which of the own ones each stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Node(Struct, frozen=True):
    """A step: what it does, and what it is built on."""

    instruction: str
    inputs: tuple[str, ...] = ()


def find_twins(nodes: Mapping[str, Node], others: Collection[str]) -> dict[str, str]:
    """Give for each step of another build the own one that it stands for, where there is one.

    The same words may stand in several stages. So one that is built on the same
    is looked for first, and then one that no other step stands for.
    """
    shapes = _find_shapes(nodes)
    own = [digest for digest in nodes if digest not in others]
    found: dict[str, str] = {}
    for digest in others:
        alike = [one for one in own if nodes[one].instruction == nodes[digest].instruction]
        same = [one for one in alike if shapes[one] == shapes[digest]]
        free = [one for one in alike if one not in found.values()]
        if chosen := next(iter((*same, *free, *alike)), None):
            found[digest] = chosen
    return found


def _find_shapes(nodes: Mapping[str, Node]) -> dict[str, int]:
    """Give each step a number that it has in common with all that do the same on top of the same."""
    found: dict[str, int] = {}
    for first in nodes:
        path = [first]
        while path:
            digest = path[-1]
            node = nodes.get(digest, Node(digest))
            left = [one for one in node.inputs if one not in found and one not in path]  # no step is built on itself
            if left:
                path += left
                continue
            found[digest] = hash((node.instruction, *(found.get(one) for one in node.inputs)))
            path.pop()
    return found
