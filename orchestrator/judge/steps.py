"""Limits on steps: how long those may run that a pattern names, and how many packages they may compile."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from orchestrator.judge.packages import find_compiled
from orchestrator.judge.times import is_figure
from orchestrator.verdicts import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.record import CellRecord, Step
    from orchestrator.rules import Limit


def judge_steps(cells: Sequence[CellRecord], limit: Limit, pattern: str) -> Iterator[Gate]:
    """Judge the cells that have such a step; a pattern that fits none is told, since it may be misspelt."""
    found = [(cell, steps) for cell in cells if (steps := _find_steps(cell, pattern))]
    if not found:
        yield Gate(f"step {pattern}", None, None, None, None, reason="no step of any of these cells fits the pattern")
        return
    for cell, steps in found:
        if limit.step_max_s is not None:
            yield _judge_time(cell, steps, limit.step_max_s, pattern)
        if limit.compiled is not None and (cell.image is not None or not cell.as_expected):
            yield _judge_compiled(cell, limit.compiled, pattern)


def _find_steps(cell: CellRecord, pattern: str) -> list[Step]:
    return [step for step in (cell.build.steps if cell.build else ()) if fnmatchcase(step.instruction, pattern)]


def _judge_time(cell: CellRecord, steps: Sequence[Step], limit_s: float, pattern: str) -> Gate:
    """Take the longest of the steps that ran, here or for another cell at the same time; a cached one took no time."""
    gate = f"step.max {pattern}"
    ran = [step for step in steps if step.outcome != "cached" and is_figure(step.duration_s)]
    if not ran:
        return Gate(gate, cell.id, limit_s, None, None, "s", "it came from the cache, so it took no time")
    longest = max(ran, key=lambda step: step.duration_s or 0.0)
    seconds = longest.duration_s or 0.0
    reason = longest.name if longest.ran_in is None else f"{longest.name} (run by {longest.ran_in})"
    return Gate(gate, cell.id, limit_s, seconds, seconds <= limit_s, "s", reason)


def _judge_compiled(cell: CellRecord, limit: int, pattern: str) -> Gate:
    """Count what the image holds that was compiled from source; a package of unknown origin may be one more."""
    gate = f"step.compiled {pattern}"
    packages = cell.image.packages if cell.image else None
    if packages is None:
        words = "what the image holds is not known" if cell.image else f"the cell ended {cell.status}"
        return Gate(gate, cell.id, limit, None, None, "count", words)
    compiled, doubtful = find_compiled(packages)
    reason = f"compiled: {', '.join(package.name for package in compiled[:10])}" if compiled else None
    passed: bool | None = len(compiled) <= limit
    if passed and len(compiled) + len(doubtful) > limit:
        passed = None
        reason = f"where {', '.join(package.name for package in doubtful[:10])} came from is not known"
    return Gate(gate, cell.id, limit, len(compiled), passed, "count", reason)
