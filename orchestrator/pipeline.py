"""The whole run on one screen: plan, bootstrap, build, measure, smoke, judge, report."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import BoundedSemaphore
from threading import Event as Signal
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from orchestrator.carry import carry_over, recall_measurement
from orchestrator.contexts import Contexts, find_named
from orchestrator.diagnosing import with_diagnosis
from orchestrator.disk import going_on_by
from orchestrator.docker.bases import BaseReader
from orchestrator.docker.builder import ensure_builder
from orchestrator.docker.cluster import find_routes
from orchestrator.docker.engine import connect, describe_passed_over, describe_unlimited
from orchestrator.docker.history import BuilderHistory
from orchestrator.docker.images import open_store
from orchestrator.docker.pulse import open_pulse
from orchestrator.durations import last_seconds
from orchestrator.ending import finish_record
from orchestrator.environment import builder_spec, make_environment
from orchestrator.errors import EngineError
from orchestrator.events import Event
from orchestrator.execute import cells_at_once, usual_jobs
from orchestrator.exposed import find_exposed
from orchestrator.figures import save_figures
from orchestrator.foreseen import render_forecasts, with_forecasts
from orchestrator.healing import Healer
from orchestrator.interrupts import interrupts
from orchestrator.judge.run import judge_record
from orchestrator.locked import written
from orchestrator.measure.shared import share_work
from orchestrator.ours import remember_run
from orchestrator.paths import cache_folder, living
from orchestrator.redact import make_redactor
from orchestrator.report.files import save_reports
from orchestrator.running import run_missing
from orchestrator.scanners import find_scanner
from orchestrator.settling import begin_record, settle
from orchestrator.traced import leave_no_traces, open_traces
from orchestrator.tracing.attributes import describe_outcome, describe_run
from orchestrator.tracing.begin import begin_trace
from orchestrator.workshop import CancelledError, Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from orchestrator.config.load import Matrix
    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Answer, Engine
    from orchestrator.docker.images import ImageStore
    from orchestrator.docker.nodes import Existing
    from orchestrator.events import Emit
    from orchestrator.model import BuilderSpec
    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.settling import Options, Settled
    from orchestrator.store import Reports, RunFolder
    from orchestrator.tracing.collect import Traces
    from orchestrator.tracing.trace import Trace


class Early(NamedTuple):
    """What was asked before the run began, beside other work."""

    engine: Future[Answer]
    builder: Future[Existing | None]


def run_matrix(
    matrix: Matrix, reports: Reports, options: Options, watch: Callable[[Event], None], early: Early | None = None
) -> RunRecord:
    """Run a plan to its end, or to an interruption; either way all that is known is stored."""
    trace = begin_trace(os.environ)
    cancel, interrupted = Signal(), Signal()
    with interrupts(cancel, interrupted), ExitStack() as alive:
        with ExitStack() as at_the_end, trace.span("run") as span:
            with trace.span("plan"):
                settled = settle(matrix, reports, options)
            with trace.span("bootstrap"):
                tools = _bootstrap(matrix, settled, early, cancel)
            run = settled.folder or reports.new_run()
            alive.enter_context(living(run.id))  # `matrix clean` leaves it alone
            span.attributes |= describe_run(run.id, settled.plan)
            record = _begin(matrix, reports, settled, tools, run)
            alive.enter_context(going_on_by(reports.options, options.resume or run.id))
            emit = _emitter(run, watch)
            jobs = options.jobs or usual_jobs(tools.engine.cpus)
            store, traces = at_the_end.enter_context(_open_places(settled, tools, matrix.folder, run, trace, emit))
            shop = Workshop(
                engine=tools.engine,
                builder=tools.builder,
                store=store,
                bases=BaseReader(tools.engine, tools.builder, store, cancel, settled.locked.pinned_digests),
                run=run,
                traces=traces,
                name=matrix.plan.name,
                folder=matrix.folder,
                jobs=jobs,
                floor=BoundedSemaphore(cells_at_once(jobs)),
                bench=BoundedSemaphore(jobs),
                smoke=options.smoke,
                keep=options.keep,
                emit=emit,
                cancel=cancel,
                healer=Healer(partial(_bring_back, tools, cancel, traces), emit),
                contexts=_contexts(matrix, reports, emit),
                pulse=open_pulse(tools.engine, tools.builder),
                scanner=find_scanner(),
                runner=tools.spec.smoke,
            )
            _announce(shop, settled, reports)
            carried = partial(carry_over, shop, reports, record) if options.skip_unchanged else None
            cells = run_missing(settled, shop, carried, partial(last_seconds, reports, record.name))
            if carried and record.measurement is None:
                record = replace(record, measurement=recall_measurement(reports, record, cells.values()))
            cells, record, is_measured = _measure(shop, settled, cells, record, trace)
            with trace.span("judge"):
                is_cut_short = interrupted.is_set() and (len(cells) < len(settled.plan.cells) or not is_measured)
                record = finish_record(record, settled.plan, cells, trace.clock.moment(), interrupted=is_cut_short)
                record = judge_record(with_forecasts(record, settled.forecasts), settled.baseline)
                describe_outcome(span, record)
            with trace.span("report"):
                record = _report(run, record, traces, settled.baseline)
            traces.measure(record)
        emit(Event("run-finished", None, {"run": run.id, "complete": record.complete}))
    return record


class _Tools(NamedTuple):
    """What builds: the engine, the builder, and what was asked of it, for which platforms."""

    engine: Engine
    builder: Builder
    spec: BuilderSpec
    platforms: frozenset[str | None]


def _bootstrap(matrix: Matrix, settled: Settled, early: Early | None, cancel: Signal) -> _Tools:
    spec = builder_spec(matrix)
    platforms = frozenset(cell.settings.platform for cell in settled.plan.cells)
    engine = connect(is_needed=spec.needs_engine or settled.options.keep, asked=early.engine if early else None)
    if engine.answers:
        settled.locked.check_engine(engine.docker)
    try:
        looked = early.builder if early else None
        builder = ensure_builder(engine, spec, platforms=platforms, cancel=cancel, looked=looked)
    except EngineError:
        if cancel.is_set():  # there is no run yet that could be gone on with
            raise KeyboardInterrupt from None
        raise
    if spec.smoke == "graph" and not builder.exports_oci:
        message = "builder.smoke: graph needs OCI layouts, which the engine's older image store cannot write; "
        message += "turn on its containerd image store, or take another builder.driver"
        raise EngineError(message)
    return _Tools(engine, builder, spec, platforms)


def _begin(matrix: Matrix, reports: Reports, settled: Settled, tools: _Tools, run: RunFolder) -> RunRecord:
    """Put into the run's folder what it takes to go on with it; from now on nothing secret is written there."""
    remember_run(run.id)
    run.redactor = make_redactor(settled.plan.cells, matrix.folder)
    record = begin_record(matrix, settled, run, make_environment(tools.engine, tools.builder, tools.spec))
    run.save_record(record)
    reports.point_latest(run)
    if settled.forecasts:
        run.save_text("preflight.json", render_forecasts(settled.forecasts))
    return record


