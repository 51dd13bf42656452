"""`matrix init`: a small matrix that runs as it is, to be changed into one's own."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from orchestrator.disk import disk_errors, write_result
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("matrix.yaml", "Dockerfile", "requirements/stdlib.txt", "requirements/http.txt", ".dockerignore")


def write_starter(folder: Path, *, force: bool) -> list[Path]:
    """Write the starter's files; nothing is written when one of them is there already."""
    if folder.is_file():
        message = f"{folder} is a file; name a folder"
        raise UsageError(message)
    there = [name for name in FILES if (folder / name).exists()]
    if there and not force:
        names = ", ".join(str(folder / name) for name in there)
        message = f"{names} {'is' if len(there) == 1 else 'are'} there already; --force overwrites"
        raise UsageError(message)
    written = []
    for name in FILES:
        path = folder / name
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_result(path, (_read(name).encode(),))
        written.append(path)
    return written


def _read(name: str) -> str:
    """Read a file of the starter; packages do not carry hidden files as well as plain ones."""
    source = resources.files("orchestrator.starter") / "files"
    for part in name.removeprefix(".").split("/"):
        source = source / part
    return source.read_text(encoding="utf-8")
