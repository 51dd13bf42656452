"""Build contexts to digests: names, modes and contents of what a build is given, .dockerignore obeyed."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.dockerignore import Ignore
from orchestrator.places import dockerfile_of, is_locked_name, is_remote, named_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from orchestrator.model import Cell, Settings

_MOST_ENTRIES = 200_000
_MOST_BYTES = 4 * 1024**3
_NAMED_BY_THE_BUILD = ("docker-image://", "target:")  # whatever else is no folder may change unseen


class ContextError(ValueError):
    """A context of which no digest can be made; the words say why."""


class Contexts:
    """The digests of a run's contexts, each made once, by whichever cell comes first.

    What has a digest of its own in a cell's inputs (Dockerfiles and requirements
    files of any cell) has another digest here, so that one cell's change is not
    every cell's. What matrix itself writes is not read, so that a run does not
    change what it reads.
    """

    def __init__(self, folder: Path, named: Iterable[Path], unread: Iterable[Path], warn: Callable[[str], None]) -> None:
        """Name matrix.yaml's folder, the files with a digest of their own and what is matrix's; nothing is read."""
        self._folder = folder
        self._apart = Apart(_absolute(named), _absolute(unread))
        self._warn = warn
        self._said: set[str] = set()
        self._lock = Lock()
        self._known: dict[tuple[str, str], Digests | None] = {}

    def digest_of(self, settings: Settings) -> str | None:
        """Give the digest of all that a cell's build can read on this machine; None when that is not known."""
        return _join([(name, digests.rest) for name, digests in self._read(settings)])

    def beside(self, settings: Settings) -> str | None:
        """Give the digest of the files in a cell's contexts that are left out of the other one; none without any."""
        return _join([(name, digests.beside) for name, digests in self._read(settings) if digests.beside])

    def _read(self, settings: Settings) -> list[tuple[str, Digests]]:
        """Give the digests of each context of a cell; nothing when one of them is not known."""
        if is_remote(settings.context):
            return []
        found = [("", self._digest(self._folder / settings.context, dockerfile_of(settings, self._folder)))]
        for name, value in settings.contexts:
            place = Path(named_context(value, self._folder))
            if place.is_dir():
                found.append((name, self._digest(place, None)))
            elif not value.startswith(_NAMED_BY_THE_BUILD):
                return []
        known = [(name, digests) for name, digests in found if digests is not None]
        return known if len(known) == len(found) else []

    def _digest(self, root: Path, dockerfile: Path | None) -> Digests | None:
        """Read a context once for each set of patterns; what cannot be read is said once and stays unknown."""
        with self._lock:
            try:
                ignore = load_ignore(root, dockerfile)
                key = os.path.abspath(root), ignore  # noqa: PTH100  # links are not followed
                if key not in self._known:
                    self._known[key] = None
                    self._known[key] = digest_context(root, Ignore(ignore), self._apart)
                return self._known[key]
            except (OSError, ValueError) as error:
                words = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
                text = f"the context {root} has no digest: {words}; a change of it will not be noticed"
                if text not in self._said:
                    self._said.add(text)
                    self._warn(text)
                return None


def _absolute(paths: Iterable[Path]) -> frozenset[str]:
    return frozenset(os.path.abspath(path) for path in paths)  # noqa: PTH100  # links are not followed


def _join(found: Sequence[tuple[str, str]]) -> str | None:
    """Make one digest of those of several contexts; that of one is its own."""
    if len(found) <= 1:
        return found[0][1] if found else None
    pairs = "".join(f"{name} {digest}\n" for name, digest in found)
    return f"sha256:{hashlib.sha256(pairs.encode()).hexdigest()}"


def find_named(cells: Iterable[Cell], folder: Path) -> set[Path]:
    """Give the files that have a digest of their own in some cell's inputs."""
    return {path for settings in {cell.settings for cell in cells} for path in _own_files(settings, folder)}


def _own_files(settings: Settings, folder: Path) -> Iterator[Path]:
    """Give the files that have a digest of their own in a cell's inputs."""
    if not is_remote(settings.context):
        yield dockerfile_of(settings, folder)
    if settings.requirements is not None:
        yield folder / settings.requirements


def load_ignore(root: Path, dockerfile: Path | None) -> str:
    """Read the patterns of what a build is not given."""
    file = find_ignore_file(root, dockerfile)
    return file.read_text(encoding="utf-8", errors="surrogateescape") if file.is_file() else ""


def find_ignore_file(root: Path, dockerfile: Path | None) -> Path:
    """Give the file with the patterns, be it there or not: one beside the Dockerfile comes instead of the context's."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore") if dockerfile else None
    return own if own and own.is_file() else root / ".dockerignore"


class Apart(Struct, frozen=True):
    """What in a context is none of the rest: files with a digest of their own in some cell's inputs, and what is not read."""

    named: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()


class Digests(Struct, frozen=True):
    """The digest of a context, and that of the files in it that have one of their own; none without any."""

    rest: str
    beside: str | None


class _Reading(Struct):
    """A context while it is read."""

    entries: int = 0
    bytes: int = 0


def digest_context(root: Path, ignore: Ignore, apart: Apart) -> Digests:
    """Give the digests of all that a context gives to a build; times and owners do not count, as for BuildKit's cache."""
    reading, rest, beside = _Reading(), hashlib.sha256(), b""
    # Folders still to be read, the last one first: as deep as a context may be, nothing calls itself.
    left = [(os.path.abspath(root), "", ignore.nothing_matched)]  # noqa: PTH100  # links are not followed
    while left:
        folder, prefix, matched = left.pop()
        inside = []
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            path = prefix + entry.name
            if entry.path in apart.unread or is_locked_name(entry.name):
                continue
            reading.entries += 1
            if reading.entries > _MOST_ENTRIES:
                message = f"more than {_MOST_ENTRIES:,} files and folders"
                raise ContextError(message)
            matches = ignore.match(path, matched)
            is_out = ignore.leaves_out(matches)
            if not is_out and entry.path in apart.named:
                beside += _describe(reading, entry, path)
            elif not is_out:
                rest.update(_describe(reading, entry, path))
            if entry.is_dir(follow_symlinks=False) and (not is_out or ignore.may_let_in_below(path)):
                inside.append((entry.path, f"{path}/", matches))
        left += reversed(inside)
    return Digests(f"sha256:{rest.hexdigest()}", f"sha256:{hashlib.sha256(beside).hexdigest()}" if beside else None)


def _describe(reading: _Reading, entry: os.DirEntry[str], path: str) -> bytes:
    """Write an entry so that no two different ones are written alike; sockets, pipes and devices are no part of a context."""
    status = entry.stat(follow_symlinks=False)
    mode = stat.S_IMODE(status.st_mode)
    name = os.fsencode(path)
    if entry.is_symlink():
        target = os.fsencode(Path(entry.path).readlink())
        return b"link\0" + name + b"\0" + target + b"\0"
    if entry.is_dir(follow_symlinks=False):
        return f"folder {mode:o}\0".encode() + name + b"\0"
    if not stat.S_ISREG(status.st_mode):
        return b""
    reading.bytes += status.st_size
    if reading.bytes > _MOST_BYTES:
        message = f"more than {_MOST_BYTES // 1024**3} GiB"
        raise ContextError(message)
    with open(entry.path, "rb") as file:  # noqa: PTH123  # a path as the system gave it
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return f"file {mode:o} {content}\0".encode() + name + b"\0"
