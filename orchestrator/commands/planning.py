"""Commands on matrix.yaml alone: what would run."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from orchestrator.commands.options import File, Only, Out, Skip, check_one_of
from orchestrator.commands.printing import print_result, terminal_width, warn
from orchestrator.errors import UsageError
from orchestrator.hints import DEFAULT_FILE


def plan(
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, json, ids, github or bake")] = "table",
    out: Out = None,
    shards: Annotated[
        int | None,
        typer.Option("--shards", min=1, max=10_000, metavar="N", help="With --format github: a job for each of N parts."),
    ] = None,
) -> None:
    """Show the cells that would run; touches nothing."""
    from orchestrator.config.load import load_matrix
    from orchestrator.plan.render import FORMATS, MOST_JOBS, count_jobs, lost_in_bake, render_plan, render_shards
    from orchestrator.plan.select import select_cells

    check_one_of("--format", kind, FORMATS)
    if shards and kind != "github":
        raise UsageError("--shards makes a job matrix: give --format github too")
    matrix = load_matrix(file)
    selected = select_cells(matrix.plan, only or (), skip or ())
    jobs = count_jobs(selected, shards)
    if kind == "github" and jobs > MOST_JOBS:
        warn(f"GitHub takes at most {MOST_JOBS} jobs of one matrix, and these are {jobs}; --shards {MOST_JOBS} makes fewer of them")
    if kind == "bake":
        for words in lost_in_bake(selected):
            warn(f"the bake file is without {words}; give it to bake by --set")
    print_result(render_shards(selected, shards) if shards else render_plan(selected, kind, matrix.folder, terminal_width()), out)


def schema(out: Out = None) -> None:
    """Print the JSON Schema of matrix.yaml, for editors."""
    from orchestrator.config.schema import MatrixFile

    draft = "https://json-schema.org/draft/2020-12/schema"
    print_result(json.dumps({"$schema": draft, **MatrixFile.model_json_schema()}, indent=2) + "\n", out)
