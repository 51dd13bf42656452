"""What a run's folder says to a diagnosis: the ends of each cell's logs, read within bounds; and all cells diagnosed."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.errors import StoreError
from orchestrator.judge.diagnosis.nouns import Evidence
from orchestrator.model import Status

if TYPE_CHECKING:
    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.store import RunFolder
    from orchestrator.verdicts import Finding

_HEAD_BYTES = 32 * 1024
_TAIL_BYTES = 128 * 1024
_PROGRESS_BYTES = 1024 * 1024  # it holds more than the log does: each line in base64, each step's times
_MOST_LINES = 15
_BROKEN = (Status.BUILD_FAILED, Status.ERROR, Status.TIMEOUT)


def with_diagnosis(run: RunFolder, record: RunRecord) -> RunRecord:
    """Give each cell its findings; one that was taken over from an earlier run keeps those that it came with."""
    return replace(record, cells=tuple(cell if cell.carried_from else _diagnosed(run, cell) for cell in record.cells))


def _diagnosed(run: RunFolder, cell: CellRecord) -> CellRecord:
    return replace(cell, diagnosis=find_causes(run, cell))


def find_causes(run: RunFolder, cell: CellRecord) -> tuple[Finding, ...]:
    """Diagnose one cell by its record and its logs."""
    from orchestrator.judge.diagnosis.rules import diagnose  # noqa: PLC0415  # all rules, with all their patterns

    return diagnose(cell, load_evidence(run, cell))


def load_evidence(run: RunFolder, cell: CellRecord) -> Evidence:
    """Read what a cell's logs hold, where anything is to be explained by them; a log that cannot be read is as good as none."""
    if cell.image is None and cell.status in _BROKEN:
        step, printed = _failed_step(_read(run, cell, "progress.jsonl", _PROGRESS_BYTES))
        return Evidence(step, printed, _read(run, cell, "build.log"))
    if cell.smoke and any(check.outcome not in ("passed", "skipped") for check in cell.smoke.checks):
        return Evidence(smoke_log=_read(run, cell, "smoke.log"))
    return Evidence()


def _read(run: RunFolder, cell: CellRecord, name: str, tail_bytes: int = _TAIL_BYTES) -> str:
    try:
        return run.read_ends(cell.id, name, _HEAD_BYTES, tail_bytes) or ""
    except StoreError:
        return ""


def _failed_step(progress_text: str) -> tuple[str | None, str | None]:
    """Name the step that failed, or that ran when time was up, and give what it printed: others print at the same time."""
    from orchestrator.measure.lines import Lines  # noqa: PLC0415  # as above
    from orchestrator.measure.progress import Progress  # noqa: PLC0415  # as above

    progress, lines = Progress(), Lines()
    printed: dict[str, list[str]] = {}
    pieces = (piece for line in progress_text.splitlines() for piece in progress.feed(line.encode()))
    for log in chain(chain.from_iterable(map(lines.feed, pieces)), lines.end()):
        printed.setdefault(log.vertex, []).append(log.text)
    failed = progress.failed_step
    if failed is None:
        return progress.current, None
    return failed.name, "".join(printed.get(failed.digest, ()))[-(_HEAD_BYTES + _TAIL_BYTES) :]


def load_last_lines(run: RunFolder, cell: CellRecord) -> tuple[str, ...]:
    """Give the last lines of the step that failed, or of the first check that did."""
    from orchestrator.judge.diagnosis.case import make_case  # noqa: PLC0415  # as above

    for said in make_case(cell, load_evidence(run, cell)).said:
        if lines := [line.rstrip() for line in said.text.splitlines() if line.strip()]:
            return (said.where, *lines[-_MOST_LINES:])
    return ()
