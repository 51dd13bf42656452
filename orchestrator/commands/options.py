"""The options that several commands have, and what they mean."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.errors import UsageError, did_you_mean
from orchestrator.hints import repeat_options

if TYPE_CHECKING:
    from orchestrator.store import Reports

File = Annotated[Path, typer.Option("-f", "--file", metavar="FILE", help="The matrix file.")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="CELLS",
        help="Only these cells: base=alpine,slim,python=3.1* (each axis must fit, by any of its values), or a glob on ids. "
        "Repeated: the cells of any of them.",
    ),
]
Skip = Annotated[list[str] | None, typer.Option("--skip", metavar="CELLS", help="Not these cells; the same words as --only.")]
Out = Annotated[
    Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write the result to this file instead of standard output.")
]
LockFile = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="FILE", help="Write the lock to this file instead; with --check, what has moved."),
]
Update = Annotated[
    list[Path] | None,
    typer.Option("--update", metavar="FILE", help="Refresh the blocks between <!-- matrix:begin --> and end in it. Repeatable."),
]
SiteFolder = Annotated[
    Path | None, typer.Option("-o", "--out", metavar="FOLDER", help="Where to write it; site in the folder of the runs.")
]
RUN_WORDS = "its id, the start of it, its folder, or latest"
RUN_HELP = f"A run: {RUN_WORDS}."
FORMAT_WORDS = "table, markdown, comment, csv, json, junit, prometheus or html"
ReportsFolder = Annotated[
    Path | None, typer.Option("--reports", metavar="FOLDER", help="Where runs are kept; reports beside the matrix file.")
]


def reports_folder(reports: Path | None, file: Path) -> Path:
    """Give the folder in which runs are kept."""
    return reports or file.parent / "reports"


def find_reports(file: Path, reports: Path | None) -> Reports:
    """Give the stored runs, which name the options that find them in what they say."""
    from orchestrator.store import Reports

    return Reports(reports_folder(reports, file), repeat_options(file, reports))


def name_run(name: str, file: Path, reports: Path | None) -> str:
    """Give what to type after a command to name the same run again."""
    return f"{repeat_options(file, reports)} {shlex.quote(name)}".lstrip()


def folder_of(out: Path | None) -> Path:
    """Give the folder from which the links of a result lead: standard output is most often led into a file here."""
    return out.parent if out else Path()


def check_one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a word that an option does not know, with the nearest one that it does."""
    if value not in known:
        message = f"{option} '{value}' is not one of {', '.join(known)}{did_you_mean(value, known)}"
        raise UsageError(message)
