"""Argv in, exit code out: the only place that prints results."""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from orchestrator import __version__
from orchestrator.errors import ConfigError, ExitCode, MatrixError, StoreError
from orchestrator.options import (
    DEFAULT_FILE,
    FORMAT_WORDS,
    File,
    Only,
    Out,
    ReportsFolder,
    Skip,
    check_one_of,
    folder_of,
    reports_folder,
)

app = typer.Typer(
    name="matrix",
    help="Build every base image of matrix.yaml, measure it, start it, and compare.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(value: bool) -> None:  # noqa: FBT001  # typer calls it with the flag
    if value:
        sys.stdout.write(f"matrix {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    *, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False
) -> None:
    """Build every base image of matrix.yaml, measure it, start it, and compare."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it is not there.")] = Path(),
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Write a matrix.yaml and Dockerfiles that run as they are."""
    from orchestrator.starter import write_starter

    for path in write_starter(folder, force=force):
        sys.stderr.write(f"wrote {path}\n")
    sys.stderr.write("next: matrix plan, then matrix run\n")


@app.command()
def doctor(
    file: File = DEFAULT_FILE,
    kind: Annotated[str, typer.Option("--format", help="table or json")] = "table",
    out: Out = None,
) -> None:
    """Say what is missing here, and the command that mends it."""
    from orchestrator.doctor import examine, render_examination

    check_one_of("--format", kind, ("table", "json"))
    findings = examine(file)
    _print(render_examination(findings, kind), out)
    raise typer.Exit(max(finding.exit_code for finding in findings))


@app.command()
def plan(
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", help="table, json, ids, github or bake")] = "table",
    out: Out = None,
) -> None:
    """Show the cells that would run; touches nothing."""
    from orchestrator.config.load import load_matrix
    from orchestrator.plan.render import FORMATS, render_plan
    from orchestrator.plan.select import select_cells

    check_one_of("--format", kind, FORMATS)
    matrix = load_matrix(file)
    _print(render_plan(select_cells(matrix.plan, only or (), skip or ()), kind, matrix.folder), out)


@app.command()
def bootstrap(
    file: File = DEFAULT_FILE,
    *,
    force: Annotated[bool, typer.Option("--force", help="Make the builder anew even if matrix did not make it.")] = False,
) -> None:
    """Create, heal or reuse the builder; twice is as good as once."""
    from orchestrator.config.load import load_matrix
    from orchestrator.docker.builder import ensure_builder
    from orchestrator.docker.engine import connect
    from orchestrator.pipeline import builder_spec

    builder = ensure_builder(connect(), builder_spec(load_matrix(file)), force=force)
    sys.stdout.write(f"{builder.did}; driver {builder.driver}, BuildKit {builder.buildkit or 'of the engine'}\n")


@app.command()
def run(
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, max=256, help="Cells built at once.")] = 2,
    resume: Annotated[str | None, typer.Option("--resume", metavar="RUN", help="Go on with this run: an id, or latest.")] = None,
    progress: Annotated[str, typer.Option("--progress", help="auto, plain, json or none; on standard error")] = "auto",
    kind: Annotated[str, typer.Option("--format", help=f"What to print at the end: {FORMAT_WORDS}")] = "table",
    out: Out = None,
    reports: ReportsFolder = None,
    *,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first cell that does not end as expected.")] = False,
    no_smoke: Annotated[bool, typer.Option("--no-smoke", help="Build and measure only.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the images in the engine.")] = False,
    no_trace: Annotated[bool, typer.Option("--no-trace", help="Leave no traces, here or at a backend.")] = False,
) -> None:
    """Plan, bootstrap, build, measure, smoke-test and report."""
    from orchestrator.config.load import load_matrix
    from orchestrator.pipeline import Options, exit_code_of, run_matrix
    from orchestrator.progress.choose import KINDS, open_progress
    from orchestrator.report.evidence import find_evidence
    from orchestrator.report.files import FORMATS, render
    from orchestrator.store import Reports

    check_one_of("--progress", progress, KINDS)
    check_one_of("--format", kind, FORMATS)
    matrix = load_matrix(file)
    folder = Reports(reports_folder(reports, file))
    options = Options(tuple(only or ()), tuple(skip or ()), jobs, not no_smoke, keep, fail_fast, resume, not no_trace)
    with open_progress(progress, [cell.id for cell in matrix.plan.cells]) as show:
        record = run_matrix(matrix, folder, options, show)
    stored = folder.find(resume if resume and Path(resume, "run.json").is_file() else record.id)
    _print(render(record, kind, _width(), find_evidence(stored, folder_of(out))), out)
    for name in ("report.md", "report.html"):
        sys.stderr.write(f"report: {stored.path / name}\n")
    if record.interrupted:
        sys.stderr.write(f"interrupted; `matrix run --resume {record.id}` goes on with the rest\n")
    raise typer.Exit(exit_code_of(record))


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="[RUN]", help="A run: its id, the start of it, its folder, or latest.")] = "latest",
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", help=FORMAT_WORDS)] = "table",
    out: Out = None,
    reports: ReportsFolder = None,
) -> None:
    """Show a report of any stored run; needs no Docker."""
    from orchestrator.report.evidence import find_evidence
    from orchestrator.report.files import FORMATS, render
    from orchestrator.report.select import select_records
    from orchestrator.store import Reports

    check_one_of("--format", kind, FORMATS)
    stored = Reports(reports_folder(reports, file)).find(name)
    record = select_records(stored.load(), only or (), skip or ())
    _print(render(record, kind, _width(), find_evidence(stored, folder_of(out))), out)


