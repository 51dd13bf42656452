"""Traces for machines: the same three views as JSON, in seconds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.tracing.compare import compare, instruction_of

if TYPE_CHECKING:
    from orchestrator.record import RunRecord
    from orchestrator.tracing.compare import Pair
    from orchestrator.tracing.stored import TracedCell, TracedRun
    from orchestrator.tracing.waterfall import Row

SCHEMA = 1


def dump_list(traced: TracedRun) -> str:
    """Write the cells of a run by time, the longest first."""
    return _dump(
        traced.record,
        cells=[
            {**_dump_cell(cell), "longest_steps": [_dump_step(step) for step in cell.waterfall.longest_steps]}
            for cell in traced.cells
        ],
        untraced=[{"cell": cell.id, "status": cell.status} for cell in traced.untraced],
        damaged=[{"cell": cell.id, "problem": problem} for cell, problem in traced.damaged],
    )


def dump_waterfall(record: RunRecord, cell: TracedCell, *, details: bool) -> str:
    """Write one cell's rows in tree order."""
    return _dump(record, **_dump_cell(cell), rows=[_dump_row(row) for row in cell.waterfall.shown(details=details)])


def dump_comparison(record: RunRecord, left: TracedCell, right: TracedCell) -> str:
    """Write the steps of two cells in pairs; a difference is left minus right."""
    both = compare(left.waterfall, right.waterfall)
    return _dump(
        record,
        left=_dump_cell(left),
        right=_dump_cell(right),
        difference_s=both.difference_ns / 1e9,
        parts_difference_s={part: ((a or 0) - (b or 0)) / 1e9 for part, (a, b) in both.parts.items()},
        steps=[_dump_pair(pair) for pair in both.steps],
    )


def _dump(record: RunRecord, **found: object) -> str:
    return json.dumps({"schema": SCHEMA, "run": record.id, **found}, indent=2) + "\n"


def _dump_cell(cell: TracedCell) -> dict[str, Any]:
    return {
        "cell": cell.record.id,
        "status": cell.record.status,
        "as_expected": cell.record.as_expected,
        "trace_id": cell.waterfall.trace_id,
        "wall_s": cell.waterfall.wall_s,
        "parts_s": cell.waterfall.parts_s,
        "from_progress": cell.waterfall.from_progress,
    }


def _dump_step(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "stage": row.stage,
        "instruction": instruction_of(row),
        "duration_s": row.duration_s,
        "whole_s": row.whole_s,
        "outcome": row.outcome,
        "ran_in": row.ran_in,
        "error": row.error,
    }


def _dump_row(row: Row) -> dict[str, Any]:
    return {
        "depth": row.depth,
        "span_id": row.span_id,
        "name": row.name,
        "part": row.part,
        "start_s": row.start_s,
        "duration_s": row.duration_s,
        "whole_s": row.whole_s,
        "critical_s": row.critical_s,
        "outcome": row.outcome,
        "ran_in": row.ran_in,
        "error": row.error,
    }


def _dump_pair(pair: Pair) -> dict[str, Any]:
    sides = {"left": pair.left, "right": pair.right}
    return {
        **{name: None if step is None else _dump_step(step) for name, step in sides.items()},
        "difference_s": pair.difference_ns / 1e9,
    }
