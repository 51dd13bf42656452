"""A report of 1,000 cells, and of 4,000 that are full of packages: from disk to disk, in proportion to 10,000 in 10 s."""

from __future__ import annotations

import filecmp
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.inside import Package, Packages
from orchestrator.store import Reports
from orchestrator.tracing.names import Part
from orchestrator.tracing.otlp import dump_lines
from tests.e2e.conftest import MATRIX
from tests.pace import slowness
from tests.unit.records import make_record
from tests.unit.traces import TRACE_ID, TraceMaker

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.record import CellRecord

CELLS = 1_000
LAUNCH = """\
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""  # small itself: a process counts the memory of the one that started it


def measure(folder: Path, *words: str) -> tuple[float, float]:
    """Give the seconds of processor time and the KiB of memory that a command takes."""
    launched = [sys.executable, "-c", LAUNCH, MATRIX, *words]
    done = subprocess.run(launched, cwd=folder, capture_output=True, text=True, check=True)
    seconds, kilobytes = map(float, done.stdout.splitlines()[-1].split())
    return seconds, kilobytes


def make_cells(first: CellRecord, count: int) -> tuple[CellRecord, ...]:
    """Make cells of a hundred bases that are all as the first one is."""
    places = [(str(at % 100), str(at // 100)) for at in range(count)]
    return tuple(replace(first, id=f"{base}-{python}", axes={"base": base, "python": python}) for base, python in places)


def test_a_thousand_cells_are_one_page_within_bounds(tmp_path: Path) -> None:
    """Each cell has its figures, layers, steps, checks, and a trace of a few rows; the time is the process's own."""
    trace = TraceMaker(5.0)
    build = trace.add(trace.root, "build", 0, 4)
    trace.part(build, Part.PULL, "[1/2] FROM x", 0, 1)
    trace.step(build, "[2/2] RUN y", 1, 4)
    trace.part(trace.root, Part.SMOKE, "smoke", 4, 5)
    spans = dump_lines(trace.spans)
    run = Reports(tmp_path / "reports").new_run()
    record = make_record()
    cells = make_cells(replace(record.cells[0], trace_id=TRACE_ID), CELLS)
    for cell in cells:
        run.cell(cell.id).joinpath("trace.json").write_text(spans)
    run.save_record(replace(record, cells=cells, traces_ui="http://127.0.0.1:16686/trace/{trace_id}"))
    page = tmp_path / "report.html"
    seconds, kilobytes = measure(tmp_path, "report", str(run.path), "--format", "html", "-o", str(page))
    text = page.read_text(encoding="utf-8")
    assert text.count('<details class="cell') == text.count('<ol class="bars">') == CELLS
    assert seconds <= 3 * slowness()  # alone 1.2; a core that other tests share is counted as busy twice as long
    assert kilobytes <= 250_000


def store_full(folder: Path, count: int) -> Path:
    """Store a run of cells with 170 packages each, as those of the default matrix have; give its run.json."""
    run = Reports(folder).new_run()
    record = make_record()
    first = record.cells[0]
    assert first.image
    packages = Packages(os=tuple(Package(f"package-{at}", f"1.{at}", bytes=at) for at in range(170)))
    cells = make_cells(replace(first, image=replace(first.image, packages=packages)), count)
    path = run.save_record(replace(record, id=run.id, cells=cells))
    assert path.stat().st_size > count * 65_000
    return path


@pytest.mark.parametrize("count", [2_700, 4_000])
def test_thousands_of_full_cells_take_little_memory(count: int, tmp_path: Path) -> None:
    """All of the record, up to 254 MiB, is never in memory."""
    path = store_full(tmp_path / "reports", count)
    table = tmp_path / "report.csv"
    seconds, kilobytes = measure(tmp_path, "report", str(path), "--format", "csv", "-o", str(table))
    assert len(table.read_text(encoding="utf-8").splitlines()) == count + 1
    assert seconds <= 5 * slowness()  # alone 1.7
    assert kilobytes <= 200_000
    copy = tmp_path / "report.json"
    _, kilobytes = measure(tmp_path, "report", str(path), "--format", "json", "-o", str(copy))
    assert filecmp.cmp(path, copy, shallow=False)
    assert kilobytes <= 200_000


def test_a_site_of_full_cells_takes_little_memory(tmp_path: Path) -> None:
    """It holds the record, which is copied as it was written: cell by cell."""
    path = store_full(tmp_path / "reports", 2_000)
    _, kilobytes = measure(tmp_path, "site", "-o", "site")
    assert (tmp_path / "site" / "runs" / path.parent.name / "run.json").read_bytes() == path.read_bytes()
    assert kilobytes <= 250_000  # alone 140,000; with all of it in memory 380,000
