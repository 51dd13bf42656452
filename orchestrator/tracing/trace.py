"""Spans while they are taken: one trace, filled by one thread at a time."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.tracing.names import PART, Part
from orchestrator.tracing.spans import Code, Kind, Link, Scope, Span, SpanStatus, Value, new_span_id, new_trace_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.tracing.spans import Attributes

SCOPE = Scope("orchestrator")
_TRACEPARENT = re.compile(r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


class OpenSpan(Struct):
    """A span that has begun and may still learn things about itself."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    attributes: dict[str, Value]
    kind: Kind = Kind.INTERNAL
    links: list[Link] = field(default_factory=list)
    status: SpanStatus = field(default_factory=SpanStatus)

    def fail(self, reason: str, kind: str) -> None:
        """Say that its work failed, why, and of what kind the failure is."""
        self.status = SpanStatus(Code.ERROR, reason)
        self.attributes["error.type"] = kind

    def close(self, end_ns: int, resource: Attributes) -> Span:
        """Give the finished span."""
        return Span(
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_id=self.parent_id,
            name=self.name,
            start_ns=self.start_ns,
            end_ns=max(end_ns, self.start_ns),
            kind=self.kind,
            attributes=self.attributes,
            links=tuple(self.links),
            status=self.status,
            resource=resource,
            scope=SCOPE,
        )


class Clock:
    """The time of day when it was started, and from then on the time that has passed: nobody can set it back."""

    def __init__(self) -> None:
        """Look at both clocks once."""
        self._began_ns = time.time_ns() - time.monotonic_ns()

    def __call__(self) -> int:
        """Give the time in nanoseconds since 1970."""
        return self._began_ns + time.monotonic_ns()

    def moment(self) -> datetime:
        """Give the time as a record has it."""
        return datetime.fromtimestamp(self() / 1e9, UTC)


class Trace:
    """One trace under way: what has ended so far, and what is open around it."""

    def __init__(self, clock: Clock, resource: Attributes, *, trace_id: str = "", parent_id: str = "") -> None:
        """Begin a trace of its own, or go on with one that somebody else has begun."""
        self.trace_id = trace_id or new_trace_id()
        self.spans: list[Span] = []
        self.clock = clock
        self.resource = resource
        self._parent_id = parent_id
        self._open: list[OpenSpan] = []

    @contextmanager
    def span(self, name: str, part: Part | None = None, attributes: Mapping[str, Value] | None = None) -> Iterator[OpenSpan]:
        """Take a span around a block; an exception that leaves the block is its error."""
        found = dict(attributes or {})
        if part is not None:
            found[PART] = part.value
        parent_id = self._open[-1].span_id if self._open else self._parent_id
        span = OpenSpan(self.trace_id, new_span_id(), parent_id, name, self.clock(), found)
        self._open.append(span)
        try:
            yield span
        except BaseException as error:
            span.fail(str(error) or type(error).__name__, type(error).__name__)
            raise
        finally:
            self._open.pop()
            self.spans.append(span.close(self.clock(), self.resource))

    def summarize(self, span_id: str, other: Span) -> None:
        """Put a span of another trace into this one, below its root, each linked to the other."""
        root = self._open[0].span_id if self._open else self._parent_id
        links = (Link(other.trace_id, other.span_id),)
        self.spans.append(replace(other, trace_id=self.trace_id, span_id=span_id, parent_id=root, links=links))


def read_traceparent(text: str | None) -> tuple[str, str]:
    """Read a W3C traceparent: trace id and parent's span id, or two empty strings when it is none."""
    found = _TRACEPARENT.fullmatch((text or "").strip().lower())
    if found is None or found["version"] == "ff" or not found["trace"].strip("0") or not found["span"].strip("0"):
        return "", ""
    return found["trace"], found["span"]


def write_traceparent(span: OpenSpan) -> str:
    """Write a span as the parent that a child process reads from TRACEPARENT."""
    return f"00-{span.trace_id}-{span.span_id}-01"
