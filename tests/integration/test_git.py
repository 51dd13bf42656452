"""What a run reads of the repository that it is started in; it changes nothing there."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from orchestrator.git import read_git
from tests.unit.folders import make_files

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *words: str) -> str:
    """Run git in a folder as somebody."""
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_reading_the_work_tree_does_not_write_the_index(tmp_path: Path) -> None:
    """A file that was only touched has git look at it anew; what it learns is not the run's to keep, nor the lock to take."""
    assert read_git(tmp_path) == (None, None)
    make_files(tmp_path, "a")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "--message=a")
    os.utime(tmp_path / "a", (1, 1))
    index = tmp_path / ".git" / "index"
    before = index.read_bytes()
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert read_git(tmp_path) == (commit, False)
    assert index.read_bytes() == before
    (tmp_path / "a").write_text("changed\n")
    assert read_git(tmp_path) == (commit, True)
