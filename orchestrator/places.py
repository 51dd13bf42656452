"""Where the files of a cell lie: beside matrix.yaml, in the context, or with the builder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.model import Settings


def is_remote(context: str) -> bool:
    """Tell whether a build context is fetched by the builder, not read from this machine."""
    return context.startswith(("http://", "https://", "git://", "git@", "ssh://", "github.com/"))


def dockerfile_of(settings: Settings, folder: Path) -> Path:
    """Find a cell's Dockerfile: beside matrix.yaml as written, or else inside the context."""
    beside = folder / settings.dockerfile
    inside = folder / settings.context / settings.dockerfile
    return inside if not beside.is_file() and inside.is_file() else beside


def inside_context(path: str, context: str) -> str:
    """Give a file's path as the Dockerfile sees it: from the context, not from matrix.yaml."""
    return path if is_remote(context) else Path(os.path.relpath(path, context)).as_posix()
