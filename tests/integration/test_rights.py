"""Files and folders that the user of a command may not use: what another user's run has left, a disk that is read-only."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.store import BASELINES, Reports
from tests.unit.records import run_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD, NEW = "20261120T050607Z-abc122", "20261121T050607Z-abc123"
MATRIX = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
WITHOUT_POWER = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]  # root without what lets it pass all rights


def end_of(*words: str, folder: Path) -> tuple[int, str]:
    """Run a command as a user for whom rights count; give its exit code and what it said."""
    argv = [*(WITHOUT_POWER if os.geteuid() == 0 else ()), *MATRIX, *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def reports(tmp_path: Path) -> Iterator[Reports]:
    """Give two stored runs, whose folders can be removed at the end."""
    stored = Reports(tmp_path / "reports")
    for run in map(stored.run, (OLD, NEW)):
        run.create()
        run.save_text("run.json", run_json().replace(NEW, run.id))
    yield stored
    for folder in (stored.path, stored.runs, *(stored.runs / run for run in (OLD, NEW))):
        if folder.exists():
            folder.chmod(0o755)


@pytest.mark.parametrize(
    "command", ["report", "compare latest latest", "explain", "trace", "history", "site", "baseline", "merge x"]
)
def test_runs_that_may_not_be_listed_are_no_bug(command: str, reports: Reports) -> None:
    """A run as root under a strict umask leaves such."""
    reports.runs.chmod(0)
    refused = (2, "matrix: reports/runs cannot be read: Permission denied\n")
    assert end_of(*command.split(), folder=reports.path.parent) == refused


def test_a_run_that_may_not_be_read_is_one_all_the_same(reports: Reports) -> None:
    """It is named, and the others can be looked at."""
    (reports.runs / NEW).chmod(0)
    here = reports.path.parent
    refused = f"runs/{NEW}/run.json cannot be read: Permission denied\n"
    assert end_of("report", folder=here) == (2, f"matrix: reports/{refused}")
    assert end_of("report", OLD, folder=here)[0] == 0
    code, said = end_of("site", folder=here)
    assert code == 0
    assert f"left out {NEW}: {refused}" in said


def test_a_choice_that_may_not_be_read_or_forgotten_is_no_bug(reports: Reports) -> None:
    """The choice stays, and the sentence says where."""
    here, choices = reports.path.parent, reports.path / BASELINES
    assert end_of("baseline", OLD, folder=here)[0] == 0
    reports.path.chmod(0o555)
    assert end_of("baseline", "--clear", folder=here) == (
        2,
        f"matrix: reports/{BASELINES} could not be removed: Permission denied\n",
    )
    reports.path.chmod(0)
    assert end_of("baseline", "--show", folder=here) == (2, f"matrix: reports/{BASELINES} may not be used: Permission denied\n")
    reports.path.chmod(0o755)
    assert choices.exists()


def test_a_doctor_finds_the_folders_in_which_a_run_could_not_write(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a folder is there is not enough; of one that is not, it is the folder around it."""
    here = reports.path.parent
    cache = here / "cache"
    (cache / "locks").mkdir(parents=True)
    (cache / "locks").chmod(0o555)
    reports.runs.chmod(0o555)
    monkeypatch.setenv("MATRIX_CACHE_DIR", str(cache))
    monkeypatch.setenv("COLUMNS", "500")
    (here / "docker").mkdir(mode=0o555)
    monkeypatch.setenv("DOCKER_CONFIG", str(here / "docker"))
    monkeypatch.delenv("BUILDX_CONFIG", raising=False)
    code, said = end_of("doctor", folder=here)
    assert code
    assert f"MISSING  cache folder  {cache}/locks may not be changed; MATRIX_CACHE_DIR names another\n" in said
    assert (
        f"MISSING  buildx        {here}/docker may not be changed; BUILDX_CONFIG names another folder for its own files\n" in said
    )
    assert "MISSING  reports       reports/runs may not be changed; make it yours, or name another folder by --reports\n" in said


def test_a_result_that_may_not_be_written_is_refused_before_the_work(reports: Reports) -> None:
    """Hours later is too late: no run is begun, and no engine is asked."""
    here = reports.path.parent
    (here / "matrix.yaml").write_text("version: 1\nname: m\naxes: {a: [x]}\nbuilder: {driver: docker}\n")
    (here / "Dockerfile").write_text("FROM scratch\n")
    (here / "shut").mkdir(mode=0o555)
    assert end_of("run", "-o", "shut/x", folder=here) == (2, "matrix: shut/x cannot be written: shut may not be changed\n")


def test_a_working_folder_that_is_gone_is_no_bug(reports: Reports) -> None:
    """A checkout that was replaced under a shell leaves it without one."""
    argv = ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh", *MATRIX]
    done = subprocess.run(
        [*argv, "report", "--reports", str(reports.path)], cwd=reports.path.parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "matrix: the working folder is not there any more; change into one that is\n"


def test_a_user_without_a_home_needs_a_cache_folder_and_nothing_else(reports: Reports) -> None:
    """Containers are run by numbers that no list of users has, and with no more in their environment than PATH."""
    here = reports.path.parent
    (here / "matrix.yaml").write_text("version: 1\nname: m\naxes: {a: [x]}\nbuilder: {driver: docker}\n")
    (here / "Dockerfile").write_text("FROM scratch\n")
    homeless = "import pwd\npwd.getpwuid = {}.__getitem__\nfrom orchestrator.cli import main\nmain()"

    def said_by(*words: str, **environment: str) -> tuple[int, str]:
        argv = [sys.executable, "-c", homeless, *words]
        env = {"PATH": os.environ["PATH"], **environment}
        done = subprocess.run(argv, cwd=here, env=env, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    assert said_by("plan", "--format", "ids") == (0, "x\n")
    assert said_by("preflight", "--offline")[0] == 2
    words = "matrix: this user has no home folder to keep a cache in; MATRIX_CACHE_DIR names another\n"
    assert said_by("run") == (2, words)
    assert said_by("preflight", "--offline", MATRIX_CACHE_DIR=str(here / "cache"))[0] == 0
