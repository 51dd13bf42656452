"""What a builder tells of the builds of a run: their traces, as it wrote them."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from itertools import islice
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from msgspec import Struct, field

from orchestrator.docker.dial import HELLO, dial
from orchestrator.errors import EngineError
from orchestrator.model import LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from orchestrator.docker.builder import Builder
    from orchestrator.docker.dial import Line
    from orchestrator.docker.engine import Engine
    from orchestrator.model import Route

T = TypeVar("T")
_LISTEN = "/moby.buildkit.v1.Control/ListenBuildHistory"
_UPDATE = "/moby.buildkit.v1.Control/UpdateBuildHistory"
_READ = "/containerd.services.content.v1.Content/Read"
_TRACE = "application/vnd.buildkit.otlp.json.v0"
_OF_CELL = f"label:{LABEL}.cell"
_MAX_BYTES = 512 * 1024**2  # of one trace; a span takes about 2 kB
_TRACE_S = 5.0  # until a trace is written: an older BuildKit waits 3 s for more spans, whatever it is told
_ALIVE_S = 3.0  # until a builder that is asked for nothing answers
_FAILURE_S = 1.0  # until a build that has failed is told of
_MOST_LINES = 16  # open at once: each takes a buildx


class _Failed(NamedTuple):
    """A build that did not succeed: when it began, and of which cell it was, where it says so."""

    began: tuple[int, int]  # second, nanosecond
    cell: str | None


class _Node(Struct):
    """One node of the builder, listened to: its builds since then that failed, and where the traces of all of them lie."""

    line: Line
    failed: dict[str, _Failed] = field(default_factory=dict)
    traces: dict[str, Any] = field(default_factory=dict)
    news: Condition = field(default_factory=Condition)
    problem: EngineError | None = None
    _listener: Thread | None = None

    def begin(self) -> None:
        """Listen, in a thread of its own."""
        self._listener = Thread(target=self._listen, name="history", daemon=True)
        self._listener.start()

    def end(self) -> None:
        """Hang up, and see that nobody listens any more."""
        self.line.hang_up()
        if self._listener is not None:
            self._listener.join()

    def _listen(self) -> None:
        """Note what the builder tells, in any order, until the line breaks or is hung up."""
        try:
            for event in self.line.ask(_LISTEN, "BuildHistoryRequest", "BuildHistoryEvent", timeout_s=None, active_only=True):
                with self.news:
                    if event.record.HasField("error"):
                        self.failed[event.record.ref] = _make_failed(event.record)
                    if event.record.trace.media_type == _TRACE:
                        self.traces[event.record.ref] = event.record.trace
                    self.news.notify_all()
            problem = EngineError("the builder does not tell of its builds any more")
        except EngineError as error:
            problem = error
        with self.news:
            self.problem = problem
            self.news.notify_all()

    def wait_for(self, find: Callable[[], T], seconds: float) -> T:
        """Wait until there is something to be found, and no longer than that; give what there is while nobody adds to it."""
        with self.news:
            self.news.wait_for(lambda: find() or self.problem, seconds)
            return find()


def _make_failed(record: Any) -> _Failed:  # noqa: ANN401  # grpc has no types
    cell = next((pair.value for pair in record.frontend_attrs if pair.key == _OF_CELL), None)
    return _Failed((record.created_at.seconds, record.created_at.nanos), cell)


class BuilderHistory(Struct):
    """The builds of a run as the builder tells of them, over one connection for each way that buildx sends builds.

    It is listened to and not searched: what it keeps may be thousands of
    records, and a record that has once been asked for by its name is never
    removed any more; some BuildKits break on it when records are listed.
    """

    engine: Engine
    builder: Builder
    routes: frozenset[Route]
    _nodes: dict[Route, _Node] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    def check(self) -> None:
        """Find out whether whoever answered still does: what carries a line may outlive what it leads to, and tells nobody."""
        for node in [*self._nodes.values()]:
            with suppress(EngineError):  # which is the node's problem from then on: the next question connects anew
                list(self._ask(node, HELLO, "Nothing", "Nothing", timeout_s=_ALIVE_S))

    def connect(self) -> None:
        """Begin to listen, before there is something to hear."""
        for route in islice(self.routes, _MOST_LINES):
            self._node(route)

    def trace_of(self, ref: str, route: Route) -> str:
        """Give the trace of a build that has ended as BuildKit wrote it; it may have spans of another build of the same trace."""
        node, name = self._node(route), ref.rpartition("/")[2]
        if name not in node.traces:
            list(self._ask(node, _UPDATE, "UpdateBuildHistoryRequest", "Nothing", ref=name, finalize=True))
            node.wait_for(lambda: name in node.traces, _TRACE_S)
        trace = node.traces.pop(name, None)
        if trace is None:
            message = "the builder told of no trace of a build"
            raise node.problem or EngineError(message)
        if trace.size > _MAX_BYTES:
            message = f"the trace of a build has more than {_MAX_BYTES // 1024**2} MiB"
            raise EngineError(message)
        parts = self._ask(node, _READ, "ReadContentRequest", "ReadContentResponse", digest=trace.digest)
        return b"".join(part.data for part in parts).decode("utf-8", "replace")

    def failed_since(self, moment: datetime, cell: str, route: Route) -> list[str]:
        """Give a cell's builds since a moment that did not succeed, the newest first: buildx writes no reference of them down."""
        node, first = self._node(route), (int(moment.timestamp()), 0)

        def find() -> list[str]:
            fitting = {ref: one for ref, one in node.failed.items() if one.began >= first and one.cell in (cell, None)}
            return sorted(fitting, key=lambda ref: fitting[ref].began, reverse=True)

        return node.wait_for(find, _FAILURE_S)

    def close(self) -> None:
        """Hang up; whoever asks after this is connected anew."""
        for node in self._nodes.values():
            node.end()
        self._nodes.clear()
        self._open.close()

    def _node(self, route: Route) -> _Node:
        known = self._nodes.get(route)
        if known is not None and known.problem is None:
            return known
        if self.builder.pods == "random":
            message = "which of its pods builds is left to chance (loadbalance: random), so none can be asked for its builds"
            raise EngineError(message)
        if known is not None or len(self._nodes) >= _MOST_LINES:
            self.close()
        try:
            line = self._open.enter_context(dial(self.engine, self.builder, route))
        except OSError as error:  # of this machine: no room, or a name that is too long for a socket
            message = f"the builder's history cannot be had: {error}"
            raise EngineError(message) from error
        node = self._nodes[route] = _Node(line)
        node.begin()
        return node

    def _ask(self, node: _Node, method: str, request: str, answer: str, **fields: Any) -> Iterator[Any]:  # noqa: ANN401  # whatever the message has
        try:
            yield from node.line.ask(method, request, answer, **fields)
        except EngineError as error:
            node.problem = error
            raise
