"""The layers of an image merged in the order of their paths: what each stores, and which later layer hides it."""

from __future__ import annotations

import heapq
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.layers.index import LayerIndex

FILE, FOLDER, LINK, GONE, WHITEOUT, OPAQUE = (ord(kind) for kind in "fdlgwo")


class Settled(NamedTuple):
    """One entry of one layer, and the lowest layer that hides it, its own or one above; None when it can be seen in the image."""

    key: bytes
    layer: int
    hidden_by: int | None
    kind: int
    mode: int
    size: int
    group: int | None
    target: bytes | None  # of a link, where that is known


class _Found(NamedTuple):
    layer: int
    rest: bytes


def settle(layers: Sequence[LayerIndex]) -> Iterator[Settled]:
    """Give every entry of every layer, sorted by path, without holding more than one path at a time.

    A whiteout hides its path, and all below it, in the layers under its own. An
    opaque folder hides what those layers have in it. An entry hides the same
    path of those layers, and, unless it is a folder, all that lay below.
    """
    merged = heapq.merge(*(zip(index.lines(), repeat(at)) for at, index in enumerate(layers)))
    hiding: list[
        tuple[bytes, tuple[int, ...]]
    ] = []  # folders above the path at hand, each with the layers that hide what is in them
    current = b""
    found: list[_Found] = []
    for line, layer in merged:
        key, _, rest = line.partition(b"\0\0")
        if key != current:
            if found:
                yield from _decide(current, found, hiding, key)
            current, found = key, []
        found.append(_Found(layer, rest))
    if found:
        yield from _decide(current, found, hiding, b"")


def _decide(key: bytes, found: list[_Found], hiding: list[tuple[bytes, tuple[int, ...]]], following: bytes) -> Iterator[Settled]:
    while hiding and not key.startswith(hiding[-1][0]):
        hiding.pop()
    above = hiding[-1][1] if hiding else ()
    prefix = key + b"\0" if key else b""
    if len(found) > 1:
        found.sort()
    if following.startswith(prefix):
        below = {layer for layer, rest in found if layer and rest[0] != FOLDER}.union(above)
        if len(below) > len(above):
            hiding.append((prefix, tuple(sorted(below))))
    for layer, rest in found:
        kind = rest[0]
        if kind in (WHITEOUT, OPAQUE):
            continue
        by = next((at for at in above if at > layer), None)
        if len(found) > 1:
            over = (at for at, other in found if at > layer and _replaces(other[0], kind))
            first = next(over, None)
            by = first if by is None or (first is not None and first < by) else by
        if kind == GONE:
            kind, by = FILE, layer
        _, mode, size, *more = rest.split(b" ", 3)  # as an index's lines have it
        group = int(more[0]) if more and kind == FILE else None
        target = more[0] if more and kind == LINK else None
        yield Settled(key, layer, by, kind, int(mode, 8), int(size), group, target)


def _replaces(kind: int, older: int) -> bool:
    """Tell whether an entry hides an older one of the same path; a folder above a folder is the same folder, changed."""
    return kind != OPAQUE and not (kind == FOLDER and older == FOLDER)
