"""The whole run on one screen: plan, bootstrap, build, measure, smoke, judge, report."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from threading import Event as Signal
from typing import TYPE_CHECKING

from orchestrator.baseline import pick_baseline
from orchestrator.carry import carry_over
from orchestrator.cell import run_cell
from orchestrator.config.rules import make_rules
from orchestrator.contexts import Contexts, find_left_out
from orchestrator.diagnosing import with_diagnosis
from orchestrator.docker.bases import BaseReader
from orchestrator.docker.build import read_secret_arg, render_secret_argv
from orchestrator.docker.builder import ensure_builder
from orchestrator.docker.engine import Engine, connect
from orchestrator.docker.history import BuilderHistory
from orchestrator.docker.images import open_store
from orchestrator.durations import last_seconds
from orchestrator.ending import finish_record
from orchestrator.environment import builder_spec, make_environment
from orchestrator.errors import EngineError, UsageError
from orchestrator.events import Event
from orchestrator.execute import run_cells
from orchestrator.figures import save_figures
from orchestrator.foreseen import recall_forecasts, render_forecasts, with_forecasts
from orchestrator.git import read_git
from orchestrator.interrupts import interrupts
from orchestrator.judge.run import judge_record
from orchestrator.locked import pin_plan, written
from orchestrator.measure.shared import share_work
from orchestrator.model import Plan, Status
from orchestrator.paths import cache_folder, forget_lock, held, run_lock
from orchestrator.plan.select import select_cells
from orchestrator.plan.shard import keep_cells, take_shard
from orchestrator.record import SCHEMA, CellRecord, RunInputs, RunRecord, Shard
from orchestrator.redact import make_redactor
from orchestrator.report.files import save_reports
from orchestrator.sampling import Asked, check_asked, measure_cells
from orchestrator.scanners import find_scanner
from orchestrator.standins import find_stand_ins, lacking_reason
from orchestrator.tidying import clear_remains, tidy
from orchestrator.traced import leave_no_traces, open_traces
from orchestrator.tracing.attributes import describe_outcome, describe_run
from orchestrator.tracing.begin import begin_trace
from orchestrator.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orchestrator.config.load import Matrix
    from orchestrator.docker.builder import Builder
    from orchestrator.events import Emit
    from orchestrator.model import BuilderSpec, Cell
    from orchestrator.store import Reports, RunFolder
    from orchestrator.tracing.collect import Traces
    from orchestrator.tracing.trace import Trace

    Carry = Callable[[Iterable[Cell]], Iterator[CellRecord]]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says of a run."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    jobs: int = 2
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


def run_matrix(matrix: Matrix, reports: Reports, options: Options, watch: Callable[[Event], None]) -> RunRecord:
    """Run a plan to its end, or to an interruption; either way all that is known is stored."""
    trace = begin_trace(os.environ)
    cancel, interrupted = Signal(), Signal()
    with interrupts(cancel, interrupted), ExitStack() as at_the_end, trace.span("run") as span:
        with trace.span("plan"):
            run, earlier = _earlier_run(matrix, reports, options)
            options = replace(options, only=earlier.only, skip=earlier.skip) if earlier else options
            plan, shard = _take_part(select_cells(matrix.plan, options.only, options.skip), reports, options, earlier)
            forecasts = recall_forecasts(plan, matrix.folder)
            earlier_lock = earlier.inputs.lock_digest if earlier else None
            locked = pin_plan(matrix, plan, wanted=options.locked, earlier=earlier_lock, resumed=earlier is not None)
            plan = locked.plan
            _check_secrets(matrix, plan)
            if options.measure:
                check_asked(options.measure, plan)
            baseline = pick_baseline(
                reports, plan.name, make_rules(matrix.file), options.baseline, (options.only, options.skip), earlier
            )
        spec = builder_spec(matrix)
        with trace.span("bootstrap"):
            engine = connect()
            locked.check_engine(engine.docker)
            builder = ensure_builder(engine, spec)
        at_the_end.enter_context(written(locked.files))
        run = run or reports.new_run()
        run.redactor = make_redactor(plan.cells, matrix.folder)
        span.attributes |= describe_run(run.id, plan)
        record = earlier or _new_record(matrix, run, options, locked.digest, shard)
        record = replace(
            record,
            environment=make_environment(engine, builder, spec),
            baseline=baseline.id if baseline else None,
            finished_at=None,
            complete=False,
        )
        run.save_record(record)
        if forecasts:
            run.save_text("preflight.json", render_forecasts(forecasts))
        reports.point_latest(run)
        emit = _emitter(run, watch)
        store = at_the_end.enter_context(open_store(cache_folder("images") / run.id))
        traces = at_the_end.enter_context(
            open_traces(run, trace, BuilderHistory(engine, builder, store.folder), spec, emit)
            if options.trace
            else leave_no_traces(trace)
        )
        shop = Workshop(
            engine=engine,
            builder=builder,
            store=store,
            bases=BaseReader(engine, builder, store, locked.pinned_digests),
            run=run,
            traces=traces,
            name=matrix.file.name,
            folder=matrix.folder,
            jobs=options.jobs,
            smoke=options.smoke,
            keep=options.keep,
            emit=emit,
            cancel=cancel,
            heal=partial(_heal, engine, spec, emit),
            contexts=_contexts(matrix, reports, emit),
            scanner=find_scanner(),
        )
        emit(_opening(run, plan, builder, resumed=earlier is not None))
        with held(run_lock(run.id)):  # `matrix clean` leaves a living run alone
            cells = _run_all(plan, options, shop, partial(carry_over, shop, reports, record) if options.skip_unchanged else None)
            if options.measure:
                cells, record = _measure(shop, plan, cells, record, options.measure, trace)
        forget_lock(run_lock(run.id))
        with trace.span("judge"):
            record = finish_record(record, plan, cells, interrupted=interrupted.is_set() and len(cells) < len(plan.cells))
            record = judge_record(with_forecasts(record, forecasts), baseline)
            describe_outcome(span, record)
        with trace.span("report"):
            record = _report(run, record, traces, baseline)
        traces.measure(record)
    emit(Event("run-finished", None, {"run": run.id, "complete": record.complete}))
    return record


def _measure(  # what it takes, and what it changes
    shop: Workshop, plan: Plan, cells: dict[str, CellRecord], record: RunRecord, asked: Asked, trace: Trace
) -> tuple[dict[str, CellRecord], RunRecord]:
    with trace.span("measure"):
        measured, measurement = measure_cells(shop, plan, cells, asked)
    return measured, replace(record, measurement=measurement)


def _report(run: RunFolder, record: RunRecord, traces: Traces, baseline: RunRecord | None) -> RunRecord:
    """Store what is known, and once more, judged anew, when the traces have said which cell ran what and the logs why."""
    run.save_record(record)
    traces.gather()
    record = with_diagnosis(run, replace(record, cells=share_work(record.cells, traces.cells_that_ran)))
    record = judge_record(record, baseline)
    run.save_record(record)
    save_figures(run, record)
    save_reports(run, record)
    return record


def _heal(engine: Engine, spec: BuilderSpec, emit: Emit) -> None:
    """See that the builder is there before a second try: it may be what went away."""
    try:
        ensure_builder(engine, spec)
    except EngineError as error:
        emit(Event("warning", None, {"text": str(error)}))


def _contexts(matrix: Matrix, reports: Reports, emit: Emit) -> Contexts:
    left_out = find_left_out(matrix.plan.cells, matrix.folder) | {*reports.own_paths(), cache_folder()}
    return Contexts(matrix.folder, left_out, lambda text: emit(Event("warning", None, {"text": text})))


def _opening(run: RunFolder, plan: Plan, builder: Builder, *, resumed: bool) -> Event:
    kind = "run-resumed" if resumed else "run-started"
    return Event(kind, None, {"run": run.id, "cells": len(plan.cells), "builder": builder.did})


def _earlier_run(matrix: Matrix, reports: Reports, options: Options) -> tuple[RunFolder, RunRecord] | tuple[None, None]:
    """Read the run to go on with; a changed matrix.yaml would mix two plans in one record."""
    if options.resume is None:
        return None, None
    folder = reports.find(options.resume)
    earlier = folder.load()
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
    return take_shard(plan, *options.shard, last_seconds(reports, plan.name))


def _check_secrets(matrix: Matrix, plan: Plan) -> None:
    """Miss a secret before anything is built."""
    for argument in {argument for cell in plan.cells for argument in cell.settings.secret_args}:
        read_secret_arg(argument)
    for secret in {secret for cell in plan.cells for secret in cell.settings.secrets}:
        render_secret_argv(secret, matrix.folder)


def _new_record(matrix: Matrix, run: RunFolder, options: Options, lock: str | None, shard: Shard | None) -> RunRecord:
    decide, plan = matrix.file.decide, select_cells(matrix.plan, options.only, options.skip)
    return RunRecord(
        schema=SCHEMA,
        id=run.id,
        name=plan.name,
        started_at=datetime.now(UTC),
        axes=plan.axes,
        compare=decide.between if decide else plan.axes[0],
        only=options.only,
        skip=options.skip,
        traces_ui=matrix.file.traces.ui,
        inputs=RunInputs(matrix.digest, lock, *read_git(matrix.folder)),
        rules=make_rules(matrix.file),
        planned=tuple(cell.id for cell in plan.cells) if shard else (),
        shard=shard,
    )


def _run_all(plan: Plan, options: Options, shop: Workshop, carried: Carry | None) -> dict[str, CellRecord]:
    """Run the cells that have no result yet, and cannot take one over; give the results of all that have one."""
    if options.resume is not None:
        clear_remains(shop)
    finished = {cell.id for cell in shop.run.load_cells() if cell.status is not Status.ERROR}
    broken: set[str] = set()
    stand_ins = find_stand_ins()

    def keep(record: CellRecord) -> None:
        record = shop.run.save_cell(record)  # where it is read from at the end: a long run takes no more memory than a short one
        finished.add(record.id)
        broken.update({record.id} if record.status is Status.ERROR else ())
        shop.emit(_ending(record))

    for cell in plan.cells:
        if cell.id not in finished and (reason := lacking_reason(stand_ins, cell)):
            keep(CellRecord(cell.id, dict(cell.axes), Status.SKIPPED, cell.expected, as_expected=True, reason=reason))
    todo = [cell for cell in plan.cells if cell.id not in finished]
    for old in carried(todo) if carried else ():
        keep(old)
    todo = [cell for cell in todo if cell.id not in finished]
    try:
        for record in run_cells(todo, lambda cell: run_cell(shop, cell), jobs=options.jobs, cancel=shop.cancel):
            keep(record)
            if options.fail_fast and not record.as_expected:
                shop.cancel.set()
    except BaseException:
        shop.cancel.set()
        raise
    finally:
        tidy(shop, plan, was_cut_short=shop.cancel.is_set() or bool(broken))
    return {cell.id: cell for cell in shop.run.load_cells() if cell.id in finished}


def _ending(record: CellRecord) -> Event:
    return Event("cell-finished", record.id, {"status": record.status, "as_expected": record.as_expected, "reason": record.reason})


def _emitter(run: RunFolder, watch: Callable[[Event], None]) -> Emit:
    def emit(event: Event) -> None:
        run.append_event(event)
        watch(replace(event, data=run.redactor.data(event.data)))

    return emit