@app.command()
def trace(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run: its id, the start of it, its folder, or latest.")] = "latest",
    cells: Annotated[
        list[str] | None, typer.Argument(metavar="CELL", help="One cell: its waterfall. Two: their steps side by side.")
    ] = None,
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", help="text or json")] = "text",
    out: Out = None,
    reports: ReportsFolder = None,
    *,
    details: Annotated[bool, typer.Option("--details", help="Draw the builder's own spans below each step too.")] = False,
    to: Annotated[
        str | None, typer.Option("--to", metavar="ENDPOINT", help="Send the traces to this OTLP endpoint instead.")
    ] = None,
) -> None:
    """Show where the time went: the cells of a run by time, one cell's waterfall, or two cells side by side."""
    from orchestrator.store import Reports
    from orchestrator.tracing.columns import Sheet
    from orchestrator.tracing.view import FORMATS, Asked, view_traces

    check_one_of("--format", kind, FORMATS)
    run = Reports(reports_folder(reports, file)).find(name)
    if to is not None:
        from orchestrator.tracing.export import send_stored
        from orchestrator.tracing.stored import load_all_spans

        _warn(f"sent {send_stored(load_all_spans(run, cells or ()), to, os.environ, _warn)} spans of run {run.id}")
        return
    asked = Asked(tuple(cells or ()), tuple(only or ()), tuple(skip or ()), details)
    text, code = view_traces(run, asked, Sheet(_width(), _may_colour(out)) if kind == "text" else None)
    _print(text, out)
    raise typer.Exit(code)


@app.command()
def jaeger(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="start, stop, or open (a run's trace in the browser).")],
    name: Annotated[str, typer.Argument(metavar="[RUN]", help="The run to open: its id, the start of it, or latest.")] = "latest",
    file: File = DEFAULT_FILE,
    image: Annotated[str | None, typer.Option("--image", help="Jaeger's image, where the usual one cannot be had.")] = None,
    reports: ReportsFolder = None,
) -> None:
    """Start Jaeger on this machine's loopback, stop it, or open (else print) the address of a run's trace."""
    from orchestrator import jaeger as door
    from orchestrator.config.load import load_matrix
    from orchestrator.store import Reports

    check_one_of("ACTION", action, ("start", "stop", "open"))
    if action == "open":
        template = load_matrix(file).file.traces.ui if file.is_file() else None
        address = door.ui_address(Reports(reports_folder(reports, file)).find(name).trace_path(None), template)
        door.open_address(address)
        sys.stdout.write(f"{address}\n")
    else:
        sys.stdout.write((door.stop_jaeger() if action == "stop" else door.start_jaeger(image or door.IMAGE)) + "\n")


@app.command()
def schema(out: Out = None) -> None:
    """Print the JSON Schema of matrix.yaml, for editors."""
    from orchestrator.config.schema import MatrixFile

    draft = "https://json-schema.org/draft/2020-12/schema"
    _print(json.dumps({"$schema": draft, **MatrixFile.model_json_schema()}, indent=2) + "\n", out)


@app.command()
def clean(
    file: File = DEFAULT_FILE,
    *,
    runs: Annotated[bool, typer.Option("--runs", help="Remove the stored runs too.")] = False,
    reports: ReportsFolder = None,
) -> None:
    """Remove what matrix made: images, containers, networks and the builder; nothing else."""
    from orchestrator.cleaning import clean_up

    done = False
    for line in clean_up(file, reports_folder(reports, file) if runs else None):
        done = True
        sys.stdout.write(f"{line}\n")
    if not done:
        sys.stdout.write("nothing of matrix's is here\n")


def _warn(text: str) -> None:
    sys.stderr.write(f"matrix: {text}\n")


def _width() -> int:
    """Give the terminal's width; a pipe or a file takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000


def _may_colour(out: Path | None) -> bool:
    """Tell whether a result is for eyes that want colour: https://no-color.org."""
    return out is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _print(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{out} cannot be written: {error.strerror}"
        raise StoreError(message) from error
    sys.stderr.write(f"wrote {out}\n")


def main() -> None:
    """Run the command line; what the user can mend is a sentence, what only we can is a traceback."""
    try:
        app()
    except MatrixError as error:
        sys.stderr.write(f"{error}\n" if isinstance(error, ConfigError) else f"matrix: {error}\n")
        sys.exit(error.exit_code)
    except Exception:  # noqa: BLE001  # the last resort: anything else is our own bug
        traceback.print_exc()
        sys.stderr.write(f"matrix {__version__}: this is a bug in matrix; please report the lines above\n")
        sys.exit(ExitCode.BUG)
