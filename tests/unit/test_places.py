"""Where a cell's files lie, which cells have no base, and where matrix keeps its own things."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest

from orchestrator.errors import EngineError, StoreError, UsageError
from orchestrator.model import Cell, Settings
from orchestrator.paths import cache_folder, held, is_held, living, remove_folder, run_lock
from orchestrator.places import dockerfile_of, inside_context, is_remote, named_context
from orchestrator.standins import VARIABLE, StandIns, find_stand_ins, lacking_reason
from tests.unit.folders import make_files


@pytest.mark.parametrize(
    "context", ["https://x/r.git", "http://x/a.tar", "git://x", "git@github.com:a/b.git", "ssh://git@x/r", "github.com/a/b"]
)
def test_a_context_that_the_builder_fetches_is_known(context: str) -> None:
    """Addresses are not folders."""
    assert is_remote(context)


@pytest.mark.parametrize("context", [".", "app", "../x", "/abs", "https", "github.com.d"])
def test_a_folder_is_no_address(context: str) -> None:
    """A folder may be called nearly anything."""
    assert not is_remote(context)


def test_a_dockerfile_lies_beside_the_matrix_or_else_in_its_context(tmp_path: Path) -> None:
    """Beside matrix.yaml wins; where it is nowhere, beside is where it is missed."""
    make_files(tmp_path, "Dockerfile", "app/Dockerfile", "app/Inner")
    assert dockerfile_of(Settings(context="app"), tmp_path) == tmp_path / "Dockerfile"
    assert dockerfile_of(Settings(context="app", dockerfile="Inner"), tmp_path) == tmp_path / "app" / "Inner"
    assert dockerfile_of(Settings(context="app", dockerfile="Gone"), tmp_path) == tmp_path / "Gone"


@pytest.mark.parametrize(
    ("path", "context", "inside"),
    [
        ("deps/r.txt", ".", "deps/r.txt"),
        ("app/deps/r.txt", "app", "deps/r.txt"),
        ("r.txt", "app", "../r.txt"),
        ("r.txt", "https://x/r.git", "r.txt"),
    ],
)
def test_a_file_is_named_as_the_dockerfile_sees_it(path: str, context: str, inside: str) -> None:
    """Paths in matrix.yaml start beside it; a Dockerfile's start in the context."""
    assert inside_context(path, context) == inside


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("app", "/m/app"),
        ("/abs", "/abs"),
        ("github.com.d", "/m/github.com.d"),
        ("git@host:foo/bar.git", "git@host:foo/bar.git"),
        ("github.com/foo/bar", "github.com/foo/bar"),
        ("docker-image://x", "docker-image://x"),
        ("target:base", "target:base"),
    ],
)
def test_a_further_context_is_a_folder_or_is_left_as_it_is(value: str, found: str) -> None:
    """Whatever buildx takes for an address of Git, or an image, is no folder beside matrix.yaml."""
    assert named_context(value, Path("/m")) == found


def cell(base: str, python: str) -> Cell:
    """Make a cell."""
    return Cell(f"{base}-{python}", (("base", base), ("python", python)), Settings())


def test_without_a_list_of_stand_ins_every_cell_has_its_base() -> None:
    """Bases are what they say unless the variable says otherwise."""
    assert find_stand_ins() == StandIns()
    assert lacking_reason(StandIns(), cell("alpine", "3.12")) is None


def test_a_cell_without_a_stand_in_has_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list names values or globs of axes, and why there is no base for them."""
    path = tmp_path / "stand-ins.json"
    rules = [{"where": {"base": "alpine", "python": "3.1[24]"}, "reason": "no musl build of it"}]
    path.write_text(json.dumps({"lacking": rules}))
    monkeypatch.setenv(VARIABLE, str(path))
    found = find_stand_ins()
    assert lacking_reason(found, cell("alpine", "3.12")) == "no musl build of it"
    assert lacking_reason(found, cell("alpine", "3.13")) is None
    assert lacking_reason(found, cell("slim", "3.12")) is None


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "{}", '{"lacking": [{}]}', '{"lacking": [{"where": 1, "reason": "x"}]}', '{"lacking": 1}']
)
def test_a_list_of_stand_ins_that_cannot_be_read_is_an_error(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong list must not let a run measure something else by accident."""
    path = tmp_path / "stand-ins.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv(VARIABLE, str(path))
    why = "No such file or directory" if text is None else ""
    with pytest.raises(UsageError, match=rf"MATRIX_STAND_IN_BASES names .* which cannot be read as a list of stand-ins: {why}"):
        find_stand_ins()


