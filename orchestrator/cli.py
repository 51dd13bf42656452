"""Argv in, exit code out: the only place that prints results."""

from __future__ import annotations

import json
import shutil
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator import __version__
from orchestrator.errors import ConfigError, ExitCode, MatrixError, StoreError, UsageError, did_you_mean

app = typer.Typer(
    name="matrix",
    help="Build every base image of matrix.yaml, measure it, start it, and compare.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

File = Annotated[Path, typer.Option("-f", "--file", help="The matrix file.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Only these cells: base=alpine,python=3.1* (all must fit), or a glob on ids. Repeatable."),
]
Skip = Annotated[list[str] | None, typer.Option("--skip", help="Not these cells; the same words as --only. Repeatable.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Write the result to this file instead of standard output.")]
DEFAULT_FILE = Path("matrix.yaml")


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

    _one_of("--format", kind, ("table", "json"))
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

    _one_of("--format", kind, FORMATS)
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
    kind: Annotated[str, typer.Option("--format", help="What to print at the end: table, markdown, csv or json")] = "table",
    out: Out = None,
    reports: Annotated[Path | None, typer.Option("--reports", help="Where runs are kept; reports beside the matrix file.")] = None,
    *,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first cell that does not end as expected.")] = False,
    no_smoke: Annotated[bool, typer.Option("--no-smoke", help="Build and measure only.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the images in the engine.")] = False,
) -> None:
    """Plan, bootstrap, build, measure, smoke-test and report."""
    from orchestrator.config.load import load_matrix
    from orchestrator.pipeline import Options, exit_code_of, run_matrix
    from orchestrator.progress.choose import KINDS, open_progress
    from orchestrator.report.files import FORMATS, render
    from orchestrator.store import Reports

    _one_of("--progress", progress, KINDS)
    _one_of("--format", kind, FORMATS)
    matrix = load_matrix(file)
    folder = Reports(_reports_folder(reports, file))
    options = Options(tuple(only or ()), tuple(skip or ()), jobs, not no_smoke, keep, fail_fast, resume)
    with open_progress(progress, [cell.id for cell in matrix.plan.cells]) as show:
        record = run_matrix(matrix, folder, options, show)
    _print(render(record, kind, _width()), out)
    sys.stderr.write(f"report: {folder.path / 'runs' / record.id / 'report.md'}\n")
    if record.interrupted:
        sys.stderr.write(f"interrupted; `matrix run --resume {record.id}` goes on with the rest\n")
    raise typer.Exit(exit_code_of(record))


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="[RUN]", help="A run: its id, the start of it, its folder, or latest.")] = "latest",
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", help="table, markdown, csv or json")] = "table",
    out: Out = None,
    reports: Annotated[Path | None, typer.Option("--reports", help="Where runs are kept; reports beside the matrix file.")] = None,
) -> None:
    """Show a report of any stored run; needs no Docker."""
    from orchestrator.report.files import FORMATS, render
    from orchestrator.report.select import select_records
    from orchestrator.store import Reports

    _one_of("--format", kind, FORMATS)
    record = Reports(_reports_folder(reports, file)).find(name).load()
    _print(render(select_records(record, only or (), skip or ()), kind, _width()), out)


@app.command()
def schema(out: Out = None) -> None:
    """Print the JSON Schema of matrix.yaml, for editors."""
    from orchestrator.config.schema import MatrixFile

    document: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **MatrixFile.model_json_schema()}
    _print(json.dumps(document, indent=2) + "\n", out)


@app.command()
def clean(
    file: File = DEFAULT_FILE,
    *,
    runs: Annotated[bool, typer.Option("--runs", help="Remove the stored runs too.")] = False,
    reports: Annotated[Path | None, typer.Option("--reports", help="Where runs are kept; reports beside the matrix file.")] = None,
) -> None:
    """Remove what matrix made: images, containers, networks and the builder; nothing else."""
    from orchestrator.cleaning import clean_up

    done = False
    for line in clean_up(file, _reports_folder(reports, file) if runs else None):
        done = True
        sys.stdout.write(f"{line}\n")
    if not done:
        sys.stdout.write("nothing of matrix's is here\n")


def _reports_folder(reports: Path | None, file: Path) -> Path:
    """Give the folder in which runs are kept."""
    return reports or file.parent / "reports"


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        message = f"{option} '{value}' is not one of {', '.join(known)}{did_you_mean(value, known)}"
        raise UsageError(message)


def _width() -> int:
    """Give the terminal's width; a pipe or a file takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000


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
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except MatrixError as error:
        sys.stderr.write(f"matrix: {error}\n")
        sys.exit(error.exit_code)
    except Exception:  # noqa: BLE001  # the last resort: anything else is our own bug
        traceback.print_exc()
        sys.stderr.write(f"matrix {__version__}: this is a bug in matrix; please report the lines above\n")
        sys.exit(ExitCode.BUG)
