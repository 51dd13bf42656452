"""A disk that is full: under the run folder, under the cache, under the engine."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_interrupts import finished
from tests.faults.engine.conftest import times
from tests.faults.engine.laboratory import DRILLS
from tests.faults.engine.tally import Tally
from tests.faults.engine.whole import check_ended, check_files, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.conftest import Project

OF_THE_ENGINE = re.compile(r"no room left on the engine's disk|snapshot does not exist")
CELLS = [f"cell{number}" for number in range(8)]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Let a folder be a disk of this size."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def write_cells(project: Project, step: str = "seq 2000") -> None:
    """Write eight cells that print, and leave files of a size of their own."""
    steps = {cell: {"args": {"DO": f"{step}; head -c 20000 /dev/urandom > /{cell}"}} for cell in CELLS}
    project.write(axes={"kind": CELLS}, settings={"kind": steps}, defaults={"smoke": [{"run": ["true"]}], "retries": 0})


def run_out_of_room(project: Project, *words: str) -> str:
    """Run until there is no room; it says so, with exit code 4 and no traceback."""
    done = project.matrix("run", "--progress", "none", *words, exit_code=4)
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    return said


@pytest.mark.whole
def test_a_full_disk_under_the_run_folder_keeps_what_is_finished(fresh: Callable[[str], Project]) -> None:
    """With room again, --resume goes on, and no file was left half-written."""
    tally = Tally()
    for number in range(times(1, 10)):
        project = fresh(f"reports-{number}")
        write_cells(project)
        reports = project.folder / "reports"
        with tally.one(), small_disk(reports, f"{60 + 12 * number}k"):
            said = run_out_of_room(project)
            assert "no room left on the disk" in said
            has_begun = (project.latest / "run.json").is_file()
            assert ("--resume" in said) == has_begun
            before = finished(project)
            check_ended(project)
            subprocess.run(["mount", "-o", "remount,size=20m", str(reports)], check=True)
            words = ["--resume", "latest"] if has_begun else []
            record = project.run(*words)
            assert {cell["status"] for cell in record["cells"]} == {"passed"}
            assert all(cell in {one["id"] for one in record["cells"]} for cell in before)
            check_files(project)
            check_ended(project)
            tally.seen["exit 4, the disk and --resume named; with room again all passed"] += 1
    tally.save("faults under way", "the disk of the run folder is full")


@pytest.mark.whole
def test_a_full_disk_under_the_cache_is_named(fresh: Callable[[str], Project]) -> None:
    """What is only remembered may be lost; what must lie there is missed in words."""
    tally = Tally()
    for number in range(times(1, 10)):
        project = fresh(f"cache-{number}")
        write_cells(project)
        cache = project.folder / "cache"
        with tally.one(), small_disk(cache, f"{(20, 200, 700, 1100)[number % 4]}k"):
            process = project.start("run", "--progress", "none")
            out, err = process.communicate(timeout=300)
            assert "Traceback" not in out + err, err
            assert process.returncode == 4, f"exit {process.returncode}\n{out}\n{err}"
            there_is_a_run = (project.latest / "run.json").is_file()
            assert "no room" in out + err + str(outcomes(project.record()) if there_is_a_run else ""), err
            subprocess.run(["mount", "-o", "remount,size=200m", str(cache)], check=True)
            words = ["--resume", "latest"] if there_is_a_run else []
            assert {cell["status"] for cell in project.run(*words)["cells"]} == {"passed"}
            check_files(project)
            check_ended(project)
            tally.seen["exit 4, the disk named; with room again all passed"] += 1
    tally.save("faults under way", "the disk of the cache is full")


@pytest.mark.whole
def test_a_full_disk_under_the_engine_is_named(fresh: Callable[[str], Project]) -> None:
    """It is no verdict on the Dockerfile, and nothing of the cell stays behind."""
    tally = Tally()
    for number in range(times(1, 10)):
        project = fresh(f"engine-{number}")
        write_cells(project, f"dd if=/dev/urandom of=/large bs=1M count=3 || exit {number + 1}")
        filler = DRILLS.folder / "data" / "filler"
        with tally.one():
            fill(filler, leave_kib=4000 + 1500 * number)
            try:
                run_out_of_room(project)
            finally:
                filler.unlink()
            known = project.record()
            for status, reason in outcomes(known).values():
                by_matrix = status == "error" and re.search(
                    "no room left on the engine's disk|snapshot does not exist", str(reason)
                )
                by_the_step = status == "build-failed" and "No space left on device" in str(reason)
                assert status == "passed" or by_matrix or by_the_step, (status, reason)
            check_files(project)
            check_ended(project)
            failed = any(status == "build-failed" for status, _ in outcomes(known).values())
            project.docker("buildx", "prune", "--force", "--all")  # BuildKit keeps what it lost on the full disk in its cache
            record = project.run(*([] if failed else ["--resume", "latest"]))
            assert {cell["status"] for cell in record["cells"]} == {"passed"}
            tally.seen["exit 4, the engine's disk named; with room again all passed"] += 1
    tally.save("faults under way", "the disk of the engine is full")


def fill(file: Path, leave_kib: int) -> None:
    """Fill the disk on which a file lies, but for so much."""
    about = subprocess.run(["df", "--output=avail", "-k", str(file.parent)], capture_output=True, text=True, check=True).stdout
    free = int(about.split()[-1])
    subprocess.run(["fallocate", "-l", f"{free - leave_kib}KiB", str(file)], check=True)
