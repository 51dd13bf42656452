"""Writing to disk: whole or not at all, and what to do when the disk refuses."""

from __future__ import annotations

import errno
import os
import re
import shlex
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import DiskFullError, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)  # by the rights of a file or of a folder on the way to it
_DEVICES, _PROCESSES = Path("/dev"), Path("/proc")  # a file reached by a name there is somebody's output, and stays the same file
_DRAFT_BYTES = 4
_DRAFT = re.compile(rf"\..+\.[0-9a-f]{{{2 * _DRAFT_BYTES}}}")


def write_whole(path: Path, data: bytes, mode: int | None = None) -> Path:
    """Write a file whole or not at all."""
    return write_pieces(path, (data,), mode)


def write_pieces(path: Path, pieces: Iterable[bytes], mode: int | None = None) -> Path:
    """Write a file under another name, with another's mode if one is given, make sure of it, then give it its own."""
    draft = path.with_name(f".{path.name}.{os.urandom(_DRAFT_BYTES).hex()}")
    with disk_errors(path):
        try:
            with draft.open("wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                draft.chmod(mode)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return path


def write_link(link: Path, target: Path) -> None:
    """Let a link lead somewhere, in the place of the one that was there."""
    check_link(link)
    draft = link.with_name(f".{link.name}.{os.urandom(_DRAFT_BYTES).hex()}")
    with disk_errors(link):
        try:
            draft.symlink_to(target)
            draft.replace(link)
        finally:
            draft.unlink(missing_ok=True)


def check_link(link: Path) -> None:
    """Refuse a folder in the place of a link: caches and artifacts of CI that keep no links leave a copy there."""
    if link.is_dir() and not link.is_symlink():
        message = f"{link} is a folder, and has to be a link: something that keeps no links has left a copy; remove it"
        raise StoreError(message)


def write_result(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file that somebody named: whole or not at all, in the place and with the mode of one that is there.

    Behind a link that is the file itself, and the link stays. A pipe or a device takes what it is given.
    """
    with disk_errors(path):
        if _takes_as_it_is(path):
            with path.open("wb") as file:
                file.writelines(pieces)
        else:
            write_pieces(_behind_link(path), pieces, path.stat().st_mode & 0o7777 if path.exists() else None)


def check_place(path: Path) -> None:
    """See that a file that somebody named can be written, before hours of work are to be written into it."""
    with disk_errors(path):
        if path.is_dir() or not path.parent.is_dir():
            message = f"{path} cannot be written: {'it is a folder' if path.is_dir() else f'there is no folder {path.parent}'}"
            raise UsageError(message)
        place = path if _takes_as_it_is(path) else _behind_link(path).parent
    if not os.access(place, os.W_OK):
        message = f"{path} cannot be written: {place} may not be changed"
        raise UsageError(message)


def _takes_as_it_is(path: Path) -> bool:
    """Tell whether a file is written where it is, not replaced: a pipe, a device, or somebody's output."""
    folder = path.parent.resolve()
    return path.exists() and (not path.is_file() or folder == _DEVICES or folder.is_relative_to(_PROCESSES))


def _behind_link(path: Path) -> Path:
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def forget_drafts(folder: Path) -> None:
    """Remove what a process that was killed in the middle of `write_whole` has left in a folder."""
    with disk_errors(folder):
        for path in folder.iterdir() if folder.is_dir() else ():
            if _DRAFT.fullmatch(path.name):
                path.unlink()


@contextmanager
def passing_folder(parent: Path) -> Iterator[Path]:
    """Give a folder for files that nobody wants afterwards; what a killed process leaves of it goes with its parent."""
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="passing-", dir=parent)
    with folder as name:
        yield Path(name)


@contextmanager
def going_on_by(options: str, run: str) -> Iterator[None]:
    """Name the command that goes on with a run that a full disk has ended."""
    try:
        yield
    except DiskFullError as error:
        message = f"{error}, then `matrix run{options} --resume {shlex.quote(run)}`"
        raise DiskFullError(message) from error


@contextmanager
def disk_errors(path: Path | str) -> Iterator[None]:
    """Name the folder and the cure when the disk refuses."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            message = f"no room left on the disk for {path}; free some"
            raise DiskFullError(message) from error
        message = f"{path} cannot be written: {error.strerror or error}"
        raise StoreError(message) from error
