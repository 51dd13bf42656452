"""`python -m tests.example_run FOLDER [NIGHTS]`: the runs from which the reports in `reports/examples` are made.

They are made by hand, so that there is one cell, claim and gate of every kind;
their figures are nobody's measurements. NIGHTS is a folder for the same runs
after a month of nights, from which the picture of a site is made.
"""

from __future__ import annotations

import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.model import Status
from orchestrator.store import RunFolder
from orchestrator.tracing.otlp import dump_lines
from orchestrator.verdicts import Decision
from tests.unit.records import make_record
from tests.unit.traces import make_alpine, make_slim

if TYPE_CHECKING:
    from orchestrator.record import CellRecord

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


def store_nights(folder: Path) -> None:
    """Store the same, and four weeks before it: a base that moved, a package that grew, a night that failed."""
    store_examples(folder)
    record = make_record()
    for day in range(2, 30):
        started = record.started_at - timedelta(days=day)
        night = replace(
            record,
            id=f"{started:%Y%m%dT%H%M%SZ}-{day:06x}",
            started_at=started,
            finished_at=started + timedelta(hours=1),
            cells=tuple(_of_night(cell, day) for cell in record.cells if cell.as_expected and cell.status is not Status.ERROR),
            claims=(),
            gates=(),
            decision=Decision("slim", runner_up="alpine", between="base"),
            baseline=None,
        )
        _make_folder(folder / "runs" / night.id).save_record(night)


def _of_night(cell: CellRecord, day: int) -> CellRecord:
    """Make a cell as it was so many days ago."""
    if cell.image is None or cell.build is None:
        return cell
    if day == 9 and cell.id.startswith("slim"):
        return replace(cell, status=Status.ERROR, as_expected=False, reason="the registry did not answer", image=None, build=None)
    shrunk = (0.06 if day > 20 else 0.0) + (0.03 if day > 6 and cell.id.startswith("alpine") else 0.0)
    wobble = 1 + (day * 7 % 5 - 2) / 100
    build = cell.build
    timed = tuple(replace(one, median_s=one.median_s and one.median_s * wobble * (1 - shrunk)) for one in build.scenarios)
    image = replace(cell.image, compressed_bytes=cell.image.compressed_bytes and round(cell.image.compressed_bytes * (1 - shrunk)))
    return replace(cell, image=image, build=replace(build, scenarios=timed))


def _make_folder(path: Path) -> RunFolder:
    shutil.rmtree(path, ignore_errors=True)
    run = RunFolder(path)
    run.create()
    return run


if __name__ == "__main__":
    store_examples(Path(sys.argv[1]))
    for nights in sys.argv[2:]:
        store_nights(Path(nights))