@contextmanager
def _open_places(  # as `_begin`, and the run's own trace
    settled: Settled, tools: _Tools, folder: Path, run: RunFolder, trace: Trace, emit: Emit
) -> Iterator[tuple[ImageStore, Traces]]:
    """Have what a run keeps while it goes on: locked files, images on their way, traces; these end first."""
    with written(settled.locked.files), open_store(cache_folder("images") / run.id) as store:
        history = BuilderHistory(tools.engine, tools.builder, find_routes(tools.builder, settled.plan.cells, folder))
        traced = open_traces(run, trace, history, tools.spec, emit) if settled.options.trace else leave_no_traces(trace)
        with traced as traces:
            yield store, traces


def _measure(
    shop: Workshop, settled: Settled, cells: dict[str, CellRecord], record: RunRecord, trace: Trace
) -> tuple[dict[str, CellRecord], RunRecord, bool]:
    """Give the cells and the run with what was measured, and whether that is all that was asked for."""
    asked = settled.options.measure
    if asked is None:
        return cells, record, True
    from orchestrator.sampling import measure_cells  # noqa: PLC0415  # only where it was asked for

    with trace.span("measure"):
        measured = measure_cells(shop, settled.plan, cells, asked)
    return measured.cells, replace(record, measurement=measured.how or record.measurement), measured.is_finished


def _report(run: RunFolder, record: RunRecord, traces: Traces, baseline: RunRecord | None) -> RunRecord:
    """Store what is known when the traces have said which cell ran what, and the logs why: until then the run has not ended."""
    traces.gather()
    cells = share_work(record.cells, traces.cells_that_ran, of_pods=record.environment.driver == "kubernetes")
    record = with_diagnosis(run, replace(record, cells=cells))
    record = judge_record(record, baseline)
    run.save_record(record)
    save_figures(run, record)
    save_reports(run, record)
    return record


def _bring_back(tools: _Tools, cancel: Signal, traces: Traces) -> None:
    """See that the builder is there, and that nobody listens to one that has gone."""
    try:
        ensure_builder(tools.engine, tools.spec, platforms=tools.platforms, cancel=cancel)
    except EngineError:
        if cancel.is_set():
            raise CancelledError from None
        raise
    if traces.history is not None:
        traces.history.check()


def _contexts(matrix: Matrix, reports: Reports, emit: Emit) -> Contexts:
    named, unread = find_named(matrix.plan.cells, matrix.folder), (*reports.own_paths(), cache_folder())
    return Contexts(matrix.folder, named, unread, lambda text: emit(Event("warning", None, {"text": text})))


def _announce(shop: Workshop, settled: Settled, reports: Reports) -> None:
    """Say what is about to be built, and what may go wrong with it."""
    kind = "run-resumed" if settled.earlier else "run-started"
    ids = [cell.id for cell in settled.plan.cells]
    shop.emit(Event(kind, None, {"run": shop.run.id, "cells": len(ids), "builder": shop.builder.did, "ids": ids}))
    exposed = find_exposed(settled.plan.cells, shop.folder, reports.path)
    for text in filter(None, (*exposed, describe_unlimited(shop.engine), describe_passed_over())):
        shop.emit(Event("warning", None, {"text": text}))


def _emitter(run: RunFolder, watch: Callable[[Event], None]) -> Emit:
    def emit(event: Event) -> None:
        run.append_event(event)
        watch(replace(event, data=run.redactor.data(event.data)))

    return emit
