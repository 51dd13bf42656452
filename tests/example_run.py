"""`python -m tests.example_run FOLDER`: the runs from which the reports in `reports/examples` are made.

They are made by hand, so that there is one cell, claim and gate of every kind;
their figures are nobody's measurements.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from orchestrator.model import Status
from orchestrator.store import RunFolder
from orchestrator.tracing.otlp import dump_lines
from orchestrator.verdicts import Decision
from tests.unit.records import make_record
from tests.unit.traces import make_alpine, make_slim

LOGS = {"alpine-3.12": "#5 Building wheel for psutil\n", "wolfi-3.13": "Segmentation fault\n"}


def store_examples(folder: Path) -> None:
    """Store a run with every kind of outcome, and one of the day before in which all went well."""
    record = make_record()
    run = _make_folder(folder / "runs" / record.id)
    for cell, spans in {"alpine-3.12": make_alpine(), "wolfi-3.13": make_slim()}.items():
        run.save_trace(cell, dump_lines(spans))
        run.cell(cell).joinpath("build.log").write_text(LOGS[cell], encoding="utf-8")
    run.save_record(record)
    before = replace(
        record,
        id=record.baseline or "",
        started_at=record.started_at - timedelta(days=1),
        finished_at=record.started_at - timedelta(hours=23),
        cells=tuple(cell for cell in record.cells if cell.as_expected and cell.status is not Status.ERROR),
        claims=record.claims[:1],
        gates=record.gates[:1],
        decision=Decision("slim", runner_up="alpine", between="base"),
        baseline=None,
    )
    _make_folder(folder / "runs" / before.id).save_record(before)


def _make_folder(path: Path) -> RunFolder:
    shutil.rmtree(path, ignore_errors=True)
    run = RunFolder(path)
    run.create()
    return run


if __name__ == "__main__":
    store_examples(Path(sys.argv[1]))
