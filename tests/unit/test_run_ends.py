"""When a run has ended: not before all that it found is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator import pipeline
from orchestrator.ending import finish_record
from orchestrator.model import Cell, Plan, Settings
from orchestrator.record import Base, CellInputs
from orchestrator.store import Reports
from tests.unit.records import make_record

if TYPE_CHECKING:
    from pathlib import Path


def test_a_stand_in_among_several_bases_is_not_said_to_be_each_of_them() -> None:
    """The label comes with the image that a cell starts with; a tool that is copied from another one is the real one."""
    record = make_record()
    first, second = record.cells[:2]
    tool, debian = Base("tool:1", "sha256:t"), "Debian 13 packages"
    cells = (
        replace(first, inputs=CellInputs(base=(Base("python:3.13-slim", "sha256:a"), tool), stand_in=debian)),
        replace(second, inputs=CellInputs(base=(Base("python:3.13-alpine", "sha256:b"),), stand_in=debian)),
    )
    plan = Plan(record.name, (), tuple(Cell(cell.id, (), Settings()) for cell in cells), ())
    ended = finish_record(record, plan, {cell.id: cell for cell in cells}, record.started_at, interrupted=False)
    assert ended.environment.stand_in_bases == (f"python:3.13-alpine ({debian})", f"one of python:3.13-slim, tool:1 ({debian})")


class Killed:
    """Traces that are being gathered when the run is killed."""

    def gather(self) -> None:
        """Go no further."""
        raise KeyboardInterrupt


def test_a_run_that_is_killed_while_it_gathers_has_not_ended(tmp_path: Path) -> None:
    """It would hand on its cells without their findings, and `--resume` would find nothing to do."""
    record, traces = make_record(), Killed()
    run = Reports(tmp_path).new_run()
    run.save_record(replace(record, finished_at=None, cells=()))
    untyped: Any = traces
    with pytest.raises(KeyboardInterrupt):
        pipeline._report(run, record, untyped, None)  # noqa: SLF001  # there is no other way to stop there for sure
    assert run.load().finished_at is None
