"""Where matrix keeps what is not part of a run: one cache folder for each user."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator


def cache_folder(*parts: str) -> Path:
    """Give a folder of the cache, made if need be.

    MATRIX_CACHE_DIR wins, then XDG_CACHE_HOME, then ~/.cache.
    """
    chosen = os.environ.get("MATRIX_CACHE_DIR")
    shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(chosen) if chosen else Path(shared, "matrix")
    folder = folder.joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the cache folder {folder} cannot be made: {error.strerror}; MATRIX_CACHE_DIR names another"
        raise StoreError(message) from error
    return folder


@contextmanager
def held(name: str) -> Iterator[None]:
    """Hold a lock of that name, waiting for it; the kernel lets go of it however the process ends."""
    with cache_folder("locks").joinpath(name).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_held(name: str) -> bool:
    """Tell whether a living process holds the lock of that name."""
    path = cache_folder("locks") / name
    if not path.exists():
        return False
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def forget_lock(name: str) -> None:
    """Remove the file of a lock that nobody will want again."""
    (cache_folder("locks") / name).unlink(missing_ok=True)


def run_lock(run: str) -> str:
    """Give the name of the lock that a run holds while it lives."""
    return f"run-{run.lower()}"
