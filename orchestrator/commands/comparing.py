"""Commands on several stored runs; none needs Docker."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.commands.options import RUN_HELP, File, Only, Out, ReportsFolder, Skip, check_one_of, find_reports
from orchestrator.commands.printing import print_result, terminal_width
from orchestrator.errors import UsageError
from orchestrator.hints import DEFAULT_FILE, repeat_options
from orchestrator.smoke.words import one_line


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help=RUN_HELP)],
    new: Annotated[str, typer.Argument(metavar="NEW", help=RUN_HELP)],
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, markdown or json")] = "table",
    out: Out = None,
    reports: ReportsFolder = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Compare times of unlike machines or tools, too.")] = False,
) -> None:
    """Show what changed between two stored runs, and why.

    A difference is no error; gates are for that.
    """
    from orchestrator.judge.compare import compare_runs
    from orchestrator.report.compare import FORMATS, render_comparison
    from orchestrator.report.select import select_pair

    check_one_of("--format", kind, FORMATS)
    stored = find_reports(file, reports)
    pair = select_pair(stored.find(old).load(), stored.find(new).load(), only or (), skip or (), repeat_options(file, reports))
    print_result(render_comparison(compare_runs(*pair, force=force), kind, terminal_width()), out)


def baseline(
    name: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)] = "latest",
    file: File = DEFAULT_FILE,
    reports: ReportsFolder = None,
    *,
    show: Annotated[bool, typer.Option("--show", help="Say which runs are chosen, and choose none.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Forget all choices: the last good run counts again.")] = False,
) -> None:
    """Hold growth against a stored run's figures from now on."""
    from orchestrator.baseline import choose_baseline, forget_baselines, load_choices

    stored = find_reports(file, reports)
    if show and clear:
        raise UsageError("--show and --clear are two things; give one of them")
    if clear:
        forget_baselines(stored)
        print_result("the last good run of each matrix is its baseline\n", None)
    elif show:
        lines = [f"{one_line(matrix)}: {one_line(run)}\n" for matrix, run in load_choices(stored).items()]
        print_result("".join(lines) or "none is chosen: the last good run of each matrix is its baseline\n", None)
    else:
        record = choose_baseline(stored, stored.find(name))
        print_result(f"run {one_line(record.id)} is the baseline of {one_line(record.name)}\n", None)


def history(
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, markdown or json")] = "table",
    out: Out = None,
    reports: ReportsFolder = None,
    last: Annotated[int | None, typer.Option("--last", min=1, metavar="N", help="Only the newest N runs.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The matrix, where there are several; the newest run's.")
    ] = None,
) -> None:
    """Show sizes, times and outcomes over the stored runs.

    For each cell, with what changed on the day that they shifted.
    """
    from orchestrator.report.history import FORMATS, render_history
    from orchestrator.trends import load_history

    check_one_of("--format", kind, FORMATS)
    found = load_history(find_reports(file, reports), name, only or (), skip or (), last)
    print_result(render_history(found, kind, terminal_width(), repeat_options(file, reports)), out)
