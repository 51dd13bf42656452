"""Copies of build contexts in which one file is changed for each measurement; the user's own files stay as they are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.disk import disk_errors
from orchestrator.places import inside_context

if TYPE_CHECKING:
    from orchestrator.model import Settings

_BITS = 64


class Mirrors:
    """One copy of each context, of hard links where the disk allows: only the file that is changed is written."""

    def __init__(self, folder: Path, place: Path) -> None:
        """Copy from matrix.yaml's folder into a place of matrix's own."""
        self._folder = folder
        self._place = place
        self._mirrors: dict[str, Path] = {}

    def of(self, settings: Settings) -> Path:
        """Give the copy of a cell's context, made when it is first asked for."""
        if settings.context not in self._mirrors:
            copy = self._place / str(len(self._mirrors))
            with disk_errors(self._place):
                shutil.copytree(self._folder / settings.context, copy, symlinks=True, copy_function=_link, ignore=_special)
            self._mirrors[settings.context] = copy
        return self._mirrors[settings.context]

    def change(self, settings: Settings, file: str, number: int) -> Path:
        """Change one file of the copy by white space at its end, as no sample did before; give the copy."""
        mirror = self.of(settings)
        original = self._folder / file
        copy = mirror / inside_context(file, settings.context)
        with disk_errors(self._place):
            changed = original.read_bytes() + _white(number)
            copy.unlink(missing_ok=True)  # a hard link: writing into it would change the user's own file
            copy.write_bytes(changed)
            shutil.copymode(original, copy)
        return mirror

    def restore(self, settings: Settings, file: str) -> None:
        """Take the change back."""
        copy = self.of(settings) / inside_context(file, settings.context)
        with disk_errors(self._place):
            copy.unlink(missing_ok=True)
            _link(str(self._folder / file), str(copy))

    def remove(self) -> None:
        """Remove all copies."""
        shutil.rmtree(self._place, ignore_errors=True)


def _white(number: int) -> bytes:
    """Write a number as lines that are empty or hold a blank: no language, and no requirements file, minds them."""
    return b"\n" + b"".join(b" \n" if number >> bit & 1 else b"\n" for bit in range(_BITS))


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another disk, or one that knows no hard links
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def _special(folder: str, names: list[str]) -> set[str]:
    """Leave out sockets, pipes and devices, which no build context can hold."""
    entries = {name: Path(folder, name) for name in names}
    return {name for name, path in entries.items() if not (path.is_symlink() or path.is_file() or path.is_dir())}
