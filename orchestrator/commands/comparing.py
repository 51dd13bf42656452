"""Commands on several stored runs; none needs Docker."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.commands.options import DEFAULT_FILE, File, Only, Out, ReportsFolder, Skip, check_one_of, reports_folder
from orchestrator.commands.printing import print_result, terminal_width

_RUN = "A run: its id, the start of it, its folder, or latest."


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help=_RUN)],
    new: Annotated[str, typer.Argument(metavar="NEW", help=_RUN)],
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", help="table, markdown or json")] = "table",
    out: Out = None,
    reports: ReportsFolder = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Compare times of unlike machines or tools, too.")] = False,
) -> None:
    """Show what changed between two stored runs, and why; a difference is no error, gates are for that."""
    from orchestrator.judge.compare import compare_runs
    from orchestrator.report.compare import FORMATS, render_comparison
    from orchestrator.report.select import select_pair
    from orchestrator.store import Reports

    check_one_of("--format", kind, FORMATS)
    stored = Reports(reports_folder(reports, file))
    pair = select_pair(stored.find(old).load(), stored.find(new).load(), only or (), skip or ())
    print_result(render_comparison(compare_runs(*pair, force=force), kind, terminal_width()), out)
