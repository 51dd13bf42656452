"""The wheel: the same to the byte, whoever builds it, where and when."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]


def build(folder: Path, umask: int, moment: int) -> Path:
    """Build from a copy of the source made under another umask, at another time, in a folder of another name."""
    shutil.copytree(ROOT / "orchestrator", folder / "orchestrator", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder / name)
    for path in folder.rglob("*"):
        path.chmod(0o777 & ~umask if path.is_dir() else 0o666 & ~umask)
        os.utime(path, (moment, moment))
    words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder / "dist")]
    subprocess.run(words, cwd=folder, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1577836800"})
    (wheel,) = (folder / "dist").iterdir()
    return wheel


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    """So that anybody can see that a published wheel is what the source says; and it holds nothing but the package."""
    wheels = [build(tmp_path / name, umask, moment) for name, umask, moment in (("a", 0o022, 10**9), ("other", 0o077, 15 * 10**8))]
    assert wheels[0].name == wheels[1].name
    assert len({hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}) == 1
    with ZipFile(wheels[0]) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"orchestrator", "matrix_orchestrator"}
    assert not [name for name in names if name.endswith((".pyc", ".orig")) or "/." in name]
