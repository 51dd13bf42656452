"""Build contexts to digests: names, modes and contents of what a build is given, .dockerignore obeyed."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.dockerignore import Ignore
from orchestrator.places import dockerfile_of, is_remote, named_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orchestrator.model import Cell, Settings

_MOST_ENTRIES = 200_000
_MOST_BYTES = 4 * 1024**3
_NAMED_BY_THE_BUILD = ("docker-image://", "target:")  # whatever else is no folder may change unseen
_LOCKED = re.compile(r"\..+\.[0-9a-f]{12}\.locked\.txt")  # what a locked run has beside the requirements while it lasts


class ContextError(ValueError):
    """A context of which no digest can be made; the words say why."""


class Contexts:
    """The digests of a run's contexts, each made once, by whichever cell comes first.

    Left out is what has a digest of its own in a cell's inputs (Dockerfiles and
    requirements files of any cell), so that one cell's change is not every
    cell's; and what matrix itself writes, so that a run does not change what it
    reads.
    """

    def __init__(self, folder: Path, left_out: Iterable[Path], warn: Callable[[str], None]) -> None:
        """Name matrix.yaml's folder and the paths that are left out; nothing is read."""
        self._folder = folder
        self._left_out = frozenset(os.path.abspath(path) for path in left_out)  # noqa: PTH100  # links are not followed
        self._warn = warn
        self._lock = Lock()
        self._known: dict[tuple[str, str], str | None] = {}
        self._files: dict[str, str | None] = {}

    def digest_of(self, settings: Settings) -> str | None:
        """Give the digest of all that a cell's build can read on this machine; None when that is not known."""
        if is_remote(settings.context):
            return None
        dockerfile = dockerfile_of(settings, self._folder)
        found = [self._digest(self._folder / settings.context, dockerfile)]
        names = [""]
        for name, value in settings.contexts:
            place = Path(named_context(value, self._folder))
            if place.is_dir():
                names.append(name)
                found.append(self._digest(place, None))
            elif not value.startswith(_NAMED_BY_THE_BUILD):
                return None
        known = [digest for digest in found if digest is not None]
        if len(known) < len(found):
            return None
        if len(known) == 1:
            return known[0]
        pairs = "".join(f"{name} {digest}\n" for name, digest in zip(names, known, strict=True))
        return f"sha256:{hashlib.sha256(pairs.encode()).hexdigest()}"

    def beside(self, settings: Settings) -> str | None:
        """Give the digest of the files in a cell's contexts that are left out of theirs and are not its own; none without any."""
        if is_remote(settings.context):
            return None
        places = [self._folder / settings.context, *(Path(named_context(value, self._folder)) for _, value in settings.contexts)]
        roots = tuple(os.path.abspath(place) + os.sep for place in places if place.is_dir())  # noqa: PTH100  # as above
        own = {os.path.abspath(path) for path in _own_files(settings, self._folder)}  # noqa: PTH100  # as above
        paths = sorted(path for path in self._left_out - own if path.startswith(roots))
        lines = [f"{os.path.relpath(path, self._folder)} {digest}\n" for path in paths if (digest := self._file_digest(path))]
        return f"sha256:{hashlib.sha256(''.join(lines).encode(errors='surrogateescape')).hexdigest()}" if lines else None

    def _file_digest(self, path: str) -> str | None:
        """Read a file once; what is none, or cannot be read, is nothing that a build could be given either."""
        with self._lock:
            if path not in self._files:
                self._files[path] = None
                with suppress(OSError), open(path, "rb") as file:  # noqa: PTH123  # as above
                    self._files[path] = hashlib.file_digest(file, "sha256").hexdigest()
            return self._files[path]

    def _digest(self, root: Path, dockerfile: Path | None) -> str | None:
        """Read a context once for each set of patterns; what cannot be read is said once and stays unknown."""
        with self._lock:
            try:
                ignore = load_ignore(root, dockerfile)
                key = os.path.abspath(root), ignore  # noqa: PTH100  # as above
                if key not in self._known:
                    self._known[key] = None
                    self._known[key] = digest_context(root, Ignore(ignore), self._left_out)
                return self._known[key]
            except (OSError, ValueError) as error:
                words = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
                self._warn(f"the context {root} has no digest: {words}; a change of it will not be noticed")
                return None


def find_left_out(cells: Iterable[Cell], folder: Path) -> set[Path]:
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


class _Reading(Struct):
    """A context while it is read."""

    ignore: Ignore
    left_out: frozenset[str]
    entries: int = 0
    bytes: int = 0


def digest_context(root: Path, ignore: Ignore, left_out: frozenset[str]) -> str:
    """Give the digest of all that a context gives to a build; times and owners do not count, as for BuildKit's cache."""
    reading, found = _Reading(ignore, left_out), hashlib.sha256()
    # Folders still to be read, the last one first: as deep as a context may be, nothing calls itself.
    left = [(os.path.abspath(root), "", ignore.nothing_matched)]  # noqa: PTH100  # links are not followed
    while left:
        folder, prefix, matched = left.pop()
        inside = []
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            path = prefix + entry.name
            if entry.path in left_out or _LOCKED.fullmatch(entry.name):
                continue
            reading.entries += 1
            if reading.entries > _MOST_ENTRIES:
                message = f"more than {_MOST_ENTRIES:,} files and folders"
                raise ContextError(message)
            matches = ignore.match(path, matched)
            is_out = ignore.leaves_out(matches)
            if not is_out:
                found.update(_describe(reading, entry, path))
            if entry.is_dir(follow_symlinks=False) and (not is_out or ignore.may_let_in_below(path)):
                inside.append((entry.path, f"{path}/", matches))
        left += reversed(inside)
    return f"sha256:{found.hexdigest()}"


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
