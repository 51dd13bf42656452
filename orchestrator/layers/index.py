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
_SEQ = 8
_KINDS = {ord("1"): b"h", ord("2"): b"l", ord("3"): b"c", ord("4"): b"c", ord("5"): b"d", ord("6"): b"p"}


class LayerIndex(Struct, frozen=True):
    """What a layer holds; with a problem, only its length may be known.

    `packed` are lines, sorted: key, two NULs, kind, mode, bytes stored, and the
    number of the group of hard links that an entry is of. Kinds are f(ile),
    d(ir), l(ink), c (a device), p(ipe); w for what is deleted from the layers
    below, o for a folder that hides what they have in it.
    """

    uncompressed_bytes: int | None
    entries: int = 0
    file_bytes: int = 0
    packed: bytes = b""
    groups: tuple[int, ...] = ()  # bytes stored for each group of hard links
    captured: Mapping[str, bytes] = field(default_factory=dict)
    doubled_bytes: int = 0  # stored in this layer under a name that it stores again later on
    doubled: tuple[tuple[str, int], ...] = ()
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
        self._links: dict[bytes, bytes] = {}
        self._refused: list[str] = []
        self._refused_count = 0
        self._entries = 0
        self._file_bytes = 0
        self._sizes: dict[bytes, int] = {}
        self._doubled: list[tuple[int, str]] = []
        self._doubled_bytes = 0

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
            elif kind == b"f":
                self._file_bytes += entry.size
                if may_be_wanted(key):
                    self._captures.take(key, entry.size, self.stream)
            elif kind == b"h":
                self._link(key, entry)
            lines.append(b"%b\0\0%08x%b %o %d" % (key, count, kind, entry.mode, entry.size))
            if len(lines) >= _RUN:
                lines.sort()
                self._runs.append(_pack(lines))
                lines.clear()
        self._entries = count

    def _refuse(self, entry: Entry) -> None:
        self._refused_count += 1
        if len(self._refused) < _NAMED:
            self._refused.append(entry.name[:200].decode("utf-8", "replace"))

    def _link(self, key: bytes, entry: Entry) -> None:
        target = make_key(entry.link)
        if len(self._links) >= MAX_LINKS:
            message = f"has more than {MAX_LINKS} hard links"
            raise LayerError(message)
        self._links[key] = b"\0" if target is None else self._links.get(target, target)  # NUL is no key: no file is meant
        if may_be_wanted(key):
            self._captures.take_link(key, self._links[key])

    def finish(self, length: int) -> LayerIndex:
        """Merge what was sorted piece by piece; of a name that is there twice the last one stands."""
        self._lines.sort()
        targets = set(self._links.values())
        if targets:
            self._sizes = {key: _size(rest) for key, rest in self._last() if key in targets and rest[:1] == b"f"}
        numbers = {target: number for number, target in enumerate(sorted(targets))}
        packed = _pack(self._rendered(numbers))
        return LayerIndex(
            uncompressed_bytes=length,
            entries=self._entries,
            file_bytes=self._file_bytes,
            packed=packed,
            groups=tuple(self._sizes.get(target, 0) for target in numbers),
            captured=self._captures.found,
            doubled_bytes=self._doubled_bytes,
            doubled=tuple((path, size) for size, path in sorted(self._doubled, reverse=True)),
            refused=tuple(self._refused),
            refused_count=self._refused_count,
        )

    def _sorted(self) -> Iterator[bytes]:
        runs = [_split(unpack_bytes(run)) for run in self._runs]
        return heapq.merge(*runs, self._lines) if runs else iter(self._lines)

    def _last(self) -> Iterator[tuple[bytes, bytes]]:
        """Give each key with its last entry; whiteouts stand beside entries."""
        for line in self._sorted():
            key, _, rest = line.partition(b"\0\0")
            yield key, rest[_SEQ:]

    def _rendered(self, numbers: Mapping[bytes, int]) -> Iterator[bytes]:
        held: list[bytes] = []
        current = b""
        for key, rest in self._last():
            if key != current or not held:
                yield from self._written(current, held, numbers)
                held, current = [rest], key
            else:
                held.append(rest)
        yield from self._written(current, held, numbers)

    def _written(self, key: bytes, held: list[bytes], numbers: Mapping[bytes, int]) -> list[bytes]:
        """Write the lines of one key: at most an entry, a whiteout and an opaque mark."""
        if len(held) == 1 and not self._links:
            return [b"%b\0\0%b" % (key, held[0])]
        parts: dict[bytes, bytes] = {}
        for rest in held:
            part = rest[:1] if rest[0] in b"wo" else b"e"
            if part == b"e" and part in parts:
                self._double(key, parts[part])
            parts[part] = rest
        written = []
        for rest in parts.values():
            number: int | None = None
            if rest[:1] == b"h":
                number = numbers.get(self._links.get(key, b""))
                rest = b"f" + rest[1:]  # noqa: PLW2901  # a link is the file under another name
            elif numbers and rest[:1] == b"f":
                number = numbers.get(key)
            written.append(b"%b\0\0%b" % (key, rest) if number is None else b"%b\0\0%b %d" % (key, rest, number))
        return sorted(written)

    def _double(self, key: bytes, rest: bytes) -> None:
        size = _size(rest)
        if size and rest[:1] == b"f":
            self._doubled_bytes += size
            heapq.heappush(self._doubled, (size, make_path(key)))
            if len(self._doubled) > _NAMED:
                heapq.heappop(self._doubled)


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
