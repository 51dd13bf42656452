"""Where the files of a cell lie: beside matrix.yaml, in the context, or with the builder."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.model import Secret, Settings

_LOCKED = re.compile(r"\..+\.[0-9a-f]{12}\.locked\.txt")


def is_remote(context: str) -> bool:
    """Tell whether a build context is fetched by the builder, not read from this machine."""
    return context.startswith(("http://", "https://", "git://", "git@", "ssh://", "github.com/"))


def dockerfile_of(settings: Settings, folder: Path) -> Path:
    """Find a cell's Dockerfile: beside matrix.yaml as written, or else inside the context."""
    beside = folder / settings.dockerfile
    inside = folder / settings.context / settings.dockerfile
    return inside if not os.path.isfile(beside) and os.path.isfile(inside) else beside  # noqa: PTH113  # takes any name


def inside_context(path: str, context: str) -> str:
    """Give a file's path as the Dockerfile sees it: from the context, not from matrix.yaml."""
    return path if is_remote(context) else Path(os.path.relpath(path, context)).as_posix()


def locked_name(path: str, text: str) -> str:
    """Name the locked file: beside the original, where the context has it, and the same for the same text, for the cache."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name.removesuffix('.txt')}.{hashlib.sha256(text.encode()).hexdigest()[:12]}.locked.txt"


def is_locked_name(name: str) -> bool:
    """Tell whether a file is one that a locked run has beside the requirements while it lasts."""
    return _LOCKED.fullmatch(name) is not None


def is_folder(named: str) -> bool:
    """Tell whether a further context is a folder of this machine: no address, no image and no other target."""
    return not (is_remote(named) or "://" in named or named.startswith("target:"))


def named_context(value: str, folder: Path) -> str:
    """Make a folder that is named as a further context independent of the working folder."""
    return str(folder / value) if is_folder(value) else value


def secret_source(secret: Secret, folder: Path) -> str | None:
    """Name a secret's source as buildx does, or give None when it is not there; its value is not read."""
    if secret.env is not None:
        return f"env={secret.env}" if secret.env in os.environ else None
    name = secret.file if secret.file is not None else os.environ.get(secret.file_env or "", "")
    return f"src={folder / name}" if name and (folder / name).is_file() else None


def render_secret(secret: Secret, source: str) -> str:
    """Write a secret and its source as buildx reads them: as fields of a CSV."""
    fields = [f"id={secret.id}", source]
    return ",".join('"' + field.replace('"', '""') + '"' if re.search(r'[",\r\n]', field) else field for field in fields)
