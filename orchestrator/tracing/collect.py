"""The traces of a run: its own and one for each cell, completed with what the builder knows, kept and sent."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from orchestrator.errors import EngineError
from orchestrator.model import Route
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

_PATIENCE = 3  # cells in a row of which the builder tells nothing
_SKEW = timedelta(seconds=5)  # of the builder's clock against ours


class History(Protocol):
    """What is asked of the builder about builds that have ended."""

    def connect(self) -> None:
        """Begin to listen to the builder."""

    def check(self) -> None:
        """Find out whether the builder still answers."""

    def trace_of(self, ref: str, route: Route) -> str:
        """Give the trace of a build."""

    def failed_since(self, moment: datetime, cell: str, route: Route) -> list[str]:
        """Give a cell's builds that did not succeed, the newest first."""

    def close(self) -> None:
        """Give back what was needed to ask."""


class TracedBuild(Struct):
    """A build under way: its span, and what tells its steps."""

    span: OpenSpan
    is_told: bool = True  # by the builder's own spans; of others progress tells all
    ref: str | None = None
    route: Route = Route()
    vertices: Sequence[Vertex] = ()


class CellTrace(Trace):
    """The trace of one cell."""

    def __init__(self, cell: str, clock: Clock, resource: Attributes, expect: Callable[[], None]) -> None:
        """Begin with nothing but an id, and whom to tell before a build of which the builder tells."""
        super().__init__(clock, resource)
        self.cell = cell
        self.builds: list[TracedBuild] = []
        self._expect = expect

    @contextmanager
    def build(self, attributes: Attributes, *, is_told: bool = True) -> Iterator[TracedBuild]:
        """Take the span of a build; the builder's own spans come below it later."""
        if is_told:
            self._expect()
        with self.span("build", attributes=attributes) as span:
            found = TracedBuild(span, is_told)
            self.builds.append(found)
            yield found


class Traces(Struct):
    """All traces of one run; cells hand theirs in, and a thread of its own completes them."""

    run: Trace
    history: History | None
    save: Callable[[str | None, list[Span]], None]
    send: Callable[[list[Span]], None]
    measure: Callable[[RunRecord], None]
    warn: Callable[[str], None]
    _queue: SimpleQueue[CellTrace | History | None] = field(default_factory=SimpleQueue)
    _ran: dict[str, Ran] = field(default_factory=dict)
    _unlinked: dict[str, list[Span]] = field(default_factory=dict)
    _failures: int = 0
    _has_warned: bool = False
    _problem: Exception | None = None
    _thread: Thread | None = None
    _listens: bool = False
    _lock: Lock = field(default_factory=Lock)  # cells begin in threads of their own

    @contextmanager
    def cell(self, cell: str, attributes: Attributes) -> Iterator[tuple[CellTrace, OpenSpan]]:
        """Take the trace of a cell; in the run's own trace stands a summary of it, each linked to the other."""
        self._begin()
        trace = CellTrace(cell, self.run.clock, self.run.resource, self._listen)
        summary_id = new_span_id()
        found: dict[str, Value] = {CELL_ID: cell, **attributes}
        try:
            with trace.span(CELL, attributes=found) as span:
                span.links.append(Link(self.run.trace_id, summary_id))
                yield trace, span
        finally:
            if self.history is not None:  # else nobody will read it
                self.run.summarize(summary_id, trace.spans[-1])
                self._queue.put(trace)

    def _begin(self) -> None:
        """Begin to complete traces, beside the first cell."""
        with self._lock:
            if self.history is not None and self._thread is None:
                self._thread = Thread(target=self._collect, args=(self.history,), name="traces", daemon=True)
                self._thread.start()

    def _listen(self) -> None:
        """Have the builder listened to from now on: not before there is something to hear, since that takes a tenth of a second."""
        with self._lock:
            if self.history is not None and not self._listens:
                self._listens = True
                self._queue.put(self.history)

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

    def _collect(self, history: History) -> None:
        """Complete each trace as soon as its cell has ended: a builder forgets, and a run that is killed keeps what is on disk."""
        try:
            while (wanted := self._queue.get()) is not None:
                if isinstance(wanted, CellTrace):
                    self._complete(history, wanted)
                else:
                    self._connect(wanted)
        except Exception as error:  # noqa: BLE001  # raised when the run gathers its traces: a thread has nobody to tell
            self._problem = error
        finally:
            history.close()

    def _connect(self, history: History) -> None:
        try:
            history.connect()
        except EngineError as error:
            self._give_up(str(error))

    def _complete(self, history: History, trace: CellTrace) -> None:
        own = self._ask_builder(history, trace)
        self._ran |= find_ran(trace.cell, own)
        spans = [*trace.spans, *self._below_builds(trace, own)]
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

    def _ask_builder(self, history: History, trace: CellTrace) -> list[Span]:
        """Give the builder's own spans of a trace; without them, progress tells what it can."""
        if not any(build.is_told for build in trace.builds) or self._failures >= _PATIENCE:
            return []
        spans: dict[str, Span] = {}
        problem: Exception | None = None
        lost = [build for build in trace.builds if build.is_told and not build.ref]
        try:
            for ref, route, is_lost in self._records_of(history, trace, lost):
                if is_lost and not lost:
                    break
                try:
                    found = {
                        span.span_id: span for span in parse_stubs(history.trace_of(ref, route)) if span.trace_id == trace.trace_id
                    }
                except EngineError as error:
                    problem = error  # of the others it may still tell
                    continue
                spans |= found
                if is_lost and found:
                    lost.pop()
        except (EngineError, ValueError, KeyError, TypeError) as error:
            problem = error
        if problem is not None and not spans:
            self._give_up(str(problem))
        else:
            self._failures = 0
        return list(spans.values())

    def _records_of(self, history: History, trace: CellTrace, lost: Sequence[TracedBuild]) -> Iterator[tuple[str, Route, bool]]:
        """Name a trace's builds, each with the way that it went; what did not succeed is one of those that failed meanwhile."""
        yield from ((build.ref, build.route, False) for build in trace.builds if build.ref)
        if lost:
            first = datetime.fromtimestamp(min(build.span.start_ns for build in lost) / 1e9, UTC)
            route = lost[0].route
            yield from ((ref, route, True) for ref in history.failed_since(first - _SKEW, trace.cell, route))

    def _give_up(self, reason: str) -> None:
        """Go on without the builder's spans; after a few cells in a row it is not asked any more."""
        self._failures += 1
        if not self._has_warned:
            self.warn(f"{reason}; the steps of such builds are traced from their progress")
            self._has_warned = True
