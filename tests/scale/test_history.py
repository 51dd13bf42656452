"""A history of 1,000 runs of 100 cells: by the installed `matrix`, in a bounded time of the processor and bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.figures import save_figures
from orchestrator.inside import Package, Packages
from orchestrator.store import Reports
from tests.e2e.conftest import MATRIX
from tests.pace import slowness
from tests.scale.test_large_report import LAUNCH
from tests.unit.pairs import OS, PYTHON, make_cell, make_run, with_dockerfile_line, with_moved_base, with_newer_package

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.record import CellRecord, RunRecord

RUNS, CELLS = 1_000, 100
LONGEST_S = 2.0  # 1.1 s alone
WEEKS = 11  # of the newest: their runs are stored whole where something shifted; of the others only figures are read


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """Give a thousand nightly runs in which a base moved, a package changed and a line was added, again and again."""
    stored = Reports(tmp_path_factory.mktemp("history") / "reports")
    many = tuple(Package(f"package-{at}", "1.0", "wheel", native=False, bytes=100_000, layer=4) for at in range(100))
    plain = [_full(make_cell(f"base{at}", median_s=40.0), many) for at in range(CELLS)]
    changes = (with_moved_base, with_newer_package, with_dockerfile_line)
    cells = list(plain)
    for day in range(RUNS):
        if day % 7 == 6:
            week = day // 7
            cells = [changes[week % 3](plain[at]) if at % 4 == week % 4 else cell for at, cell in enumerate(cells)]
        _store(stored, make_run(*cells, day=day, noise=0.04), whole=is_whole(day))
    return stored


def is_whole(day: int) -> bool:
    """Tell whether a run's records are looked into: on the day of a shift, and the day before."""
    return day >= RUNS - 7 * WEEKS and day % 7 >= 5


def _full(cell: CellRecord, packages: tuple[Package, ...]) -> CellRecord:
    assert cell.image
    return replace(cell, image=replace(cell.image, packages=Packages(OS, (*PYTHON, *packages))))


def _store(reports: Reports, record: RunRecord, *, whole: bool) -> None:
    """Store a run as `matrix run` does; of an old one, only what is read of it."""
    run = reports.run(record.id)
    run.create()
    if whole:
        run.save_record(record)
    else:
        (run.path / "run.json").write_text(json.dumps({"schema": 1, "id": record.id}))
    save_figures(run, record)


def measure(folder: Path, limit_s: float = LONGEST_S) -> tuple[bool, float, str]:
    """Run matrix; tell whether it took no longer than it may, and give the memory in MB and what it printed."""
    out = folder / "out.txt"
    words = (MATRIX, "history", "--reports", str(folder / "reports"), "-o", str(out))
    done = subprocess.run([sys.executable, "-c", LAUNCH, *words], cwd=folder, capture_output=True, text=True, check=True)
    seconds, kilobytes = map(float, done.stdout.split())
    return seconds < limit_s * slowness(), kilobytes / 1000, out.read_text(encoding="utf-8")


def test_a_thousand_runs_of_a_hundred_cells_are_read_in_seconds(reports: Reports) -> None:
    """Each cell's trend over all of them, and what changed on the newest days on which something did."""
    tries = (measure(reports.path.parent) for _ in range(6))  # a busy machine only ever adds
    is_quick, megabytes, text = next((found for found in tries if found[0]), (False, 0.0, ""))
    assert is_quick
    assert f"{RUNS} runs" in text
    assert "the base moved: docker.io/library/python:3.13-slim (+1.4 MB unpacked)" in text
    assert "the Dockerfile changed (+8.0 MB unpacked)" in text
    assert "the package grpcio 1.67.1 → 1.66.0 (-2.9 MB unpacked)" in text
    assert "cannot be read" not in text
    assert megabytes < 400


def test_figures_are_made_anew_where_a_run_came_without_them(reports: Reports) -> None:
    """Runs fetched from elsewhere are read whole once, and never again."""
    newest = [run_id for day, run_id in enumerate(reports.run_ids()) if is_whole(day)]
    for run_id in newest:
        os.unlink(reports.run(run_id).path / "figures.json")  # noqa: PTH108  # many
    _, _, first = measure(reports.path.parent)
    assert all((reports.run(run_id).path / "figures.json").is_file() for run_id in newest)
    tries = (measure(reports.path.parent, 2 * LONGEST_S) for _ in range(3))
    is_quick, _, second = next((found for found in tries if found[0]), (False, 0.0, ""))
    assert is_quick, "what made the figures anew took far longer"
    assert second == first