def test_the_cache_lies_where_the_user_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MATRIX_CACHE_DIR wins over XDG_CACHE_HOME, and that over the home folder."""
    monkeypatch.setenv("MATRIX_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert cache_folder("a", "b") == tmp_path / "own" / "a" / "b"
    monkeypatch.delenv("MATRIX_CACHE_DIR")
    assert cache_folder("a") == tmp_path / "shared" / "matrix" / "a"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert cache_folder() == tmp_path / "home" / ".cache" / "matrix"
    assert cache_folder().is_dir()


def test_a_cache_that_cannot_be_made_names_the_variable_that_moves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the way is an error with the cure."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MATRIX_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="cannot be made: Not a directory; MATRIX_CACHE_DIR names another"):
        cache_folder("x")


def test_a_run_that_lives_is_known_to_others() -> None:
    """It can be told from one that has ended, however it ended; nobody goes on with it meanwhile, and no file stays of it."""
    run = "20260101T000000Z-ABC"
    name = run_lock(run)
    assert name == "run-20260101t000000z-abc"
    assert not is_held(name)
    with living(run):
        assert is_held(name)
        with pytest.raises(UsageError, match=f"^run {run} is still under way$"), living(run):
            pytest.fail("two live at once")
        assert is_held(name)
    assert not is_held(name)
    with pytest.raises(ZeroDivisionError), living(run):
        raise ZeroDivisionError
    assert not (cache_folder("locks") / name).exists()


def test_who_waits_for_a_lock_can_be_told_to_stop() -> None:
    """Another run may make a builder for minutes: an interruption is not to wait for that."""
    name, cancel = "builder-x", threading.Event()
    with held(name):
        cancel.set()
        with pytest.raises(EngineError, match="cancelled while another matrix had the lock builder-x"), held(name, cancel):
            pytest.fail("two have the lock")
    with held(name, cancel):
        assert is_held(name), "a free one needs no waiting"


def test_a_lock_that_cannot_be_opened_names_the_variable_that_moves_it() -> None:
    """As in a cache folder that can only be read: an error with the cure, and no bug of ours."""
    cache_folder("locks", "in-the-way")
    words = r"locks/in-the-way cannot be opened: Is a directory; MATRIX_CACHE_DIR names another"
    with pytest.raises(StoreError, match=words), held("in-the-way"):
        pytest.fail("there is no such lock")
    with pytest.raises(StoreError, match=words):
        is_held("in-the-way")


def test_a_folder_goes_away_whatever_was_copied_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contexts have folders that can only be read, and links to folders of others, which stay as they are."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    (ours / "closed" / "inner").mkdir(parents=True)
    (ours / "closed" / "inner" / "file").touch()
    theirs.mkdir(0o500)
    (ours / "link").symlink_to(theirs)
    (ours / "closed" / "inner").chmod(0)
    (ours / "closed").chmod(0o500)
    changed: list[Path] = []
    chmod = Path.chmod

    def keep(path: Path, mode: int) -> None:
        changed.append(path)
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", keep)
    remove_folder(ours)
    assert not ours.exists()
    assert {path.name for path in changed} == {"ours", "closed", "inner"}, "root may remove anything, and tests may run as root"
    assert theirs.stat().st_mode & 0o777 == 0o500


def test_a_folder_that_two_remove_at_once_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gone is fine, also when all of it is; a folder of another user's may let itself be removed, but not changed."""
    (tmp_path / "ours" / "inner").mkdir(parents=True)
    rmtree, tries = shutil.rmtree, []

    def overtaken(folder: Path) -> None:
        tries.append(folder)
        if len(tries) == 1:
            raise FileNotFoundError
        rmtree(folder)

    def refuse(_path: Path, _mode: int) -> None:
        raise PermissionError

    monkeypatch.setattr(shutil, "rmtree", overtaken)
    monkeypatch.setattr(Path, "chmod", refuse)
    remove_folder(tmp_path / "ours")
    remove_folder(tmp_path / "ours")
    assert (len(tries), list(tmp_path.iterdir())) == (2, [])
