"""The layers of an image put upon each other: what is wasted, by whom, and what is large in the end.

Wasted bytes of a layer are the bytes of regular files that it stores and that
nobody can see in the image, because a later layer deletes them (a whiteout, an
opaque folder, something else in the place of a folder above them) or stores
the same path again. A file that only changed its mode or owner is stored again
whole, so its older copy is wasted, too. Names that are hard links to one file
count once, and are wasted when no name is left. A path that a layer stores
twice wastes its earlier copy, by itself, and so does a folder in whose place
it stores something else. Of a sparse file, what is stored counts. Folders,
links and tar headers count nothing.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.inside import SizedPath, WastedBy, WastedPath
from orchestrator.layers.names import make_path
from orchestrator.layers.settle import FILE, FOLDER, LINK, Settled, settle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.layers.index import LayerIndex

_TOP = 20
_MAX_NAMED = 200
_MAX_LINKED = 16 * 1024 * 1024  # of the names of links and of where they lead; an image has some hundred kB
_MOSTLY = 0.8  # a folder of which one sub-folder is this much says nothing that the sub-folder does not say
_SET_ID = 0o6000
_BLOCK = 512  # of an archive: a header is one, and contents fill whole ones
_BINS = ("bin", "usr/bin", "usr/local/bin", "sbin")
_SHELLS = ("ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "sh", "tcsh", "toybox", "zsh")
_SHELL_KEYS = frozenset(f"{folder}/{shell}".replace("/", "\0").encode() for folder in _BINS for shell in _SHELLS)


class Stack(Struct, frozen=True):
    """What became of an image's layers."""

    wasted_bytes: tuple[int, ...]  # of each layer
    wasted: tuple[WastedPath, ...]
    flows: tuple[WastedBy, ...]
    files: int
    file_bytes: int
    largest_files: tuple[SizedPath, ...]
    largest_folders: tuple[SizedPath, ...]
    set_id: tuple[str, ...]
    shells: tuple[str, ...]
    captured: Mapping[str, bytes]
    links: Mapping[bytes, bytes]  # each with the key it leads to


def stack_layers(layers: Sequence[LayerIndex]) -> Stack:
    """Put layers upon each other, the lowest first."""
    pile = _Pile(layers)
    for item in settle(layers):
        pile.take(item)
    return pile.finish()


class Room(Struct):
    """What the visible files of one owner take: their bytes by layer, and all that they are in archives."""

    by_layer: Counter[int] = field(default_factory=Counter)
    stored_bytes: int = 0

    def add(self, layer: int, size: int) -> None:
        """Count a file."""
        self.by_layer[layer] += size
        self.stored_bytes += _BLOCK + -(-size // _BLOCK) * _BLOCK


def sum_by_owner(layers: Sequence[LayerIndex], owners: Mapping[bytes, int]) -> Mapping[int, Room]:
    """Add up the visible bytes of the files that somebody owns; a file of several names counts once."""
    rooms: dict[int, Room] = defaultdict(Room)
    counted: set[tuple[int, int]] = set()
    for item in settle(layers):
        if item.hidden_by is None and item.kind == FILE and (owner := owners.get(item.key)) is not None:
            if item.group is None:
                rooms[owner].add(item.layer, item.size)
            elif (item.layer, item.group) not in counted:
                counted.add((item.layer, item.group))
                rooms[owner].add(item.layer, layers[item.layer].groups[item.group])
    return rooms


class _Top:
    """The largest of what went by."""

    def __init__(self, size: int = _TOP) -> None:
        self._size = size
        self._heap: list[tuple[int, bytes, int, int]] = []

    def add(self, size: int, key: bytes, layer: int = 0, by: int = 0) -> None:
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, (size, key, layer, by))
        elif size > self._heap[0][0]:
            heapq.heapreplace(self._heap, (size, key, layer, by))

    def ordered(self) -> Iterable[tuple[int, bytes, int, int]]:
        return sorted(self._heap, key=lambda one: (-one[0], one[1:]))


class _Open(Struct):
    """A folder whose files are going by."""

    prefix: bytes
    bytes: int = 0
    largest_inside: int = 0


class _Group(Struct):
    """A file of several names, as far as they went by."""

    size: int
    key: bytes
    hidden_by: int
    is_seen: bool = False


