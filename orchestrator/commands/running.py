"""Commands that build."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.commands.options import (
    FORMAT_WORDS,
    RUN_WORDS,
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
from orchestrator.commands.printing import print_pieces, print_result, tell, terminal_width, warn
from orchestrator.errors import UsageError
from orchestrator.hints import DEFAULT_FILE, repeat_options

if TYPE_CHECKING:
    from orchestrator.sampling import Asked


def bootstrap(
    file: File = DEFAULT_FILE,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Make a builder that differs anew even if matrix did not make it.")
    ] = False,
) -> None:
    """Create, heal or reuse the builder; twice is as good as once."""
    from orchestrator.config.load import load_matrix
    from orchestrator.docker.builder import ensure_builder
    from orchestrator.docker.engine import connect
    from orchestrator.environment import builder_spec

    spec = builder_spec(load_matrix(file))
    builder = ensure_builder(connect(is_needed=spec.needs_engine), spec, force=force)
    print_result(f"{builder.did}; driver {builder.driver}, BuildKit {builder.buildkit or 'of the engine'}\n", None)


def run(
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            min=1,
            max=256,
            help="Cells built at once: the engine's processors, from 2 to 8, unless given. With 2 or more, others are tested "
            "beside, and what the cache holds is built together.",
        ),
    ] = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="RUN", help=f"Go on with this run: {RUN_WORDS}.")] = None,
    progress: Annotated[
        str, typer.Option("--progress", metavar="HOW", help="auto, plain, json or none; on standard error")
    ] = "auto",
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help=f"What to print at the end: {FORMAT_WORDS}")] = "table",
    out: Out = None,
    reports: ReportsFolder = None,
    measure: Annotated[
        int | None, typer.Option("--measure", min=1, max=1000, metavar="N", help="Then time N builds of each cell, one at a time.")
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario", metavar="SCENARIO", help="What --measure times: cold (default), cached, code or deps. Repeatable."
        ),
    ] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="Run one of N parts, balanced by the last run's times.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="RUN", help="Hold growth against this run; else the chosen or the last good one."),
    ] = None,
    *,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first cell that does not end as expected.")] = False,
    no_smoke: Annotated[bool, typer.Option("--no-smoke", help="Build and measure only.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the images in the engine.")] = False,
    locked: Annotated[bool, typer.Option("--locked", help="Build exactly what matrix.lock says.")] = False,
    skip_unchanged: Annotated[
        bool, typer.Option("--skip-unchanged", help="Take over the last run's results of cells of which nothing has changed.")
    ] = False,
    no_trace: Annotated[bool, typer.Option("--no-trace", help="Leave no traces, here or at a backend.")] = False,
) -> None:
    """Plan, bootstrap, build, measure, smoke-test and report."""
    from orchestrator.docker.engine import ask_engine

    asked = ask_engine()  # docker takes as long to answer as all that follows takes to import
    from orchestrator.config.load import load_matrix
    from orchestrator.docker.builder import look_for_builder
    from orchestrator.environment import builder_spec

    matrix = load_matrix(file, keep=True)
    looked = look_for_builder(asked, builder_spec(matrix))  # and so does buildx
    from orchestrator.disk import check_place
    from orchestrator.ending import exit_code_of
    from orchestrator.pipeline import Early, run_matrix
    from orchestrator.plan.shard import parse_shard
    from orchestrator.progress.choose import KINDS, open_progress
    from orchestrator.publishing import append_summary
    from orchestrator.report.evidence import find_evidence
    from orchestrator.report.files import FORMATS, render
    from orchestrator.report.gates import render_broken
    from orchestrator.settling import Options

    check_one_of("--progress", progress, KINDS)
    check_one_of("--format", kind, FORMATS)
    folder = find_reports(file, reports)
    if scenario and measure is None:
        raise UsageError("--scenario says what --measure times: give --measure N too")
    if shard and resume:
        raise UsageError("a run that goes on keeps its part of the plan: leave --shard out")
    if resume and (only or skip):
        raise UsageError("a run that goes on keeps its cells: leave --only and --skip out")
    options = Options(
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        jobs=jobs,
        smoke=not no_smoke,
        keep=keep,
        fail_fast=fail_fast,
        resume=resume,
        trace=not no_trace,
        locked=locked,
        measure=_make_asked(measure, scenario) if measure is not None else None,
        baseline=baseline,
        skip_unchanged=skip_unchanged,
        shard=parse_shard(shard) if shard else None,
    )
    if out:
        check_place(out)
    going_on = folder.find(resume) if resume else None
    with open_progress(progress) as show:
        record = run_matrix(matrix, folder, options, show, Early(asked, looked))
    stored = going_on or folder.find(record.id)
    typed = name_run(record.id, file, reports)
    print_pieces(render(record, kind, terminal_width(), find_evidence(stored, folder_of(out)), typed), out)
    if problem := append_summary(record, os.environ):
        warn(problem)
    for name in ("report.md", "report.html"):
        tell(f"report: {stored.path / name}")
    for line in render_broken(record):
        tell(line)
    if record.interrupted:
        again = f"matrix run{repeat_options(file, reports)} --resume {record.id}"
        tell(f"interrupted; {_how_to_go_on(again, options.measure if record.complete else None)}")
    raise typer.Exit(exit_code_of(record))


def _how_to_go_on(again: str, asked: Asked | None) -> str:
    """Say what goes on with a run; samples that were broken off are taken anew."""
    if asked is None:
        return f"`{again}` goes on with the rest"
    wanted = "".join(f" --scenario {name}" for name in asked.scenarios)
    return f"`{again} --measure {asked.rounds}{wanted}` takes all samples anew"


def _make_asked(rounds: int, scenarios: list[str] | None) -> Asked:
    from orchestrator.sampling import Asked

    return Asked(rounds, tuple(dict.fromkeys(scenarios or ("cold",))))
