"""The traces of a run: its own and one for each cell, completed with what the builder knows, kept and sent."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from orchestrator.errors import EngineError
from orchestrator.tracing.buildkit import parse_stubs
from orchestrator.tracing.complete import Ran, complete_build, find_ran, lacks_link, link_step, split_by_build
from orchestrator.tracing.names import CELL, CELL_ID
from orchestrator.tracing.spans import Link, new_span_id
from orchestrator.tracing.trace import OpenSpan, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.measure.progress import Vertex
    from orchestrator.record import RunRecord
    from orchestrator.tracing.spans import Attributes, Span, Value
    from orchestrator.tracing.trace import Clock

_ENOUGH = 12  # builds that make an export worth a start of buildx
_AT_ONCE = 20  # records in one export; a builder keeps 50
_LONGEST_S = 10.0  # that a finished cell waits for others
_PATIENCE = 3  # exports that fail before the first that succeeds
_SKEW = timedelta(seconds=5)  # of the builder's clock against ours


class History(Protocol):
    """What is asked of the builder about builds that have ended."""

    def export(self, refs: Sequence[str]) -> list[str]:
        """Give the traces of builds."""

    def failed_since(self, moment: datetime) -> list[str]:
        """Give the builds that did not succeed."""


@dataclass(slots=True)
class TracedBuild:
    """A build under way: its span, and what tells its steps."""

    span: OpenSpan
    ref: str | None = None
    vertices: Sequence[Vertex] = ()


class CellTrace(Trace):
    """The trace of one cell."""

    def __init__(self, cell: str, clock: Clock, resource: Attributes) -> None:
        """Begin with nothing but an id."""
        super().__init__(clock, resource)
        self.cell = cell
        self.builds: list[TracedBuild] = []

    @contextmanager
    def build(self, attributes: Attributes) -> Iterator[TracedBuild]:
        """Take the span of a build; the builder's own spans come below it later."""
        with self.span("build", attributes=attributes) as span:
            found = TracedBuild(span)
            self.builds.append(found)
            yield found


@dataclass(slots=True)
class Traces:
    """All traces of one run; cells hand theirs in, and a thread of its own completes them."""

    run: Trace
    history: History | None
    save: Callable[[str | None, list[Span]], None]
    send: Callable[[list[Span]], None]
    measure: Callable[[RunRecord], None]
    warn: Callable[[str], None]
    _queue: SimpleQueue[CellTrace | None] = field(default_factory=SimpleQueue)
    _ran: dict[str, Ran] = field(default_factory=dict)
    _unlinked: dict[str, list[Span]] = field(default_factory=dict)
    _failures: int = 0
    _problem: Exception | None = None
    _thread: Thread | None = None

    @contextmanager
    def cell(self, cell: str, attributes: Attributes) -> Iterator[tuple[CellTrace, OpenSpan]]:
        """Take the trace of a cell; in the run's own trace stands a summary of it, each linked to the other."""
        trace = CellTrace(cell, self.run.clock, self.run.resource)
        summary_id = new_span_id()
        found: dict[str, Value] = {CELL_ID: cell, **attributes}
        try:
            with trace.span(CELL, attributes=found) as span:
                span.links.append(Link(self.run.trace_id, summary_id))
                yield trace, span
        finally:
            if self.history is not None:  # else nobody will read it
                self.run.summarize(summary_id, trace.spans[-1])
            self._hand_in(trace)

    def _hand_in(self, trace: CellTrace) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._collect, name="traces", daemon=True)
            self._thread.start()
        self._queue.put(trace)

    def gather(self) -> None:
        """Complete what has been handed in, and link joined steps to what ran after all."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()
        if self._problem is not None:
            raise self._problem
        for cell, spans in self._unlinked.items():
            linked = [link_step(span, self._ran) for span in spans]
            self.save(cell, linked)
            self.send(linked)
        self._unlinked.clear()

    @property
    def cells_that_ran(self) -> dict[str, str]:
        """Give the cell that ran each step, by the step's digest, as far as the builder's spans tell."""
        return {digest: ran.cell for digest, ran in self._ran.items()}

    def close(self) -> None:
        """End with the run's own trace, which ends last."""
        self.gather()
        self.save(None, self.run.spans)
        self.send(self.run.spans)

    def _collect(self) -> None:
        """Wait for enough to make it worth while, but not for long: a run that is killed keeps what is on disk."""
        is_over = False
        while not is_over:
            batch = [self._queue.get()]
            until = time.monotonic() + _LONGEST_S
            try:
                while batch[-1] is not None and len(batch) < _AT_ONCE:
                    left = until - time.monotonic()
                    batch.append(self._queue.get(len(batch) < _ENOUGH and left > 0, max(left, 0.001)))
            except Empty:
                pass
            is_over = batch[-1] is None
            try:
                self._complete([trace for trace in batch if trace is not None])
            except Exception as error:  # noqa: BLE001  # raised when the run gathers its traces: a thread has nobody to tell
                self._problem = error
                return

    def _complete(self, batch: list[CellTrace]) -> None:
        own = self._ask_builder(batch)
        for trace in batch:
            self._ran |= find_ran(trace.cell, own.get(trace.trace_id, ()))
        for trace in batch:
            spans = [*trace.spans, *self._below_builds(trace, own.get(trace.trace_id, []))]
            self.save(trace.cell, spans)
            if any(lacks_link(span) for span in spans):
                self._unlinked[trace.cell] = spans  # the cell that runs the step has not ended yet
            else:
                self.send(spans)

    def _below_builds(self, trace: CellTrace, own: list[Span]) -> Iterator[Span]:
        closed = {span.span_id: span for span in trace.spans}
        spans = split_by_build(own, [build.span for build in trace.builds])
        for build in trace.builds:
            yield from complete_build(closed[build.span.span_id], spans[build.span.span_id], build.vertices, self._ran)

    def _ask_builder(self, batch: list[CellTrace]) -> dict[str, list[Span]]:
        """Give the builder's own spans by trace; without them, progress tells what it can."""
        builds = [build for trace in batch for build in trace.builds]
        if self.history is None or not builds:
            return {}
        try:
            refs = [build.ref for build in builds if build.ref]
            if len(refs) < len(builds):
                first = min(build.span.start_ns for build in builds if not build.ref)
                refs += self.history.failed_since(datetime.fromtimestamp(first / 1e9, UTC) - _SKEW)
            texts = self._export(list(dict.fromkeys(refs)))
            spans = {span.span_id: span for text in texts for span in parse_stubs(text)}
        except (EngineError, ValueError, KeyError, TypeError) as error:
            self._give_up(str(error))
            return {}
        found: dict[str, list[Span]] = {}
        for span in spans.values():
            found.setdefault(span.trace_id, []).append(span)
        return found

    def _export(self, refs: list[str]) -> list[str]:
        """Export all at once; where one record is gone already, the others are still to be had."""
        if not refs or self.history is None:
            return []
        try:
            return self.history.export(refs)
        except EngineError:
            if len(refs) == 1:
                raise
            texts: list[str] = []
            for ref in refs:
                try:
                    texts += self.history.export([ref])
                except EngineError:
                    continue
            if not texts:
                raise
            return texts

    def _give_up(self, reason: str) -> None:
        """Go on without the builder's spans; after a few failures it is not asked any more."""
        self._failures += 1
        if self._failures == 1:
            self.warn(f"{reason}; the steps of such builds are traced from their progress")
        if self._failures >= _PATIENCE:
            self.history = None
