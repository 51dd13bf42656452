"""BuildKit's own trace: Go's stubs to spans, each once, with Go's habits taken into account."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.tracing import names
from orchestrator.tracing.buildkit import parse_go_time, parse_stubs
from orchestrator.tracing.spans import Code, Kind, Link, Scope, SpanEvent

TRACE, SPAN, PARENT = "1" * 32, "2" * 16, "3" * 16


def make_stub(**parts: Any) -> dict[str, Any]:
    """Make a span as Go writes one."""
    return {
        "Name": "[2/4] RUN make",
        "SpanContext": {"TraceID": TRACE, "SpanID": SPAN, "TraceFlags": "01"},
        "Parent": {"TraceID": TRACE, "SpanID": PARENT, "TraceFlags": "01", "Remote": True},
        "SpanKind": 1,
        "StartTime": "2026-11-21T11:44:48.979552284Z",
        "EndTime": "2026-11-21T11:44:49Z",
        "Attributes": [{"Key": "vertex", "Value": {"Type": "STRING", "Value": "sha256:ab"}}],
        "Events": None,
        "Links": None,
        "Status": {"Code": 0, "Description": ""},
        "Resource": [{"Key": "service.name", "Value": {"Type": "STRING", "Value": "buildkitd"}}],
        "InstrumentationLibrary": {"Name": "otelgrpc", "Version": "0.68.0"},
        **parts,
    }


def test_a_stub_becomes_a_span_with_all_that_it_says() -> None:
    """Ids, times to the nanosecond, kind, attributes, events, links, resource and scope."""
    attributes = [
        {"Key": "b", "Value": {"Type": "BOOL", "Value": True}},
        {"Key": "i", "Value": {"Type": "INT64", "Value": 7}},
        {"Key": "f", "Value": {"Type": "FLOAT64", "Value": 0.5}},
        {"Key": "s", "Value": {"Type": "STRINGSLICE", "Value": ["x", "y"]}},
    ]
    events = [{"Name": "e", "Time": "2026-11-21T11:44:48.5Z", "Attributes": None}]
    links = [{"SpanContext": {"TraceID": "4" * 32, "SpanID": "5" * 16}, "Attributes": attributes[:1]}]
    (span,) = parse_stubs(json.dumps(make_stub(SpanKind=3, Attributes=attributes, Events=events, Links=links)))
    assert (span.trace_id, span.span_id, span.parent_id, span.kind) == (TRACE, SPAN, PARENT, Kind.CLIENT)
    assert (span.start_ns, span.end_ns) == (1795261488_979552284, 1795261489_000000000)
    assert span.attributes == {"b": True, "i": 7, "f": 0.5, "s": ("x", "y"), names.SOURCE: "buildkit"}
    assert span.events == (SpanEvent("e", 1795261488_500000000, {}),)
    assert span.links == (Link("4" * 32, "5" * 16, {"b": True}),)
    assert (span.resource, span.scope) == ({"service.name": "buildkitd"}, Scope("otelgrpc", "0.68.0"))


@pytest.mark.parametrize(("go", "otlp"), [(0, Code.UNSET), (1, Code.ERROR), (2, Code.OK)])
def test_go_numbers_status_codes_otherwise_than_otlp(go: int, otlp: Code) -> None:
    """Taken as they are, every step that went well would be an error."""
    (span,) = parse_stubs(json.dumps(make_stub(Status={"Code": go, "Description": "why"})))
    assert (span.status.code, span.status.message) == (otlp, "why")


def test_documents_follow_each_other_without_a_comma_and_a_span_may_come_twice() -> None:
    """A builder that exports by itself has some of them twice; whoever is read has each once."""
    other = make_stub(SpanContext={"TraceID": TRACE, "SpanID": "6" * 16}, Parent={"SpanID": "0" * 16})
    text = json.dumps(make_stub()) + "\n" + json.dumps(other) + json.dumps(make_stub(), indent=1) + "\n\n"
    spans = parse_stubs(text)
    assert [(span.span_id, span.parent_id) for span in spans] == [(SPAN, PARENT), ("6" * 16, "")]


@pytest.mark.parametrize("text", ['{"Name": "x"}', '{"Name": ', "nonsense"])
def test_what_is_no_trace_is_refused(text: str) -> None:
    """The caller then makes spans from the progress instead."""
    with pytest.raises((ValueError, KeyError)):
        parse_stubs(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T01:00:00.1+01:00", 100_000_000),
        ("0001-01-01T00:00:00Z", 0),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_gos_times_keep_their_nanoseconds(text: str, nanoseconds: int) -> None:
    """A float has not enough digits for them."""
    assert parse_go_time(text) == nanoseconds
