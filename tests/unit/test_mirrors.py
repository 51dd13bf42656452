"""Copies of contexts in which one file is changed: the user's own files stay as they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import StoreError
from orchestrator.mirrors import Mirrors, why_not_changed
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


def test_what_leads_out_of_a_copy_is_named_before_anything_is_changed(tmp_path: Path) -> None:
    """Through a link that is copied as it is, a change would reach the user's own file, and its removal lose it."""
    project = tmp_path / "project"
    (project / "lib" / "src").mkdir(parents=True)
    (project / "lib" / "src" / "main.py").write_text("print(1)\n")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "main.py").write_text("print(2)\n")
    links = {
        "absolute": str(project / "lib" / "src"),
        "relative": "lib/src",
        "through": "relative/../../lib/src",
        "again": "absolute",
        "outside": "../beside",
        "round": "../project/lib/src",
        "loop": "loop",
    }
    for name, target in links.items():
        (project / name).symlink_to(target)
    (project / "file.py").symlink_to(project / "lib" / "src" / "main.py")
    settings = Settings(context=".")
    behind = "lies behind a link that leads out of the context"
    for name in ("absolute", "again", "outside", "round", "loop"):
        assert why_not_changed(settings, f"{name}/main.py", project) == behind, name
    for file in ("relative/main.py", "through/main.py", "lib/src/main.py", "file.py"):
        assert why_not_changed(settings, file, project) is None, file
    for context, file in (("lib", "relative/main.py"), ("lib/src", "../x/a"), (".", "../beside/main.py"), ("lib", "lib/../a")):
        assert why_not_changed(Settings(context=context), file, project) == "lies outside the context", file


def test_a_file_behind_a_link_of_the_context_is_changed_in_the_copy(tmp_path: Path) -> None:
    """The link leads to the copy's own file there, and what is linked itself is replaced, not followed."""
    project = tmp_path / "project"
    (project / "lib").mkdir(parents=True)
    source = project / "lib" / "main.py"
    source.write_text("print(1)\n")
    (project / "src").symlink_to("lib")
    (project / "file.py").symlink_to(source)
    mirrors = Mirrors(project, tmp_path / "mirrors")
    settings = Settings(context=".")
    for file in ("src/main.py", "file.py"):
        copy = mirrors.change(settings, file, 7)
        assert (copy / file).read_text() != "print(1)\n"
        assert source.read_text() == "print(1)\n"
        mirrors.restore(settings, file)
        assert (copy / file).read_text() == "print(1)\n"
    names = sorted(path.name for path in copy.rglob("*"))
    assert names == ["file.py", "lib", "main.py", "src"], "what was written beside is gone"


def test_a_copy_that_cannot_be_put_back_is_left_as_it_is(tmp_path: Path) -> None:
    """The user may have removed the file meanwhile: what is there still is not thrown away for nothing."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "main.py").write_text("print(1)\n")
    mirrors = Mirrors(project, tmp_path / "mirrors")
    copy = mirrors.change(Settings(context="."), "main.py", 7) / "main.py"
    (project / "main.py").unlink()
    with pytest.raises(StoreError, match="No such file"):
        mirrors.restore(Settings(context="."), "main.py")
    assert copy.read_text().startswith("print(1)\n")


def test_a_copy_does_not_hold_itself(tmp_path: Path) -> None:
    """The cache may lie in the context, as CI likes it: a copy of it in itself would have no end."""
    cache = tmp_path / ".cache"
    place = cache / "images" / "run" / "mirrors"
    place.mkdir(parents=True)
    (cache / "layers").mkdir()
    (tmp_path / "reports" / "runs").mkdir(parents=True)
    (tmp_path / "main.py").write_text("print(1)\n")
    (tmp_path / "link").symlink_to(".cache")
    alone = Mirrors(tmp_path, place).of(Settings(context="."))
    assert not (alone / ".cache" / "images" / "run" / "mirrors").exists()
    mirrors = Mirrors(tmp_path, place / "more", (cache, tmp_path / "reports" / "runs"))
    copy = mirrors.of(Settings(context="."))
    assert sorted(path.name for path in copy.iterdir()) == ["link", "main.py", "reports"]
    assert list((copy / "reports").iterdir()) == []


def test_a_file_in_a_folder_that_can_only_be_read_is_changed_in_the_copy(tmp_path: Path) -> None:
    """The copy of the folder lets its owner write; the user's own stays as it is."""
    project = tmp_path / "project"
    (project / "app").mkdir(parents=True)
    (project / "app" / "main.py").write_text("print(1)\n")
    (project / "app").chmod(0o555)
    mirrors = Mirrors(project, tmp_path / "mirrors")
    copy = mirrors.change(Settings(context="."), "app/main.py", 1)
    assert (copy / "app").stat().st_mode & 0o777 == 0o755
    assert (project / "app").stat().st_mode & 0o777 == 0o555
    mirrors.remove()
    assert not (tmp_path / "mirrors").exists()
