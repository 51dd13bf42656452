"""What a run is about, settled before anything is built: its cells, what they are pinned to, what they are held against."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.baseline import pick_baseline
from orchestrator.docker.build import read_secret_arg, render_secret_argv
from orchestrator.durations import last_seconds
from orchestrator.errors import UsageError
from orchestrator.foreseen import recall_forecasts
from orchestrator.git import read_git
from orchestrator.judge.surroundings import differing
from orchestrator.locked import pin_plan
from orchestrator.plan.select import select_cells
from orchestrator.plan.shard import keep_cells, take_shard
from orchestrator.record import SCHEMA, RunInputs, RunRecord
from orchestrator.units import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.config.load import Matrix
    from orchestrator.locked import Locked
    from orchestrator.model import Plan
    from orchestrator.record import Environment, Foretold, Shard
    from orchestrator.sampling import Asked
    from orchestrator.store import Reports, RunFolder


class Options(Struct, frozen=True):
    """What the command line says of a run."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    jobs: int | None = None  # none: what suits the engine
    smoke: bool = True
    keep: bool = False
    fail_fast: bool = False
    resume: str | None = None
    trace: bool = True
    locked: bool = False
    measure: Asked | None = None
    shard: tuple[int, int] | None = None
    baseline: str | None = None
    skip_unchanged: bool = False


class Settled(Struct, frozen=True):
    """All that is known of a run before it begins; `folder` and `earlier` are those of a run that goes on."""

    options: Options
    plan: Plan
    locked: Locked
    shard: Shard | None
    forecasts: Mapping[str, Foretold]
    baseline: RunRecord | None
    folder: RunFolder | None = None
    earlier: RunRecord | None = None


def settle(matrix: Matrix, reports: Reports, options: Options) -> Settled:
    """Find out what is to be done, or why it cannot be, before an engine is asked for anything."""
    folder, earlier = _earlier_run(matrix, reports, options)
    options = replace(options, only=earlier.only, skip=earlier.skip) if earlier else options
    plan, shard = _take_part(select_cells(matrix.plan, options.only, options.skip), reports, options, earlier)
    forecasts = recall_forecasts(plan, matrix.folder)
    lock = earlier.inputs.lock_digest if earlier else None
    locked = pin_plan(matrix, plan, wanted=options.locked, earlier=lock, resumed=earlier is not None)
    _check_secrets(matrix, locked.plan)
    if options.measure:
        from orchestrator.sampling import check_asked  # noqa: PLC0415  # it builds, and most runs are not timed

        check_asked(options.measure, locked.plan, matrix.folder)
    selection = options.only, options.skip
    baseline = pick_baseline(reports, plan.name, matrix.rules, options.baseline, selection, earlier)
    return Settled(options, locked.plan, locked, shard, forecasts, baseline, folder, earlier)


def begin_record(matrix: Matrix, settled: Settled, run: RunFolder, environment: Environment) -> RunRecord:
    """Give the record of a run that begins, or goes on where it was: figures of unlike machines do not belong in one."""
    record = settled.earlier or _new_record(matrix, run, settled)
    if settled.earlier and (fields := differing(record.environment, environment)):
        message = f"run {record.id} was begun with another machine or other tools ({'; '.join(fields)}); start a new run"
        raise UsageError(message)
    return replace(
        record,
        environment=environment,
        baseline=settled.baseline.id if settled.baseline else None,
        finished_at=None,
        complete=False,
    )


def _earlier_run(matrix: Matrix, reports: Reports, options: Options) -> tuple[RunFolder, RunRecord] | tuple[None, None]:
    """Read the run to go on with; a changed matrix.yaml would mix two plans in one record."""
    if options.resume is None:
        return None, None
    folder = reports.find(options.resume)
    earlier = folder.load()
    if earlier.parts:
        message = f"run {earlier.id} was merged from others: go on with those, and merge them again"
        raise UsageError(message)
    if earlier.inputs.matrix_digest != matrix.digest:
        message = f"{matrix.path} has changed since run {earlier.id} was started; start a new run"
        raise UsageError(message)
    return folder, earlier


def _take_part(plan: Plan, reports: Reports, options: Options, earlier: RunRecord | None) -> tuple[Plan, Shard | None]:
    """Take the part of the plan that this machine was given, or had in the run that goes on."""
    if earlier is not None:
        return (keep_cells(plan, earlier.shard), earlier.shard) if earlier.shard else (plan, None)
    if options.shard is None:
        return plan, None
    return take_shard(plan, *options.shard, last_seconds(reports, plan.name, whole=(options.only, options.skip)))


def _check_secrets(matrix: Matrix, plan: Plan) -> None:
    """Miss secrets before anything is built, all at once."""
    if missed := list(_missed_secrets(plan, matrix.folder)):
        some = [f"{count(len(missed), 'secret')} are not there:"] if len(missed) > 1 else []
        raise UsageError("\n  ".join(some + missed))


def _missed_secrets(plan: Plan, folder: Path) -> Iterator[str]:
    for argument in dict.fromkeys(argument for cell in plan.cells for argument in cell.settings.secret_args):
        try:
            read_secret_arg(argument)
        except UsageError as error:
            yield str(error)
    for secret in dict.fromkeys(secret for cell in plan.cells for secret in cell.settings.secrets):
        try:
            render_secret_argv(secret, folder)
        except UsageError as error:
            yield str(error)


def _new_record(matrix: Matrix, run: RunFolder, settled: Settled) -> RunRecord:
    options, choice = settled.options, matrix.rules.choice
    whole = select_cells(matrix.plan, options.only, options.skip)
    return RunRecord(
        schema=SCHEMA,
        id=run.id,
        name=whole.name,
        started_at=datetime.now(UTC),
        axes=whole.axes,
        compare=choice.between if choice else whole.axes[0],
        only=options.only,
        skip=options.skip,
        traces_ui=matrix.traces_ui,
        inputs=RunInputs(matrix.digest, settled.locked.digest, *read_git(matrix.folder)),
        rules=matrix.rules,
        planned=tuple(cell.id for cell in whole.cells) if settled.shard else (),
        shard=settled.shard,
    )
