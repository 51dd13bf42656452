"""What becomes of a run's traces: into its folder, and out to a backend when one is configured."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.events import Event
from orchestrator.quiet import keep_quiet
from orchestrator.tracing.collect import Traces
from orchestrator.tracing.export import open_exporter
from orchestrator.tracing.names import SOURCE
from orchestrator.tracing.otlp import dump_lines, load_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.events import Emit
    from orchestrator.model import BuilderSpec
    from orchestrator.record import RunRecord
    from orchestrator.store import RunFolder
    from orchestrator.tracing.collect import History
    from orchestrator.tracing.spans import Span
    from orchestrator.tracing.trace import Trace

_EXPORTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@contextmanager
def open_traces(run: RunFolder, trace: Trace, history: History, spec: BuilderSpec, emit: Emit) -> Iterator[Traces]:
    """Keep traces while the run goes on; at its end all are whole, or it is said why not."""

    def warn(text: str) -> None:
        emit(Event("warning", None, {"text": text}))

    def save(cell: str | None, spans: list[Span]) -> None:
        run.save_trace(cell, dump_lines(spans))

    keep_quiet()
    exporter = open_exporter(os.environ, warn)
    builder_sends = exports_by_itself(spec)

    def send(spans: list[Span]) -> None:
        if exporter is not None:
            wanted = [span for span in spans if not (builder_sends and is_of_the_builder(span))]
            exporter.send(load_lines(run.redactor.json(dump_lines(wanted))))

    def measure(record: RunRecord) -> None:
        if exporter is not None:
            exporter.send_metrics(record)

    traces = Traces(run=trace, history=history, save=save, send=send, measure=measure, warn=warn)
    try:
        yield traces
    finally:
        traces.close()
        problem = exporter.close() if exporter is not None else None
        if problem is not None:
            warn(f"{problem.text}; `matrix trace {run.id} --to ENDPOINT` sends the traces again")


@contextmanager
def leave_no_traces(trace: Trace) -> Iterator[Traces]:
    """Take traces like any others, and neither complete nor keep nor send them."""

    def forget(*_: object) -> None:
        """Do nothing with it."""

    traces = Traces(run=trace, history=None, save=forget, send=forget, measure=forget, warn=forget)
    yield traces
    traces.close()


def exports_by_itself(spec: BuilderSpec) -> bool:
    """Tell whether the builder sends its own spans to a backend, where they would arrive a second time."""
    names = {name.removeprefix("env.") for name, value in (*spec.env, *spec.options) if value}
    return bool(names & {*_EXPORTS})


def is_of_the_builder(span: Span) -> bool:
    """Tell whether a span was taken by the builder's daemon, or by its client, which hands the daemon its own."""
    return span.attributes.get(SOURCE) == "buildkit"
