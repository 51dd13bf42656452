"""`matrix run --locked`: a plan pinned to matrix.lock, and the files that it needs while it runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.disk import disk_errors
from orchestrator.docker.references import read_engine_digest
from orchestrator.errors import ConfigError, UsageError
from orchestrator.hints import repeat_options
from orchestrator.paths import cache_folder, forget_old, held
from orchestrator.places import dockerfile_of, inside_context, is_locked_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from orchestrator.config.load import Matrix
    from orchestrator.lock.nouns import LockedBase
    from orchestrator.model import Cell, Plan

_KEPT_S = 7 * 24 * 3600.0  # longer than any run takes


class Locked(Struct, frozen=True):
    """A plan as it is built, the lock that it is pinned to, if any, and what that asks for besides."""

    plan: Plan
    digest: str | None = None
    files: tuple[tuple[Path, str], ...] = ()
    bases: tuple[LockedBase, ...] = ()
    options: str = ""  # with which `matrix lock` finds it

    @property
    def pinned_digests(self) -> frozenset[str]:
        """Give the digests that a registry can be asked for."""
        return frozenset(base.digest for base in self.bases if base.source == "registry")

    def check_engine(self, docker: str) -> None:
        """Refuse when a base that only the engine has is not the one that was locked: nothing pins it by itself."""
        for ref, digest in dict.fromkeys((base.ref, base.digest) for base in self.bases if base.source == "engine"):
            found = read_engine_digest(docker, ref)
            if found != digest:
                has = found[:19] if found else "none"
                message = f"base {ref} is locked to the engine's {digest[:19]}, and it has {has}; "
                message += f"`matrix lock{self.options}` takes what is there"
                raise UsageError(message)


def pin_plan(matrix: Matrix, plan: Plan, *, wanted: bool, earlier: str | None, resumed: bool) -> Locked:
    """Pin a plan to the lock beside matrix.yaml; a run that is resumed is pinned as it was, or not at all."""
    if resumed and wanted and earlier is None:
        message = "the run to be resumed was not locked; leave --locked out, or start a new run"
        raise UsageError(message)
    if not wanted and earlier is None:
        return Locked(plan)
    from orchestrator.lock.fit import fit_cell  # noqa: PLC0415  # brings the doors to package indices, which few runs need
    from orchestrator.locking import load_lock, lock_path, read_facts  # noqa: PLC0415  # as above

    path, options = lock_path(matrix.path), repeat_options(matrix.path)
    lock, raw = load_lock(path, options)
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    if earlier not in (None, digest):
        message = f"{path} has changed since the run was started; start a new run"
        raise UsageError(message)
    facts = read_facts(plan.cells, matrix.folder)
    fitted = [fit_cell(cell, lock, facts[cell.id]) for cell in plan.cells]
    if problems := dict.fromkeys(problem for one in fitted for problem in one.problems):
        misfit = f"{path}: does not fit {matrix.path.name}; `matrix lock{options}` writes it anew"
        raise ConfigError([*(f"{path}: {problem}" for problem in problems), misfit])
    files = tuple(dict.fromkeys((matrix.folder / one.file[0], one.file[1]) for one in fitted if one.file))
    with held("locked"):  # a folder that is old until it is written must not go in between
        cells = tuple(_let_in(one.cell, matrix.folder) if one.file else one.cell for one in fitted)
        forget_old(cache_folder("locked"), _KEPT_S)
    bases = tuple(dict.fromkeys(base for one in fitted for base in one.bases))
    return Locked(replace(plan, cells=cells), digest, files, bases, options)


def _let_in(cell: Cell, folder: Path) -> Cell:
    """See that no ignore file keeps the locked requirements out of the context.

    BuildKit prefers the ignore file beside the Dockerfile, so a copy of both
    stands elsewhere, with one line more.
    """
    settings = cell.settings
    dockerfile = dockerfile_of(settings, folder)
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    ignore = own if own.is_file() else folder / settings.context / ".dockerignore"
    if not ignore.is_file() or settings.requirements is None:
        return cell
    more = f"\n!{inside_context(settings.requirements, settings.context)}\n"
    text = ignore.read_bytes().rstrip() + more.encode()  # its comments may be in any encoding
    content = dockerfile.read_bytes()
    copy = cache_folder("locked", hashlib.sha256(content + b"\0" + text).hexdigest()[:24]) / dockerfile.name
    for path, data in ((copy, content), (copy.with_name(f"{copy.name}.dockerignore"), text)):
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with disk_errors(path):
            draft.write_bytes(data)
            draft.replace(path)
    return replace(cell, settings=replace(settings, dockerfile=str(copy.absolute())))


@contextmanager
def written(files: tuple[tuple[Path, str], ...]) -> Iterator[None]:
    """Have these files while a run goes on; the last run that needs one removes it, and any what killed ones have left."""
    forget_left({path.parent for path, _ in files})
    with ExitStack() as stack:
        for path, text in files:
            stack.enter_context(_shared(path, text))
        yield


@contextmanager
def _shared(path: Path, text: str) -> Iterator[None]:
    """Hold a file together with other runs: the kernel lets go of it however a run ends."""
    with disk_errors(path):
        number = _open_shared(path, text.encode())
    try:
        yield
    finally:
        with suppress(OSError):  # somebody else still holds it, or it is gone already
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        os.close(number)


def forget_left(folders: Iterable[Path]) -> list[Path]:
    """Remove the files that runs which were killed have left in these folders: nobody holds them any more."""
    return [path for folder in folders for path in folder.glob(".*.locked.txt") if is_locked_name(path.name) and _take_away(path)]


def _take_away(path: Path) -> bool:
    """Remove a file unless a run holds it, or it is another user's; tell whether it was removed."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(number), suppress(OSError):
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _has_path(number, path):
            path.unlink()
            return True
    return False


def _open_shared(path: Path, data: bytes) -> int:
    """Open a file, made if need be, and hold it; one that was removed meanwhile is made anew."""
    while True:
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        fcntl.flock(number, fcntl.LOCK_SH)
        if _has_path(number, path):
            break
        os.close(number)
    if os.pread(number, len(data) + 1, 0) != data:
        os.pwrite(number, data, 0)
        os.ftruncate(number, len(data))
    return number


def _has_path(number: int, path: Path) -> bool:
    """Tell whether an open file is the one that has this path now."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(number), os.stat(path, follow_symlinks=False))  # noqa: PTH116  # beside fstat
    return False
