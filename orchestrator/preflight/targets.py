"""Which C library, platform and Python a cell has, as far as its settings and its Dockerfile say so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.preflight.nouns import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.dockerfile import Image
    from orchestrator.model import Cell

_VERSION = re.compile(r"(\d{1,2}\.\d{1,3})(?:\.\d{1,3})?(?![\w.])")
_PYTHON_IMAGE = re.compile(r"(?:.*/)?python:(\d{1,2}\.\d{1,3})(?:\.\d{1,3})?(?![\d.])")
_ARGUMENTS = ("PYTHON_VERSION", "PYTHON")


def make_target(cell: Cell, images: Sequence[Image], here: str) -> tuple[Target, str | None]:
    """Give a cell's target, and by what its Python is known; `here` is the platform of builds that name none."""
    python, known_by = find_python(cell, images)
    return Target(cell.settings.libc, cell.settings.platform or here, python), known_by


def find_python(cell: Cell, images: Sequence[Image]) -> tuple[str | None, str | None]:
    """Find a cell's Python: an axis `python`, then a build argument, then a base that is named after its Python."""
    if found := _VERSION.fullmatch(dict(cell.axes).get("python", "")):
        return found[1], "axis python"
    arguments = dict(cell.settings.args)
    for name in _ARGUMENTS:
        if found := _VERSION.match(arguments.get(name, "")):
            return found[1], f"argument {name}"
    for image in images:
        if found := _PYTHON_IMAGE.match(image.ref):
            return found[1], f"base {image.ref}"
    return None, None


def has_compiler(images: Sequence[Image], tools: Sequence[str]) -> bool:
    """Tell whether a build seems to have a compiler: its Dockerfile names one, or a base is one of Python's full images."""
    full = (image.ref.partition("@")[0] for image in images)
    return bool(tools) or any(_PYTHON_IMAGE.match(ref) and not re.search(r"slim|alpine", ref) for ref in full)
