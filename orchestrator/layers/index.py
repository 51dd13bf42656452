"""A layer's tar stream to a compact, sorted index of what it holds, in one pass and in flat memory."""

from __future__ import annotations

import heapq
from itertools import chain
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.layers.archive import LayerError, pack_bytes, unpack_bytes
from orchestrator.layers.capture import Captures, may_be_wanted
from orchestrator.layers.entries import Entry, TarStream
from orchestrator.layers.names import make_key, make_path, read_whiteout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_ENTRIES = 2_000_000
MAX_LINKS = 200_000
_RUN = 65_536  # entries that are sorted at once
_NAMED = 20  # of what is refused, and of what is there twice
_LONGEST_TARGET = 255  # of links that are kept with where they lead: folders have short names
_SEQ = 8
_PLACE = 2 + _SEQ  # behind a key: two NULs, and the number of the entry
_MARKS = b"wo"
_FOLDERS = b"dwo"
_KINDS = {ord("1"): b"h", ord("2"): b"l", ord("3"): b"c", ord("4"): b"c", ord("5"): b"d", ord("6"): b"p"}


class LayerIndex(Struct, frozen=True):
    """What a layer holds; with a problem, only its length may be known.

    `packed` are lines, sorted: key, two NULs, kind, mode, bytes stored, and the
    number of the group of hard links that a file is of, or the key that a link
    leads to, unless that is out of the image or too long. Kinds are f(ile),
    d(ir), l(ink), c (a device), p(ipe); g for a file that is gone once the layer
    is unpacked, since the layer itself put something else in the place of a
    folder above; w for what is deleted from the layers below, o for a folder
    that hides what they have in it.
    """

    uncompressed_bytes: int | None
    entries: int = 0
    file_bytes: int = 0
    packed: bytes = b""
    groups: tuple[int, ...] = ()  # bytes stored for each group of hard links
    captured: Mapping[str, bytes] = field(default_factory=dict)
    doubled_bytes: int = 0  # stored in this layer under a name that it stores again later on
    doubled_count: int = 0
    doubled: tuple[tuple[str, int], ...] = ()  # the largest of them
    refused: tuple[str, ...] = ()
    refused_count: int = 0
    problem: str | None = None
    packed_estimate_bytes: int | None = None

    def lines(self) -> Iterator[bytes]:
        """Give the lines in their order."""
        return _split(unpack_bytes(self.packed)) if self.packed else iter(())


def make_index(parts: Iterator[bytes]) -> LayerIndex:
    """Read a layer to its end; what cannot be read is a named problem, never an exception."""
    draft = _Draft(TarStream(parts))
    problem: str | None = None
    try:
        draft.read()
    except LayerError as error:
        problem = str(error)
    try:
        length = draft.stream.drain()
    except LayerError as error:
        return LayerIndex(None, problem=str(error))
    if problem:  # the length of what is no tar may be that of something packed in a way nobody knows
        return LayerIndex(length if draft.stream.is_tar else None, problem=problem)
    return draft.finish(length)


