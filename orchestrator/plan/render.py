"""A plan as text: for people, for scripts, for GitHub's job matrix, for bake."""

from __future__ import annotations

import itertools
import json
import textwrap
from typing import TYPE_CHECKING, Any

from orchestrator.baking import make_target
from orchestrator.places import render_secret
from orchestrator.plan.settings import render_settings
from orchestrator.units import count

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from orchestrator.model import Cell, Plan, Secret

FORMATS = ("table", "json", "ids", "github", "bake")
SCHEMA = 1
_LEAST = 20  # letters in a line of a column that is wrapped
MOST_JOBS = 256  # that GitHub takes of one job matrix
_CELL = "cell"  # the key of a cell's id in a job matrix


def render_shards(plan: Plan, parts: int) -> str:
    """Write a job matrix with a job for each part of a plan; a part without a cell is none."""
    jobs = count_jobs(plan, parts)
    return json.dumps({"include": [{"shard": f"{number}/{jobs}"} for number in range(1, jobs + 1)]}) + "\n"


def count_jobs(plan: Plan, parts: int | None) -> int:
    """Count the jobs of a job matrix: one for each part that has a cell, or for each cell."""
    return min(parts, len(plan.cells)) if parts else len(plan.cells)


def render_plan(plan: Plan, kind: str, folder: Path, width: int) -> str:
    """Write a plan in one of the formats; only the table minds the terminal's width."""
    match kind:
        case "json":
            return json.dumps(_as_data(plan), indent=2, ensure_ascii=False) + "\n"
        case "ids":
            return "".join(f"{cell.id}\n" for cell in plan.cells)
        case "github":
            rows = [{_CELL: cell.id} | {_key_of(axis): value for axis, value in cell.axes} for cell in plan.cells]
            return json.dumps({"include": rows}, ensure_ascii=False) + "\n"
        case "bake":
            return json.dumps(_as_bake(plan, folder), indent=2, ensure_ascii=False) + "\n"
    return _as_table(plan, width)


def _key_of(axis: str) -> str:
    """Name an axis beside the cell's id."""
    return f"axis_{axis}" if axis == _CELL else axis


def _as_data(plan: Plan) -> dict[str, Any]:
    """Give a plan as plain data."""
    rendered: dict[int, dict[str, Any]] = {}

    def settings(cell: Cell) -> dict[str, Any]:
        """Cells share settings; each is rendered once."""
        key = id(cell.settings)
        if key not in rendered:
            rendered[key] = render_settings(cell.settings)
        return rendered[key]

    return {
        "schema": SCHEMA,
        "name": plan.name,
        "cells": [
            {"id": cell.id, "axes": dict(cell.axes), "settings": settings(cell), "expected": cell.expected} for cell in plan.cells
        ],
        "excluded": [{"id": cell.id, "axes": dict(cell.axes), "reason": cell.reason} for cell in plan.excluded],
    }


def _as_table(plan: Plan, width: int) -> str:
    """Draw the cells; the last column, in which reasons are, is wrapped where all is too wide, and in few columns there is none."""
    from tabulate import tabulate  # noqa: PLC0415  # the other formats do not need it

    rows = [[*(value for _, value in cell.axes), cell.expected, cell.settings.dockerfile] for cell in plan.cells]
    rows += [[*(value for _, value in cell.axes), "excluded", cell.reason or ""] for cell in plan.excluded]
    headers = [*plan.axes, "expected", "dockerfile"]
    drawn = tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)
    too_wide = max(map(len, drawn.splitlines())) - width
    room = max((len(row[-1]) for row in rows), default=0) - too_wide
    if too_wide > 0 and room < _LEAST:
        ids = [*(cell.id for cell in plan.cells), *(cell.id for cell in plan.excluded)]
        lines = [f"{cell}: {row[-2]}, {row[-1]}" for cell, row in zip(ids, rows, strict=True)]
        wrapped = [
            textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False) for line in lines
        ]
        drawn = "\n".join(itertools.chain.from_iterable(wrapped))
    elif too_wide > 0:
        limits = [None] * (len(headers) - 1) + [room]
        drawn = tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True, maxcolwidths=limits)
    left_out = f", {len(plan.excluded)} excluded" if plan.excluded else ""
    return f"{drawn}\n\n{count(len(plan.cells), 'cell')}{left_out}\n"


def _as_bake(plan: Plan, folder: Path) -> dict[str, Any]:
    """Write the cells as bake targets: the same builds, by another tool, without what `lost_in_bake` names."""
    targets: dict[str, dict[str, Any]] = {}
    for cell in plan.cells:
        secrets = [_bake_secret(secret, folder.absolute()) for secret in cell.settings.secrets if secret.file_env is None]
        targets[_bake_name(cell.id, targets)] = make_target(cell.settings, folder.absolute(), secret=secrets)
    return {"group": {"default": {"targets": list(targets)}}, "target": targets}


def lost_in_bake(plan: Plan) -> list[str]:
    """Name what a bake file has no place for, since its value, or its path, is in a variable of whoever builds; each once."""
    lost: dict[str, None] = {}
    for cell in plan.cells:
        lost |= {f"the build argument {name}, whose value is in {source}": None for name, source in cell.settings.secret_args}
        lost |= {f"the secret {one.id}, whose path is in {one.file_env}": None for one in cell.settings.secrets if one.file_env}
    return list(lost)


def _bake_name(cell_id: str, taken: Container[str]) -> str:
    """Give a target's name, which takes few marks, so that two ids may need a number to stay two."""
    name = "".join(mark if mark.isascii() and (mark.isalnum() or mark in "-_") else "_" for mark in cell_id)
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    return next(numbered_name for numbered_name in itertools.chain([name], numbered) if numbered_name not in taken)


def _bake_secret(secret: Secret, folder: Path) -> str:
    """Name a secret as the file declares it: a plan does not depend on the variables of whoever asks."""
    return render_secret(secret, f"env={secret.env}" if secret.env else f"src={folder / (secret.file or '')}")