class _Pile(Struct):
    """A stack while it grows."""

    layers: Sequence[LayerIndex]
    wasted: Counter[int] = field(default_factory=Counter)
    flows: Counter[tuple[int, int]] = field(default_factory=Counter)
    flow_files: Counter[tuple[int, int]] = field(default_factory=Counter)
    groups: dict[tuple[int, int], _Group] = field(default_factory=dict)
    worst: _Top = field(default_factory=_Top)
    files: int = 0
    file_bytes: int = 0
    largest: _Top = field(default_factory=_Top)
    folders: _Top = field(default_factory=_Top)
    opened: list[_Open] = field(default_factory=list)
    set_id: list[str] = field(default_factory=list)
    shells: list[str] = field(default_factory=list)
    captured: dict[str, bytes] = field(default_factory=dict)
    links: dict[bytes, bytes] = field(default_factory=dict)
    links_left: int = _MAX_LINKED

    def take(self, item: Settled) -> None:
        if item.hidden_by is not None:
            if item.kind == FILE:
                self._hide(item, item.hidden_by)
            return
        if item.kind == FOLDER:
            return
        if item.key in _SHELL_KEYS and item.kind in (FILE, LINK):
            self.shells.append(make_path(item.key))
        if item.kind == FILE:
            self._see(item)
        elif item.target is not None:
            self._keep_link(item.key, item.target)

    def _keep_link(self, key: bytes, target: bytes) -> None:
        self.links_left -= len(key) + len(target)
        if self.links_left >= 0:
            self.links[key] = target

    def _hide(self, item: Settled, by: int) -> None:
        if item.group is None:
            self._waste(item.key, item.size, item.layer, by)
            return
        group = self._group(item)
        group.hidden_by = max(group.hidden_by, by)

    def _waste(self, key: bytes, size: int, layer: int, by: int) -> None:
        self.wasted[layer] += size
        self.flows[layer, by] += size
        self.flow_files[layer, by] += 1
        if size:
            self.worst.add(size, key, layer, by)

    def _group(self, item: Settled) -> _Group:
        place = (item.layer, item.group or 0)
        if place not in self.groups:
            self.groups[place] = _Group(self.layers[item.layer].groups[place[1]], item.key, 0)
        return self.groups[place]

    def _see(self, item: Settled) -> None:
        size = item.size
        if item.group is not None:
            group = self._group(item)
            size, group.is_seen = (0 if group.is_seen else group.size), True
        self.files += 1
        self.file_bytes += size
        if item.mode & _SET_ID and len(self.set_id) < _MAX_NAMED:
            self.set_id.append(make_path(item.key))
        if self.layers[item.layer].captured:
            path = make_path(item.key)
            if (content := self.layers[item.layer].captured.get(path)) is not None:
                self.captured[path] = content
        if size:
            self.largest.add(size, item.key)
            self._put(item.key.rpartition(b"\0")[0], size)

    def _put(self, folder: bytes, size: int) -> None:
        """Count bytes for a folder; the folders around it get them when it is left."""
        prefix = folder + b"\0" if folder else b""
        while self.opened and not prefix.startswith(self.opened[-1].prefix):
            self._close()
        known = len(self.opened[-1].prefix) if self.opened else 0
        while known < len(prefix):
            known = prefix.index(b"\0", known) + 1
            self.opened.append(_Open(prefix[:known]))
        if self.opened:
            self.opened[-1].bytes += size

    def _close(self) -> None:
        done = self.opened.pop()
        if self.opened:
            self.opened[-1].bytes += done.bytes
            self.opened[-1].largest_inside = max(self.opened[-1].largest_inside, done.bytes)
        if done.largest_inside < done.bytes * _MOSTLY:
            self.folders.add(done.bytes, done.prefix[:-1])

    def finish(self) -> Stack:
        while self.opened:
            self._close()
        for (layer, _), group in self.groups.items():
            if not group.is_seen:
                self._waste(group.key, group.size, layer, group.hidden_by)
        wasted = [WastedPath(make_path(key), size, layer, by) for size, key, layer, by in self.worst.ordered()]
        for at, index in enumerate(self.layers):
            if index.doubled_bytes:
                self.wasted[at] += index.doubled_bytes
                self.flows[at, at] += index.doubled_bytes
                self.flow_files[at, at] += index.doubled_count
                wasted += [WastedPath(path, size, at, at) for path, size in index.doubled]
        wasted.sort(key=lambda one: (-one.bytes, one.path, one.layer))
        flows = [WastedBy(*place, size, self.flow_files[place]) for place, size in self.flows.items() if size]
        return Stack(
            wasted_bytes=tuple(self.wasted[at] for at in range(len(self.layers))),
            wasted=tuple(wasted[:_TOP]),
            flows=tuple(sorted(flows, key=lambda flow: (-flow.bytes, flow.layer, flow.by_layer))),
            files=self.files,
            file_bytes=self.file_bytes,
            largest_files=tuple(SizedPath(make_path(key), size) for size, key, *_ in self.largest.ordered()),
            largest_folders=tuple(SizedPath(make_path(key), size) for size, key, *_ in self.folders.ordered()),
            set_id=tuple(self.set_id),
            shells=tuple(self.shells),
            captured=self.captured,
            links=self.links,
        )
