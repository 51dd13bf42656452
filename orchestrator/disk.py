"""Files written whole or not at all, and words for a disk that refuses."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import DiskFullError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write_whole(path: Path, data: bytes) -> Path:
    """Write a file under another name, make sure of it, then give it its own."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with disk_errors(path):
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return path


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Name the folder and the cure when the disk refuses."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no room left on the disk for {path}; free some (`matrix clean --runs`), then `matrix run --resume`"
            raise DiskFullError(message) from error
        message = f"{path} cannot be written: {error.strerror}"
        raise StoreError(message) from error
