"""Commands around the work: a start, a check-up, a viewer, a clean-up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.commands.options import RUN_WORDS, File, Out, ReportsFolder, check_one_of, find_reports, reports_folder
from orchestrator.commands.printing import print_result, tell, terminal_width
from orchestrator.errors import UsageError
from orchestrator.hints import DEFAULT_FILE, repeat_options


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write; made if it is not there.")] = Path(),
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Write a small matrix that runs as it is.

    It is a matrix.yaml, a Dockerfile and requirements.
    """
    from orchestrator.starter import write_starter

    for path in write_starter(folder, force=force):
        tell(f"wrote {path}")
    options = repeat_options(folder / DEFAULT_FILE)
    tell(f"next: matrix plan{options}, then matrix run{options}")


def doctor(
    file: File = DEFAULT_FILE,
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table or json")] = "table",
    out: Out = None,
) -> None:
    """Say what is missing here, and the command that mends it."""
    from orchestrator.doctor import examine, render_examination

    check_one_of("--format", kind, ("table", "json"))
    findings = examine(file, reports_folder(None, file))
    print_result(render_examination(findings, kind, terminal_width()), out)
    raise typer.Exit(max(finding.exit_code for finding in findings))


def jaeger(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="start, stop, or open (a run's trace in the browser).")],
    name: Annotated[str, typer.Argument(metavar="RUN", help=f"The run to open: {RUN_WORDS}.")] = "latest",
    file: File = DEFAULT_FILE,
    image: Annotated[
        str | None, typer.Option("--image", metavar="IMAGE", help="Jaeger's image, where the usual one cannot be had.")
    ] = None,
    reports: ReportsFolder = None,
) -> None:
    """Start or stop Jaeger on this machine, or open a run's trace.

    It listens on the loopback; an address that cannot be opened is printed.
    """
    from orchestrator import jaeger as door
    from orchestrator.config.load import load_matrix

    check_one_of("ACTION", action, ("start", "stop", "open"))
    if action == "open":
        template = load_matrix(file).traces_ui if file.is_file() else None
        address = door.ui_address(find_reports(file, reports).find(name).trace_path(None), template)
        door.open_address(address)
        print_result(f"{address}\n", None)
    else:
        print_result((door.stop_jaeger() if action == "stop" else door.start_jaeger(image or door.IMAGE)) + "\n", None)


def clean(
    file: File = DEFAULT_FILE,
    *,
    runs: Annotated[bool, typer.Option("--runs", help="Remove the stored runs too.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Remove the images of other matrices too.")] = False,
    everybody: Annotated[
        bool,
        typer.Option("--everybody", help="Remove what runs of other users or machines made too, though they may be under way."),
    ] = False,
    reports: ReportsFolder = None,
) -> None:
    """Remove what matrix made, and nothing else.

    The builder of matrix.yaml, the images of that matrix, and what one's own
    runs have left: containers, networks and files of the cache.
    """
    from orchestrator.cleaning import Asked, clean_up

    if file != DEFAULT_FILE and not file.exists():
        message = f"{file}: no such file, and without one the images of all matrices would go; leave --file out for that"
        raise UsageError(message)
    done = False
    for line in clean_up(file, reports_folder(reports, file) if runs else None, Asked(everything, everybody)):
        done = True
        print_result(f"{line}\n", None)
    if not done:
        print_result("nothing of matrix's is here\n", None)
