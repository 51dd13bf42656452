"""A report of 1,000 cells: written by the installed `matrix`, from disk to disk, in proportion to 10,000 in 10 s."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.store import Reports
from orchestrator.tracing.names import Part
from orchestrator.tracing.otlp import dump_lines
from tests.e2e.conftest import MATRIX
from tests.pace import slowness
from tests.unit.records import make_record
from tests.unit.traces import TRACE_ID, TraceMaker

if TYPE_CHECKING:
    from pathlib import Path

CELLS = 1_000
LAUNCH = """\
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""  # small itself: a process counts the memory of the one that started it


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
    first = record.cells[0]
    cells = tuple(
        replace(first, id=f"{base}-{python}", axes={"base": f"{base}", "python": f"{python}"}, trace_id=TRACE_ID)
        for base in range(100)
        for python in range(CELLS // 100)
    )
    for cell in cells:
        run.cell(cell.id).joinpath("trace.json").write_text(spans)
    run.save_record(replace(record, cells=cells, traces_ui="http://127.0.0.1:16686/trace/{trace_id}"))
    page = tmp_path / "report.html"
    words = [MATRIX, "report", str(run.path), "--format", "html", "-o", str(page)]
    done = subprocess.run([sys.executable, "-c", LAUNCH, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
    seconds, kilobytes = map(float, done.stdout.split())
    text = page.read_text(encoding="utf-8")
    assert text.count('<details class="cell') == text.count('<ol class="bars">') == CELLS
    assert seconds <= 3 * slowness()  # alone 1.2; a core that other tests share is counted as busy twice as long
    assert kilobytes <= 250_000
