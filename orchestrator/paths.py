"""Where matrix keeps what is not part of a run: one cache folder for each user."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from orchestrator.errors import EngineError, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.docker.process import Signal

_POLL_S = 0.1
_TRIES = 10


def cache_place(*parts: str) -> Path:
    """Say where something of the cache lies, whether or not it is there.

    MATRIX_CACHE_DIR wins, then XDG_CACHE_HOME, then ~/.cache.
    """
    if chosen := os.environ.get("MATRIX_CACHE_DIR"):
        return Path(chosen, *parts)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared, "matrix", *parts)
    if home := home_folder():
        return Path(home, ".cache", "matrix", *parts)
    message = "this user has no home folder to keep a cache in; MATRIX_CACHE_DIR names another"
    raise StoreError(message)


def home_folder() -> Path | None:
    """Give the user's home; one that only a container has, by a number, may have none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def home_or_here() -> Path:
    """Give the user's home, or else the working folder, where docker and its kin look for the files of a user without one."""
    return home_folder() or Path()


def cache_folder(*parts: str) -> Path:
    """Give a folder of the cache, made if need be."""
    folder = cache_place(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the cache folder {folder} cannot be made: {error.strerror}; MATRIX_CACHE_DIR names another"
        raise StoreError(message) from error
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a folder that matrix made; one that was copied into it may not let even its owner remove what it holds."""
    while folder.exists():
        with suppress(FileNotFoundError):  # another process removes the same at this moment
            open_up(folder)
            for path, names, _ in os.walk(folder):
                for name in names:
                    open_up(Path(path, name))
            shutil.rmtree(folder)


def try_to_remove(place: Path, remove: Callable[[Path], None]) -> str | None:
    """Remove what may have gone already; say why it stays where it does."""
    try:
        if os.path.lexists(place):  # a read-only disk refuses to remove even what is not there
            remove(place)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{place} could not be removed: {error.strerror or error}"
    return None


def is_file(path: Path, *, unless_hidden: bool = True) -> bool:
    """Tell whether there is a file; a name that no system takes has none, and a folder that may not be looked into as told."""
    try:
        return path.is_file()
    except PermissionError:
        return not unless_hidden
    except OSError:
        return False


def forget_old(folder: Path, age_s: float) -> None:
    """Remove what has not been written for so long from a folder of the cache."""
    latest = time.time() - age_s
    for path in folder.iterdir():
        with suppress(OSError):  # another process has removed it, or it is another user's: it only takes room
            if path.lstat().st_mtime < latest:
                remove_folder(path) if path.is_dir() else path.unlink()


def open_up(folder: Path) -> None:
    """Let the owner of a folder change what it holds; whether another may is seen when it is tried."""
    if not folder.is_symlink():  # else it is another that would be changed
        with suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | stat.S_IRWXU)


@contextmanager
def held(name: str, cancel: Signal | None = None) -> Iterator[None]:
    """Hold a lock of that name, waiting for it until cancelled; the kernel lets go of it however the process ends."""
    with _open_lock(cache_folder("locks") / name) as file:
        if cancel is None:
            fcntl.flock(file, fcntl.LOCK_EX)
        while cancel is not None and not _take(file):
            if cancel.is_set():
                message = f"cancelled while another matrix had the lock {name}"
                raise EngineError(message)
            time.sleep(_POLL_S)  # the kernel tells nobody that a lock is free
        yield


def _open_lock(path: Path) -> IO[str]:
    try:
        return path.open("a")
    except OSError as error:
        message = f"the lock {path} cannot be opened: {error.strerror}; MATRIX_CACHE_DIR names another cache folder"
        raise StoreError(message) from error


def _take(file: IO[str]) -> bool:
    """Take a lock unless another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(name: str) -> bool:
    """Tell whether a living process holds the lock of that name."""
    path = cache_folder("locks") / name
    if not path.exists():
        return False
    with _open_lock(path) as file:
        return not _take(file)


@contextmanager
def living(run: str) -> Iterator[None]:
    """Hold the lock of a run for as long as it lives, and leave no file of it; of two that live, the second is refused."""
    path = cache_folder("locks") / run_lock(run)
    for _ in range(_TRIES):
        with _open_lock(path) as file:
            if _take(file) and _is_there(file, path):
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
        time.sleep(_POLL_S)  # somebody may only be looking whether it is held, or have ended just now
    message = f"run {run} is still under way"
    raise UsageError(message)


def look_at_runs() -> tuple[set[str], set[str]]:
    """Give the runs that live and those that were killed, in small letters; the locks that the latter have left are removed."""
    alive, killed = set(), set()
    for path in cache_folder("locks").glob(run_lock("*")):
        run = path.name.removeprefix(run_lock(""))
        with _open_lock(path) as file:
            if not _take(file):
                alive.add(run)
            elif _is_there(file, path):  # a run that begins with this file finds that it is gone, and makes another
                killed.add(run)
                path.unlink()
    return alive, killed


def _is_there(file: IO[str], path: Path) -> bool:
    """Tell whether an open file is the one that has this path now."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def run_lock(run: str) -> str:
    """Give the name of the lock that a run holds while it lives."""
    return f"run-{run.lower()}"
