"""Limits against figures: budgets, growth, steps, and claims that must hold; each gate with its limit and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.judge.steps import judge_steps
from orchestrator.judge.times import build_time_of
from orchestrator.plan.expand import matches
from orchestrator.verdicts import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.rules import Limit
    from orchestrator.verdicts import Verdict


def judge_gates(record: RunRecord, baseline: RunRecord | None) -> tuple[Gate, ...]:
    """Hold a run's figures against its limits, and its claims against what they must be; claims have been judged before."""
    limits = record.rules.limits if record.rules else ()
    gates = [gate for limit in limits for gate in _judge_limit(record, baseline, limit)]
    return (*gates, *(_judge_claim(verdict) for verdict in record.claims if verdict.must))


def _judge_limit(record: RunRecord, baseline: RunRecord | None, limit: Limit) -> Iterator[Gate]:
    """Judge every part of a limit for every cell that it is about; one that no cell of the run fits is told all the same."""
    built = [cell for cell in record.cells if not cell.status.is_left_out]
    cells = [cell for cell in built if matches(limit.where, tuple(cell.axes.items()))]
    if not cells:
        where = ", ".join(f"{axis}: {' or '.join(values)}" for axis, values in limit.where.items())
        words = f"no cell of this run fits {where}" if where else "no cell of this run was built"
        yield Gate(_name_of(limit), None, None, None, None, reason=words)
        return
    weighable = [cell for cell in cells if cell.image is not None or not cell.as_expected]
    if limit.size_bytes is not None:
        yield from (_judge_size(cell, limit.size_bytes) for cell in weighable)
    if limit.build_time_s is not None:
        yield from (_judge_time(cell, limit.build_time_s) for cell in weighable)
    if limit.size_growth_share is not None or limit.build_time_growth_share is not None:
        from orchestrator.judge.growth import judge_growth  # noqa: PLC0415  # it brings all of `compare` along

        yield from judge_growth(record, baseline, weighable, limit)
    if limit.step is not None:
        yield from judge_steps(cells, limit, limit.step)


def _name_of(limit: Limit) -> str:
    """Name a limit as a whole by its first part."""
    if limit.step is not None:
        return f"step {limit.step}"
    parts = (
        ("size", limit.size_bytes),
        ("build_time", limit.build_time_s),
        ("growth.size", limit.size_growth_share),
        ("growth.build_time", limit.build_time_growth_share),
    )
    return next((name for name, value in parts if value is not None), "budget")


def _judge_size(cell: CellRecord, limit: int) -> Gate:
    size = cell.image.compressed_bytes if cell.image else None
    if size is None or cell.image is None:
        return Gate("size", cell.id, limit, None, None, "bytes", _lacking(cell, "its compressed size is not known"))
    reason = "the size is an estimate: this image store keeps no compressed layers" if cell.image.compressed_estimated else None
    return Gate("size", cell.id, limit, size, size <= limit, "bytes", reason)


def _judge_time(cell: CellRecord, limit_s: float) -> Gate:
    """Hold a build's time against its limit; a build that took some steps from the cache can break it and not keep it."""
    time = build_time_of(cell)
    if time.seconds is None:
        return Gate("build_time", cell.id, limit_s, None, None, "s", _lacking(cell, time.how))
    within = time.seconds <= limit_s
    passed = None if within and time.at_least else within
    return Gate("build_time", cell.id, limit_s, time.seconds, passed, "s", time.how)


def _lacking(cell: CellRecord, words: str) -> str:
    """Say why a cell has no figure: most often because it did not get that far."""
    return words if cell.image is not None else f"the cell ended {cell.status}"


def _judge_claim(verdict: Verdict) -> Gate:
    """Ask of a claim that it is confirmed: all of the pairs that say anything must hold."""
    judged = [pair.holds for pair in verdict.pairs if pair.holds is not None]
    wanted, held = (len(judged), sum(judged)) if judged else (None, None)
    passed = {"confirmed": True, "refuted": False, "mixed": False}.get(verdict.verdict)
    return Gate(f"claim {verdict.say}", None, wanted, held, passed, "count", f"the claim is {verdict.verdict}")