class _Draft:
    """An index while its layer is read."""

    def __init__(self, stream: TarStream) -> None:
        self.stream = stream
        self._captures = Captures()
        self._lines: list[bytes] = []
        self._runs: list[bytes] = []
        self._links: dict[bytes, bytes] = {}  # each name that is a link: its file's name, and by when that was stored
        self._refused: list[str] = []
        self._refused_count = 0
        self._entries = 0
        self._file_bytes = 0
        self._groups: dict[bytes, int] = {}  # of files that links name, and of what `_links` has
        self._replaced: list[tuple[bytes, bytes]] = []  # folders above the key at hand that something else replaced, and when
        self._doubled: list[tuple[int, str]] = []
        self._doubled_bytes = 0
        self._doubled_count = 0

    def read(self) -> None:
        lines = self._lines
        count = 0
        for entry in self.stream:
            count += 1
            if count > MAX_ENTRIES:
                message = f"has more than {MAX_ENTRIES} entries"
                raise LayerError(message)
            key = make_key(entry.name)
            if key is None:
                self._refuse(entry)
                continue
            kind = _KINDS.get(entry.kind, b"f")
            if b".wh." in key and (whiteout := read_whiteout(key)):
                kind, key = whiteout
                if not kind:
                    self._refuse(entry)
                    continue
            elif kind == b"h":
                self._link(key, entry, count)
            else:
                self._links.pop(key, None)
                if kind == b"f":
                    self._file_bytes += entry.size
                    if may_be_wanted(key):
                        self._captures.take(key, entry.size, self.stream)
            target = _target(entry) if kind == b"l" else b""
            lines.append(b"%b\0\0%08x%b %o %d%b" % (key, count, kind, entry.mode, entry.size, target))
            if len(lines) >= _RUN:
                lines.sort()
                self._runs.append(_pack(lines))
                lines.clear()
        self._entries = count

    def _refuse(self, entry: Entry) -> None:
        self._refused_count += 1
        if len(self._refused) < _NAMED:
            self._refused.append(entry.name[:200].decode("utf-8", "replace"))

    def _link(self, key: bytes, entry: Entry, count: int) -> None:
        if len(self._links) >= MAX_LINKS:
            message = f"has more than {MAX_LINKS} hard links"
            raise LayerError(message)
        target = make_key(entry.link)
        if target is None:
            self._links[key] = b""  # no file is meant
        else:
            self._links[key] = self._links.get(target) or b"%b\0\0%08x" % (target, count)
        if may_be_wanted(key):
            self._captures.take_link(key, _key(self._links[key]))

    def finish(self, length: int) -> LayerIndex:
        """Merge what was sorted piece by piece; of a name that is there twice the last one stands."""
        self._lines.sort()
        sizes = self._bind() if self._links else ()
        packed = _pack(self._rendered())
        return LayerIndex(
            uncompressed_bytes=length,
            entries=self._entries,
            file_bytes=self._file_bytes,
            packed=packed,
            groups=tuple(sizes),
            captured=self._captures.found,
            doubled_bytes=self._doubled_bytes,
            doubled_count=self._doubled_count,
            doubled=tuple((path, size) for size, path in sorted(self._doubled, reverse=True)),
            refused=tuple(self._refused),
            refused_count=self._refused_count,
        )

    def _sorted(self) -> Iterator[bytes]:
        runs = [_split(unpack_bytes(run)) for run in self._runs]
        return heapq.merge(*runs, self._lines) if runs else iter(self._lines)

    def _bind(self) -> list[int]:
        """Group each link with the file that had its target's name when it was stored; give the bytes of each group."""
        links = sorted(set(self._links.values()) - {b""})
        targets = set(map(_key, links))
        stored = (line for line in self._sorted() if _key(line) in targets)
        sizes: list[int] = []
        file, size = b"", 0
        for line in heapq.merge(stored, links):  # a link stands behind what was stored before it
            end = len(_key(line)) + _PLACE
            place, rest = line[:end], line[end:]
            if rest:
                if rest[0] not in _MARKS:
                    file, size = (place, _size(rest)) if rest[:1] == b"f" else (b"", 0)
            elif file and _key(file) == _key(place):
                if file not in self._groups:
                    self._groups[file] = len(sizes)
                    sizes.append(size)
                self._groups[place] = self._groups[file]
        return sizes

    def _rendered(self) -> Iterator[bytes]:
        held: list[bytes] = []
        current = b""
        for line in self._sorted():
            key, _, rest = line.partition(b"\0\0")
            if key != current or not held:
                yield from self._written(current, held)
                if key.startswith(current + b"\0"):
                    self._enter(current, held)
                held, current = [rest], key
            else:
                held.append(rest)
        yield from self._written(current, held)

    def _enter(self, key: bytes, held: list[bytes]) -> None:
        """Note when something that is no folder had a folder's name: what the folder held until then is gone."""
        others = [rest[:_SEQ] for rest in held if rest[_SEQ] not in _FOLDERS]
        if others:
            self._replaced.append((key + b"\0", max(self._gone_until(), *others)))

    def _gone_until(self) -> bytes:
        return self._replaced[-1][1] if self._replaced else b""

    def _written(self, key: bytes, held: list[bytes]) -> list[bytes]:
        """Write the lines of one key: at most an entry, a whiteout and an opaque mark."""
        while self._replaced and not key.startswith(self._replaced[-1][0]):
            self._replaced.pop()
        if len(held) == 1 and not self._links and not self._replaced:
            return [b"%b\0\0%b" % (key, held[0][_SEQ:])]
        parts: dict[bytes, bytes] = {}
        for rest in held:
            part = rest[_SEQ : _SEQ + 1] if rest[_SEQ] in _MARKS else b"e"
            if part == b"e" and part in parts:
                self._double(key, parts[part])
                if rest[_SEQ] in _FOLDERS and parts[part][_SEQ] not in _FOLDERS:  # a new folder, without what the layers below have
                    parts[b"o"] = rest[:_SEQ] + b"o 0 0"
            parts[part] = rest
        return sorted(line for rest in parts.values() for line in self._line(key, rest))

    def _line(self, key: bytes, rest: bytes) -> Iterator[bytes]:
        """Write one line; a link is the file under another name, and of what is gone only files took room."""
        place, kind, entry = b"%b\0\0%b" % (key, rest[:_SEQ]), rest[_SEQ : _SEQ + 1], rest[_SEQ + 1 :]
        is_gone = rest[:_SEQ] < self._gone_until()
        if kind in (b"f", b"h"):
            number = self._groups.get(place if kind == b"f" else self._links.get(key, b""))
            group = b"" if number is None else b" %d" % number
            yield b"%b\0\0%b%b%b" % (key, b"g" if is_gone else b"f", entry, group)
        elif not is_gone or kind in _MARKS:
            yield b"%b\0\0%b%b" % (key, kind, entry)

    def _double(self, key: bytes, rest: bytes) -> None:
        """Count a file that was stored again, unless it lives on under another name."""
        size = _size(rest)
        if size and rest[_SEQ : _SEQ + 1] == b"f" and b"%b\0\0%b" % (key, rest[:_SEQ]) not in self._groups:
            self._doubled_bytes += size
            self._doubled_count += 1
            heapq.heappush(self._doubled, (size, make_path(key)))
            if len(self._doubled) > _NAMED:
                heapq.heappop(self._doubled)


def _key(line: bytes) -> bytes:
    return line.partition(b"\0\0")[0]


def _target(entry: Entry) -> bytes:
    """Write where a link leads for the end of its line; nothing for what is no folder of the image."""
    folder = b"" if entry.link.startswith(b"/") else entry.name.rpartition(b"/")[0]
    target = make_key(folder + b"/" + entry.link)
    return b"" if target is None or len(target) > _LONGEST_TARGET else b" " + target


def _size(rest: bytes) -> int:
    return int(rest.split(b" ")[2])


def _pack(lines: Iterable[bytes]) -> bytes:
    return pack_bytes(_joined(lines))


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines to parts that are worth packing."""
    part: list[bytes] = []
    for line in lines:
        part.append(line)
        if len(part) >= 4096:  # noqa: PLR2004  # some hundred kB
            yield b"\n".join(chain(part, (b"",)))
            part.clear()
    if part:
        yield b"\n".join(chain(part, (b"",)))


def _split(parts: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
