"""When a run has ended: not before all that it found is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator import pipeline
from orchestrator.store import Reports
from tests.unit.records import make_record

if TYPE_CHECKING:
    from pathlib import Path


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
