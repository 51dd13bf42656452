"""Commands on stored runs; none needs Docker."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from orchestrator.commands.options import (
    FORMAT_WORDS,
    RUN_HELP,
    File,
    Only,
    Out,
    ReportsFolder,
    SiteFolder,
    Skip,
    Update,
    check_one_of,
    find_reports,
    folder_of,
    name_run,
)
from orchestrator.commands.printing import may_colour, print_pieces, print_result, terminal_width, warn
from orchestrator.errors import UsageError
from orchestrator.hints import DEFAULT_FILE
from orchestrator.units import count


def report(
    name: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)] = "latest",
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help=FORMAT_WORDS)] = "table",
    out: Out = None,
    reports: ReportsFolder = None,
    update: Update = None,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="With --update: write nothing, and exit 1 if a block is out of date.")
    ] = False,
) -> None:
    """Show a report of any stored run; needs no Docker.

    With --update it refreshes the tables of a README.
    """
    from orchestrator.publishing import update_files
    from orchestrator.report.evidence import find_evidence
    from orchestrator.report.files import FORMATS, render
    from orchestrator.report.select import select_records

    check_one_of("--format", kind, FORMATS)
    if check and not update:
        raise UsageError("--check asks about the blocks of a file: name it with --update FILE")
    if update and (out or kind != "table"):
        raise UsageError("--update writes Markdown into the file that it names: leave --format and --out away")
    stored = find_reports(file, reports).find(name)
    typed = name_run(name, file, reports)
    record = select_records(stored.load(), only or (), skip or (), typed)
    if update:
        raise typer.Exit(update_files(record, update, warn, write=not check))
    print_pieces(render(record, kind, terminal_width(), find_evidence(stored, folder_of(out)), typed), out)


def site(
    out: SiteFolder = None,
    file: File = DEFAULT_FILE,
    reports: ReportsFolder = None,
) -> None:
    """Make, or bring up to date, a static site of all stored runs.

    Needs no Docker.
    """
    from orchestrator.site import make_site
    from orchestrator.store import SITE

    stored = find_reports(file, reports)
    folder = out or stored.path / SITE
    made = make_site(stored, folder)
    for one in made.left_out:
        warn(f"left out {one.id}: {one.why}")
    warn(f"{count(made.written, 'run')} written, {made.unchanged} unchanged, {made.removed} removed")
    print_result(f"{folder / 'index.html'}\n", None)


def trace(
    name: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)] = "latest",
    cells: Annotated[
        list[str] | None, typer.Argument(metavar="CELL...", help="One cell: its waterfall. Two: their steps side by side.")
    ] = None,
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text or json")] = "text",
    out: Out = None,
    reports: ReportsFolder = None,
    *,
    details: Annotated[bool, typer.Option("--details", help="Draw the builder's own spans below each step too.")] = False,
    to: Annotated[
        str | None, typer.Option("--to", metavar="ENDPOINT", help="Send the traces to this OTLP endpoint instead.")
    ] = None,
) -> None:
    """Show where the time of a run or of its cells went.

    The cells of a run by time, one cell's waterfall, or two cells side by side.
    """
    from orchestrator.tracing.columns import Sheet
    from orchestrator.tracing.view import FORMATS, Asked, view_traces

    check_one_of("--format", kind, FORMATS)
    run = find_reports(file, reports).find(name)
    typed = name_run(name, file, reports)
    if to is not None:
        from orchestrator.tracing.export import send_stored
        from orchestrator.tracing.stored import load_all_spans

        sent = send_stored(load_all_spans(run, cells or (), typed), to, os.environ, warn)
        warn(f"sent {count(sent, 'span')} of run {run.id}")
        return
    asked = Asked(tuple(cells or ()), tuple(only or ()), tuple(skip or ()), details, typed)
    text, code = view_traces(run, asked, Sheet(terminal_width(), may_colour(out)) if kind == "text" else None)
    print_result(text, out)
    raise typer.Exit(code)


def explain(
    name: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)] = "latest",
    cell: Annotated[
        str | None, typer.Argument(metavar="CELL", help="A cell; without one, all that have something to explain.")
    ] = None,
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text, markdown or json")] = "text",
    out: Out = None,
    reports: ReportsFolder = None,
) -> None:
    """Say why cells failed, are slow or are large, and what helps.

    Causes, their evidence, and the remedy for the cell's base; needs no Docker.
    """
    from orchestrator.explaining import explain_cell, explain_run
    from orchestrator.report.explain import FORMATS, render_explanation, render_overview
    from orchestrator.tracing.columns import Sheet

    check_one_of("--format", kind, FORMATS)
    if cell is not None and (only or skip):
        raise UsageError("--only and --skip choose the cells of the overview; leave them out where a cell is named")
    run = find_reports(file, reports).find(name)
    sheet = Sheet(terminal_width(), may_colour(out))
    typed = name_run(name, file, reports)
    if cell is None:
        record, found = explain_run(run, only or (), skip or (), typed)
        print_result(render_overview(record, found, kind, sheet), out)
    else:
        print_result(render_explanation(explain_cell(run, cell, typed), kind, sheet), out)
