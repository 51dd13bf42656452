"""Copies of contexts in which one file is changed: the user's own files stay as they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator.mirrors import Mirrors
from orchestrator.model import Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_a_change_is_in_the_copy_only_and_goes_away_again(tmp_path: Path) -> None:
    """Each number makes another content, of white space only; all else is what it was."""
    project = tmp_path / "project"
    (project / "app").mkdir(parents=True)
    source = project / "app" / "main.py"
    source.write_text("print(1)\n")
    source.chmod(0o755)
    (project / "link").symlink_to("app")
    os.mkfifo(project / "pipe")
    mirrors = Mirrors(project, tmp_path / "mirrors")
    settings = Settings(context=".")
    contents = set()
    for number in (1, 2, 2**63):
        copy = mirrors.change(settings, "app/main.py", number) / "app" / "main.py"
        contents.add(copy.read_text())
        assert copy.read_text().strip() == "print(1)"
        assert copy.stat().st_mode == source.stat().st_mode
    assert len(contents) == 3
    assert source.read_text() == "print(1)\n"
    mirror = mirrors.of(settings)
    assert (mirror / "link").is_symlink()
    assert not (mirror / "pipe").exists()
    mirrors.restore(settings, "app/main.py")
    assert (mirror / "app" / "main.py").read_text() == "print(1)\n"
    mirrors.remove()
    assert source.read_text() == "print(1)\n"
    assert not mirror.exists()


def test_a_context_below_the_matrix_file_is_copied_once(tmp_path: Path) -> None:
    """Names in matrix.yaml begin at its own folder, those in the copy at the context."""
    (tmp_path / "project" / "service").mkdir(parents=True)
    (tmp_path / "project" / "service" / "requirements.txt").write_text("a==1\n")
    mirrors = Mirrors(tmp_path / "project", tmp_path / "mirrors")
    settings = Settings(context="service")
    copy = mirrors.change(settings, "service/requirements.txt", 5)
    assert (copy / "requirements.txt").read_text().splitlines()[0] == "a==1"
    assert mirrors.of(settings) == copy
