"""The folder of all runs: listed, found by what people type, pointed to and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import StoreError, UsageError
from orchestrator.store import Reports, RunFolder
from tests.unit.records import make_record, run_json

if TYPE_CHECKING:
    from pathlib import Path

IDS = ("20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb", "20260102T000000Z-cccccc")


@pytest.fixture
def stored(tmp_path: Path) -> Reports:
    """Give reports with three runs."""
    for name in IDS:
        folder = RunFolder(tmp_path / "runs" / name)
        folder.create()
        folder.save_text("run.json", run_json().replace(make_record().id, name))
    (tmp_path / "runs" / "20260103T000000Z-dddddd").mkdir()
    (tmp_path / "runs" / "notes").mkdir()
    return Reports(tmp_path)


def test_runs_are_listed_oldest_first(stored: Reports) -> None:
    """Only folders that hold a run are runs."""
    assert stored.run_ids() == list(IDS)


@pytest.mark.parametrize(
    ("name", "found"), [(IDS[0], IDS[0]), ("20260101", IDS[0]), ("20260102T000000Z-b", IDS[1]), ("latest", IDS[2])]
)
def test_a_run_is_found_by_its_id_or_the_start_of_it(name: str, found: str, stored: Reports) -> None:
    """People type what they remember."""
    assert stored.find(name).id == found


def test_a_run_is_found_by_its_folder(stored: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was copied from elsewhere is read where it lies."""
    (tmp_path / "runs" / IDS[0]).rename(tmp_path / "copied")
    assert stored.find(str(tmp_path / "copied")).load().id == IDS[0]
    monkeypatch.chdir(tmp_path)
    assert stored.find("copied").path == tmp_path / "copied"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("20260102", f"'20260102' is the start of 2 runs; the newest is {IDS[2]}"),
        ("20260101T000000Z-aaaaab", f"; the newest is {IDS[2]}; did you mean '{IDS[0]}'?"),
        ("x", f"; the newest is {IDS[2]}"),
    ],
)
def test_a_run_that_is_not_found_is_answered_with_the_newest(name: str, words: str, stored: Reports) -> None:
    """An unknown or ambiguous run is a usage error that names one that is there."""
    with pytest.raises(UsageError) as caught:
        stored.find(name)
    assert str(caught.value).endswith(words)


def test_a_run_is_found_by_its_record(stored: Reports) -> None:
    """Shells complete file names, and run.json is the file of a run that one has in front of oneself."""
    assert stored.find(str(stored.runs / IDS[1] / "run.json")).id == IDS[1]


@pytest.mark.parametrize("runs", ["some", "none"])
@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("/etc", "/etc/run.json"),
        ("../x", "../x/run.json"),
        ("no/run.json", "no/run.json"),
        ("..", "../run.json"),
        ("/" + "x" * 300, ""),
    ],
)
def test_a_path_that_leads_to_no_run_is_not_called_an_id(
    name: str, missing: str, runs: str, stored: Reports, tmp_path: Path
) -> None:
    """Whether runs are stored here has nothing to do with a folder elsewhere."""
    with pytest.raises(UsageError) as caught:
        (stored if runs == "some" else Reports(tmp_path / "empty")).find(name)
    assert str(caught.value).startswith(f"'{name}' is not the folder of a run: there is no {missing}")


def test_where_there_are_no_runs_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    """The first report before the first run says what to do."""
    with pytest.raises(UsageError) as caught:
        Reports(tmp_path / "reports").find("latest")
    assert str(caught.value) == f"there are no runs in {tmp_path}/reports/runs; `matrix run` makes one"


def test_latest_never_points_to_a_run_that_lies_elsewhere(stored: Reports, tmp_path: Path) -> None:
    """One that was resumed where it lies is not in this folder: the link would lead nowhere."""
    stored.point_latest(stored.find(IDS[0]))
    stored.point_latest(Reports(tmp_path / "elsewhere").new_run())
    assert (stored.path / "latest").resolve().name == IDS[0]
    stored.point_latest(RunFolder((stored.runs / IDS[1]).resolve()))
    assert (stored.path / "latest").resolve().name == IDS[1]


def test_latest_points_to_the_run_it_was_last_pointed_to(stored: Reports) -> None:
    """`reports/latest` is a link that is replaced in one go."""
    for name in (IDS[2], IDS[0]):
        stored.point_latest(stored.find(name))
    assert (stored.path / "latest").resolve() == stored.path / "runs" / IDS[0]
    assert sorted(item.name for item in stored.path.iterdir()) == ["latest", "runs"]


def test_a_copy_in_the_place_of_latest_is_named_before_a_run_begins(stored: Reports) -> None:
    """An artifact that keeps no links leaves one. It is not ours to remove, and nothing is left beside it."""
    (stored.path / "latest").mkdir()
    (stored.path / "latest" / "run.json").touch()
    words = f"{stored.path}/latest is a folder, and has to be a link: something that keeps no links has left a copy; remove it"
    with pytest.raises(StoreError, match=f"^{words}$"):
        stored.new_run()
    with pytest.raises(StoreError, match=f"^{words}$"):
        stored.point_latest(stored.run(IDS[0]))
    assert stored.remove_all(lambda _: True) == (3, [])
    assert (stored.path / "latest" / "run.json").exists()
    assert sorted(item.name for item in stored.path.iterdir()) == ["latest", "runs"]


def test_clean_removes_runs_that_are_wanted_gone_and_nothing_else(stored: Reports) -> None:
    """Stored runs go when asked for; what else lies there stays."""
    stored.point_latest(stored.find("latest"))
    assert stored.remove_all(lambda name: name != IDS[2]) == (2, [])
    assert stored.run_ids() == [IDS[2]]
    assert (stored.path / "latest").exists()
    assert stored.remove_all(lambda _: True) == (1, [])
    assert not (stored.path / "latest").is_symlink()
    assert (stored.path / "runs" / "notes").is_dir()
