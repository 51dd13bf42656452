"""Commands that make one run of several; none needs Docker."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from orchestrator.commands.options import (
    FORMAT_WORDS,
    File,
    Only,
    Out,
    ReportsFolder,
    Skip,
    check_one_of,
    find_reports,
    folder_of,
    name_run,
)
from orchestrator.commands.printing import print_pieces, tell, terminal_width, warn
from orchestrator.hints import DEFAULT_FILE
from orchestrator.units import count


def merge(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="The shards of one plan: ids, or folders from anywhere.")],
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help=FORMAT_WORDS)] = "table",
    out: Out = None,
    reports: ReportsFolder = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="RUN", help="Hold growth against this run; else the chosen or the last good one."),
    ] = None,
) -> None:
    """Put the shards of one plan together as one run.

    Twice is as good as once. --only and --skip choose what is printed; the run has all.
    """
    from orchestrator.ending import exit_code_of
    from orchestrator.merge import missing_cells, missing_shards
    from orchestrator.merging import merge_runs
    from orchestrator.publishing import append_summary
    from orchestrator.report.evidence import find_evidence
    from orchestrator.report.files import FORMATS, render
    from orchestrator.report.gates import render_broken
    from orchestrator.report.select import select_records

    check_one_of("--format", kind, FORMATS)
    stored = find_reports(file, reports)
    run, record = merge_runs(stored, [stored.find(name) for name in names], baseline)
    typed = name_run(run.id, file, reports)
    shown = select_records(record, only or (), skip or (), typed)
    print_pieces(render(shown, kind, terminal_width(), find_evidence(run, folder_of(out)), typed), out)
    for number in missing_shards(record):
        warn(f"shard {number}/{record.parts[0].shard.count} is not here")
    if missing := missing_cells(record.planned, record.cells):
        named = ", ".join(missing[:20]) + (", …" if missing[20:] else "")
        verb = "has" if len(missing) == 1 else "have"
        warn(f"{len(missing)} of {count(len(record.planned), 'cell')} {verb} no result: {named}")
    for name in ("report.md", "report.html"):
        tell(f"report: {run.path / name}")
    for line in render_broken(record):
        tell(line)
    if problem := append_summary(record, os.environ):
        warn(problem)
    raise typer.Exit(exit_code_of(record))
