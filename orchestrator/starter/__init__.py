"""`matrix init`: a small matrix that runs as it is, to be changed into one's own."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from orchestrator.errors import StoreError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("matrix.yaml", "Dockerfile", "requirements/stdlib.txt", "requirements/http.txt", ".dockerignore")


def write_starter(folder: Path, *, force: bool) -> list[Path]:
    """Write the starter's files; nothing is written when one of them is there already."""
    there = [name for name in FILES if (folder / name).exists()]
    if there and not force:
        message = f"{', '.join(str(folder / name) for name in there)} is there already; --force overwrites"
        raise UsageError(message)
    written = []
    for name in FILES:
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_read(name), encoding="utf-8")
        except OSError as error:
            message = f"{path} cannot be written: {error.strerror}"
            raise StoreError(message) from error
        written.append(path)
    return written


def _read(name: str) -> str:
    """Read a file of the starter; packages do not carry hidden files as well as plain ones."""
    source = resources.files("orchestrator.starter") / "files"
    for part in name.removeprefix(".").split("/"):
        source = source / part
    return source.read_text(encoding="utf-8")
