"""What matrix does with the files of a run's folder: reads them, and makes every report and view of what they say."""

from __future__ import annotations

import json
from functools import cache, partial
from typing import TYPE_CHECKING

from orchestrator.diagnosing import load_evidence
from orchestrator.explaining import explain_run
from orchestrator.judge.compare import compare_runs
from orchestrator.judge.run import judge_record
from orchestrator.measure.progress import Progress, export_seconds, make_steps, pull_seconds
from orchestrator.merging import join_lines
from orchestrator.model import Status
from orchestrator.record import Build, CellRecord
from orchestrator.report import compare as comparing
from orchestrator.report.explain import FORMATS as EXPLAINED
from orchestrator.report.explain import render_overview
from orchestrator.report.files import FORMATS
from orchestrator.store import RunFolder
from orchestrator.tracing.buildkit import parse_stubs
from orchestrator.tracing.columns import Sheet
from orchestrator.tracing.otlp import dump_lines, load_lines
from orchestrator.tracing.view import Asked, view_traces
from tests.faults.seeds import pick
from tests.rendering import render
from tests.unit.records import make_record, run_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.record import RunRecord

_SHEET = Sheet(80)
_CELL = "alpine-3.12"
_RUN = "20261121T050607Z-abc123"


def run_folder(folder: Path) -> RunFolder:
    """Give a stored run with the folder of a cell."""
    run = RunFolder(folder / "runs" / _RUN)
    if not run.path.exists():
        run.create()
        run.path.joinpath("run.json").write_text(run_json())
    run.cell(_CELL)
    return run


@cache
def _sound() -> RunRecord:
    return make_record()


def _reports(run: RunFolder, record: RunRecord) -> dict[str, Callable[[], object]]:
    """Name all that can be made of a record."""
    found: dict[str, Callable[[], object]] = {kind: partial(render, record, kind, 80) for kind in FORMATS}
    found |= {f"compare {kind}": partial(_compare, record, kind) for kind in comparing.FORMATS}
    found |= {f"explain {kind}": partial(_explain, run, kind) for kind in EXPLAINED}
    return found | {"judge": partial(judge_record, record, _sound())}


def _compare(record: RunRecord, kind: str) -> str:
    return comparing.render_comparison(compare_runs(_sound(), record), kind, 80)


def _explain(run: RunFolder, kind: str) -> str:
    record, found = explain_run(run)
    return render_overview(record, found, kind, _SHEET)


def take_run(data: bytes, folder: Path) -> str:
    """Read a run.json, and make one of the reports of it."""
    run = run_folder(folder)
    run.path.joinpath("run.json").write_bytes(data)
    record = run.load()
    reports = _reports(run, record)
    reports[pick(data, tuple(reports))]()
    return "reported"


def take_result(data: bytes, folder: Path) -> str:
    """Read the cells of a run that was killed: a damaged result is as good as none."""
    run = run_folder(folder)
    begun = json.loads(run_json())
    run.path.joinpath("run.json").write_text(json.dumps({**begun, "finished_at": None, "cells": []}))
    run.cell(_CELL).joinpath("result.json").write_bytes(data)
    record = run.load()
    run.load_cell(_CELL)
    reports = _reports(run, record)
    reports[pick(data, tuple(reports))]()
    return "reported" if record.cells else "left out"


def take_journal(data: bytes, folder: Path) -> str:
    """Merge a journal with a sound one: every line of both is in the result."""
    run = run_folder(folder)
    one, other, target = (run.path / name for name in ("events.jsonl", "other.jsonl", "merged.jsonl"))
    one.write_bytes(data)
    other.write_bytes(b'{"at": "2026-11-21T05:06:08+00:00", "kind": "x"}\n')
    join_lines([one, other], target, by="at")
    assert len(target.read_bytes().splitlines()) == len(data.splitlines()) + 1
    return "merged"


def take_progress(data: bytes, folder: Path) -> str:
    """Follow a build by its progress, store what came of it, and explain the failure."""
    progress = Progress()
    for line in data.splitlines():
        progress.feed(line)
    steps = make_steps(progress)
    build = Build(
        "shared",
        1,
        1.0,
        pull_s=pull_seconds(progress),
        export_s=export_seconds(progress),
        steps=steps,
        started_at=progress.begun,
    )
    cell = CellRecord(_CELL, {"base": "alpine"}, Status.BUILD_FAILED, Status.PASSED, as_expected=False, build=build)
    run = run_folder(folder)
    run.cell(_CELL).joinpath("progress.jsonl").write_bytes(data)
    load_evidence(run, cell)
    run.save_cell(cell)
    assert run.load_cell(_CELL) is not None
    return "followed"


def take_trace(data: bytes, folder: Path) -> str:
    """Show a trace in every view."""
    run = run_folder(folder)
    run.trace_path(_CELL).write_bytes(data)
    cells = pick(data, ((), (_CELL,), (_CELL, _CELL)))
    view_traces(run, Asked(cells, details=len(cells) == 1), pick(data[1:], (None, _SHEET)))
    return "shown"


def take_stubs(data: bytes, _folder: Path) -> str:
    """Turn BuildKit's spans into ours; what is written can be read again."""
    spans = parse_stubs(data.decode("utf-8", "replace"))
    assert len(load_lines(dump_lines(spans).encode(errors="replace").decode())) == len(spans)
    return "read"
