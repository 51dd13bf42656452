"""The commit that a run was started from, where there is one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from orchestrator.docker import process

if TYPE_CHECKING:
    from pathlib import Path


def read_git(folder: Path) -> tuple[str | None, bool | None]:
    """Give the commit and whether the work tree differs from it; (None, None) outside of git."""
    git = shutil.which("git")
    if git is None:
        return None, None
    commit = process.run([git, "-C", str(folder), "rev-parse", "HEAD"])
    if not commit.ok:
        return None, None
    looking = [git, "--no-optional-locks", "-C", str(folder)]  # or it would write what it learns into the user's index
    status = process.run([*looking, "status", "--porcelain", "--untracked-files=no"])
    return commit.stdout.strip(), bool(status.stdout.strip()) if status.ok else None
