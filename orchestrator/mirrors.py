"""Copies of build contexts in which one file is changed for each measurement; the user's own files stay as they are."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from orchestrator.disk import disk_errors
from orchestrator.paths import open_up, remove_folder
from orchestrator.places import inside_context

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.model import Settings

_BITS = 64
_MOST_STEPS = 255  # folders and links on the way to a file


def why_not_changed(settings: Settings, file: str, folder: Path) -> str | None:
    """Say why a file cannot be changed in a copy of a context, if it cannot: in the copy, it would lead to the user's own."""
    inside = inside_context(file, settings.context)
    if PurePath(inside).is_absolute() or PurePath(inside).parts[:1] == ("..",):
        return "lies outside the context"
    return "lies behind a link that leads out of the context" if _leads_out(folder / settings.context, inside) else None


def _leads_out(context: Path, file: str) -> bool:
    """Tell whether a link on the way to a file leads elsewhere than into the copy, when it is followed in a copy."""
    ahead, at = list(PurePath(file).parent.parts), PurePath()
    for _ in range(_MOST_STEPS):
        if not ahead:
            return False
        part = ahead.pop(0)
        link = context / at / part
        if part == "..":
            if not at.parts:
                return True
            at = at.parent
        elif not link.is_symlink():
            at /= part
        elif link.readlink().is_absolute():
            return True
        else:
            ahead[:0] = link.readlink().parts
    return True


class Mirrors:
    """One copy of each context, of hard links where the disk allows: only the file that is changed is written."""

    def __init__(self, folder: Path, place: Path, left_out: Iterable[Path] = ()) -> None:
        """Copy from matrix.yaml's folder into a place of matrix's own, without what matrix itself writes meanwhile."""
        self._folder = folder
        self._place = place
        self._left_out = frozenset(path.resolve() for path in (place, *left_out))
        self._mirrors: dict[str, Path] = {}

    def of(self, settings: Settings) -> Path:
        """Give the copy of a cell's context, made when it is first asked for."""
        if settings.context not in self._mirrors:
            copy = self._place / str(len(self._mirrors))
            with disk_errors(self._place):
                shutil.copytree(self._folder / settings.context, copy, symlinks=True, copy_function=_link, ignore=self._ignored)
            self._mirrors[settings.context] = copy
        return self._mirrors[settings.context]

    def change(self, settings: Settings, file: str, number: int) -> Path:
        """Change one file of the copy by white space at its end, as no sample did before; give the copy."""
        mirror = self.of(settings)
        original = self._folder / file
        copy = mirror / inside_context(file, settings.context)
        with disk_errors(self._place):
            changed = original.read_bytes() + _white(number)
            draft = _beside(copy)  # the copy is a hard link: writing into it would change the user's own file
            open_up(copy.parent.resolve())
            draft.write_bytes(changed)
            shutil.copymode(original, draft)
            draft.replace(copy)
        return mirror

    def restore(self, settings: Settings, file: str) -> None:
        """Take the change back."""
        copy = self.of(settings) / inside_context(file, settings.context)
        with disk_errors(self._place):
            draft = _beside(copy)
            _link(str(self._folder / file), str(draft))
            draft.replace(copy)

    def remove(self) -> None:
        """Remove all copies, as far as the disk allows: `matrix clean` removes what is left."""
        with suppress(OSError):
            remove_folder(self._place)

    def _ignored(self, folder: str, names: list[str]) -> set[str]:
        """Leave out what no context can hold: sockets, pipes and devices; and what a copy must not hold: itself."""
        entries = {name: Path(folder, name) for name in names}
        odd = {name for name, path in entries.items() if not (path.is_symlink() or path.is_file() or path.is_dir())}
        return odd | {name for name in names if Path(folder).resolve() / name in self._left_out}


def _beside(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(8)}")


def _white(number: int) -> bytes:
    """Write a number as lines that are empty or hold a blank: no language, and no requirements file, minds them."""
    return b"\n" + b"".join(b" \n" if number >> bit & 1 else b"\n" for bit in range(_BITS))


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another disk, or one that knows no hard links
        shutil.copy2(source, target, follow_symlinks=False)
    return target
