"""The files that a locked run needs: there while any run needs them, gone after the last, and never through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.config.load import load_matrix
from orchestrator.errors import ConfigError, StoreError, UsageError
from orchestrator.lock.nouns import LockedBase
from orchestrator.locked import Locked, forget_left, pin_plan, written
from orchestrator.model import Plan
from orchestrator.paths import cache_folder

PLAN = Plan("m", (), (), ())


def test_the_last_run_removes_what_all_needed(tmp_path: Path) -> None:
    """Two runs at once share a file; what a killed one left behind is put right and goes away, too."""
    files = ((tmp_path / ".a.locked.txt", "new\n"), (tmp_path / ".b.locked.txt", ""))
    files[0][0].write_text("something longer that was left behind\n")
    with written(files):
        assert [path.read_text() for path, _ in files] == ["new\n", ""]
        with written(files[:1]):
            assert files[0][0].read_text() == "new\n"
        assert files[0][0].exists()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Nor does one whose second file cannot be written; a link is not followed."""
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "link").symlink_to(outside)
    with pytest.raises(StoreError, match=r"link cannot be written"), written(((tmp_path / "a", "x"), (tmp_path / "link", "y"))):
        pass
    assert not (tmp_path / "a").exists()
    assert outside.read_text() == "mine"
    with pytest.raises(StoreError, match="cannot be written: No such file or directory"), written(((tmp_path / "no/a", "x"),)):
        pass


def test_a_file_that_somebody_removed_is_no_trouble(tmp_path: Path) -> None:
    """The run is over anyway."""
    with written(((tmp_path / "a", "x"),)):
        (tmp_path / "a").unlink()
    assert list(tmp_path.iterdir()) == []


def test_copies_of_dockerfiles_go_when_no_run_has_needed_them_for_long(tmp_path: Path) -> None:
    """Each version of a Dockerfile and its ignore file has a folder of its own in the cache."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "matrix.yaml").write_text("version: 1\nname: m\naxes: {kind: [a]}\n")
    (tmp_path / "matrix.lock").write_text('schema = 1\nname = "m"\n')
    matrix = load_matrix(tmp_path / "matrix.yaml")
    old, new = cache_folder("locked", "old"), cache_folder("locked", "new")
    (old / "Dockerfile").touch()
    os.utime(old, (0, 0))
    assert pin_plan(matrix, matrix.plan, wanted=True, earlier=None, resumed=False).plan == matrix.plan
    assert list(cache_folder("locked").iterdir()) == [new]


def test_what_killed_runs_left_goes_and_nothing_that_only_looks_like_it(tmp_path: Path) -> None:
    """Such a file is held while a run needs it, and named after what it holds."""
    killed, needed = tmp_path / f".requirements.{'a' * 12}.locked.txt", tmp_path / f".requirements.{'b' * 12}.locked.txt"
    others = [tmp_path / name for name in (".requirements.locked.txt", f"requirements.{'a' * 12}.locked.txt")]
    for path in (killed, *others):
        path.touch()
    link = tmp_path / f".link.{'c' * 12}.locked.txt"
    link.symlink_to(others[0])
    with written(((needed, "x"),)):
        assert not killed.exists()
        killed.touch()
        assert forget_left([tmp_path, tmp_path / "none"]) == [killed]
        assert needed.exists()
    assert {*tmp_path.iterdir()} == {*others, link}


def test_a_base_of_the_engine_must_be_the_one_that_was_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else pins it; bases of a registry are pinned by their digest and not asked for."""
    bases = (LockedBase("local", "linux/amd64", "sha256:" + "a" * 64, "", "engine"), LockedBase("r", "linux/amd64", "sha256:b", ""))
    locked = Locked(PLAN, "sha256:l", (), bases)
    assert locked.pinned_digests == {"sha256:b"}
    monkeypatch.setattr("orchestrator.locked.read_engine_digest", lambda _docker, _ref: "sha256:" + "a" * 64)
    locked.check_engine("docker")
    monkeypatch.setattr("orchestrator.locked.read_engine_digest", lambda _docker, _ref: None)
    with pytest.raises(
        UsageError, match="base local is locked to the engine's sha256:aaaaaaaaaaaa, and it has none; `matrix lock`"
    ):
        locked.check_engine("docker")


def test_a_lock_that_does_not_hold_names_the_command_for_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is seldom the matrix.yaml of the folder in which it is typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1/Dockerfile").write_text("FROM a\n")
    (tmp_path / "v1/m.yaml").write_text("version: 1\nname: m\naxes: {base: [a]}\n")
    matrix = load_matrix(Path("v1/m.yaml"))
    with pytest.raises(ConfigError, match=r"no such file; `matrix lock -f v1/m\.yaml` writes it"):
        pin_plan(matrix, matrix.plan, wanted=True, earlier=None, resumed=False)
    for text in ("schema = [", "schema = 1\nname = 'm'\n"):
        (tmp_path / "v1/m.lock").write_text(text)
        with pytest.raises(ConfigError, match=r"; `matrix lock -f v1/m\.yaml` writes it anew"):
            pin_plan(matrix, matrix.plan, wanted=True, earlier=None, resumed=False)
