"""Spans made by hand: a small trace with everything that a span can hold."""

from __future__ import annotations

from orchestrator.tracing import names
from orchestrator.tracing.spans import Attributes, Code, Kind, Link, Scope, Span, SpanEvent, SpanStatus, new_span_id, new_trace_id

START_NS = 1_795_000_000_123_456_789
MATRIX: Attributes = {"service.name": names.SERVICE, "service.version": "0.1.0"}
BUILDKIT: Attributes = {"service.name": "buildkitd", "process.pid": 7}


def make_trace(steps: int = 3) -> list[Span]:
    """Make a cell's trace: its root, a build of some steps that BuildKit traced, and a check that failed."""
    trace, other = new_trace_id(), new_trace_id()
    root = Span(
        trace, new_span_id(), "", names.CELL, START_NS, START_NS + 9_000_000_000,
        attributes={names.CELL_ID: "slim-3.12", names.AS_EXPECTED: False, names.COMPRESSED: 2**40, "ratio": 0.25},
        links=(Link(other, new_span_id(), {"matrix.link": "run", "n": 1}),),
        resource=MATRIX, scope=Scope("matrix", "0.1.0"),
    )  # fmt: skip
    build = Span(trace, new_span_id(), root.span_id, "build", START_NS, START_NS + 5_000_000_000, resource=MATRIX, scope=root.scope)
    made = [
        Span(
            trace, new_span_id(), build.span_id, f"[{at}/{steps}] RUN make ü-{at}", START_NS + at, START_NS + at + 1,
            kind=Kind.CLIENT, attributes={names.PART: "step", "argv": ("a", "b"), "sizes": (1, 2), "flags": (True, False)},
            events=(SpanEvent("pulled", START_NS + at, {"bytes": 10}), SpanEvent("", START_NS + at)),
            status=SpanStatus(Code.OK), resource=BUILDKIT, scope=Scope("moby/buildkit", ""),
        )
        for at in range(1, steps + 1)
    ]  # fmt: skip
    check = Span(
        trace, new_span_id(), root.span_id, "import json", START_NS + 6, START_NS + 7, kind=Kind.SERVER,
        attributes={names.CHECK_OUTCOME: "failed"}, status=SpanStatus(Code.ERROR, "exit 1: no module 'json'"), resource=MATRIX,
    )  # fmt: skip
    return [root, build, *made, check]


def by_id(spans: list[Span]) -> list[Span]:
    """Put spans in an order that does not depend on how they came."""
    return sorted(spans, key=lambda span: span.span_id)
