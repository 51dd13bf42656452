"""Writing to disk: whole or not at all, and what to do when the disk refuses."""

from __future__ import annotations

import errno
import os
import re
import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import DiskFullError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRAFT_BYTES = 4
_DRAFT = re.compile(rf"\..+\.[0-9a-f]{{{2 * _DRAFT_BYTES}}}")


def write_whole(path: Path, data: bytes, mode: int | None = None) -> Path:
    """Write a file under another name, with another's mode if one is given, make sure of it, then give it its own."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(_DRAFT_BYTES)}")
    with disk_errors(path):
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                draft.chmod(mode)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return path


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
def disk_errors(path: Path) -> Iterator[None]:
    """Name the folder and the cure when the disk refuses."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no room left on the disk for {path}; free some (`matrix clean --runs`), then `matrix run --resume`"
            raise DiskFullError(message) from error
        message = f"{path} cannot be written: {error.strerror or error}"
        raise StoreError(message) from error
