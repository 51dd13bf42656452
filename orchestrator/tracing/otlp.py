"""Spans as OTLP/JSON lines, and back: what `trace.json` holds and any collector reads."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any

from orchestrator.strict import parse_json
from orchestrator.tracing.spans import Attributes, Code, Kind, Link, Scope, Span, SpanEvent, SpanStatus, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MOMENTS = 2**64  # OTLP's times are fixed64


def dump_lines(spans: Iterable[Span]) -> str:
    """Write one line for each resource: a whole `resourceSpans` document, as collectors' file receivers read it."""
    by_resource: dict[str, list[Span]] = {}
    for span in spans:
        by_resource.setdefault(repr(sorted(span.resource.items())), []).append(span)  # where 1 is not True
    return "".join(json.dumps(_document(group), ensure_ascii=False, separators=(",", ":")) + "\n" for group in by_resource.values())


def _document(spans: list[Span]) -> dict[str, Any]:
    scopes: dict[Scope, list[Span]] = {}
    for span in spans:
        scopes.setdefault(span.scope, []).append(span)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _dump_attributes(spans[0].resource)},
                "scopeSpans": [
                    {"scope": {"name": scope.name, "version": scope.version}, "spans": [_dump_span(span) for span in group]}
                    for scope, group in scopes.items()
                ],
            }
        ]
    }


def _dump_span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_id,
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _dump_attributes(span.attributes),
        "events": [
            {"timeUnixNano": str(event.at_ns), "name": event.name, "attributes": _dump_attributes(event.attributes)}
            for event in span.events
        ],
        "links": [
            {"traceId": link.trace_id, "spanId": link.span_id, "attributes": _dump_attributes(link.attributes)}
            for link in span.links
        ],
        "status": {"code": int(span.status.code), "message": span.status.message},
    }


def _dump_attributes(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": _dump_value(value)} for key, value in attributes.items()]


def _dump_value(value: Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value if isfinite(value) else str(value)}  # as OTLP writes what JSON has no word for
        case tuple():
            return {"arrayValue": {"values": [_dump_value(one) for one in value]}}
    return {"stringValue": value}


class NotATraceError(ValueError):
    """The text is not OTLP/JSON lines."""


def load_lines(text: str) -> list[Span]:
    """Read OTLP/JSON lines, ours or another program's; what is not that is refused by line."""
    spans: list[Span] = []
    for number, line in enumerate(text.split("\n"), 1):  # a name may hold other line ends, such as U+2028
        if not line.strip():
            continue
        try:
            spans += _load_document(parse_json(line.encode("utf-8", "surrogatepass")))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            message = f"line {number} is not an OTLP/JSON document ({type(error).__name__}: {error})"
            raise NotATraceError(message) from error
    return spans


def _load_document(document: Mapping[str, Any]) -> Iterator[Span]:
    for of_resource in document["resourceSpans"]:
        resource = _load_attributes((of_resource.get("resource") or {}).get("attributes") or ())
        for of_scope in of_resource.get("scopeSpans") or ():
            scope = of_scope.get("scope") or {}
            made_by = Scope(str(scope.get("name") or ""), str(scope.get("version") or ""))
            for span in of_scope.get("spans") or ():
                yield _load_span(span, resource, made_by)


def _load_span(raw: Mapping[str, Any], resource: Attributes, scope: Scope) -> Span:
    status = raw.get("status") or {}
    return Span(
        trace_id=str(raw["traceId"]).lower(),
        span_id=str(raw["spanId"]).lower(),
        parent_id=str(raw.get("parentSpanId") or "").lower(),
        name=str(raw.get("name", "")),
        start_ns=_load_moment(raw.get("startTimeUnixNano", 0)),
        end_ns=_load_moment(raw.get("endTimeUnixNano", 0)),
        kind=Kind(int(raw.get("kind", 0))),
        attributes=_load_attributes(raw.get("attributes") or ()),
        events=tuple(
            SpanEvent(
                str(event.get("name", "")),
                _load_moment(event.get("timeUnixNano", 0)),
                _load_attributes(event.get("attributes") or ()),
            )
            for event in raw.get("events") or ()
        ),
        links=tuple(
            Link(str(link["traceId"]).lower(), str(link["spanId"]).lower(), _load_attributes(link.get("attributes") or ()))
            for link in raw.get("links") or ()
        ),
        status=SpanStatus(Code(int(status.get("code", 0))), str(status.get("message") or "")),
        resource=resource,
        scope=scope,
    )


def _load_moment(raw: str | float) -> int:
    moment = int(raw)
    if not 0 <= moment < _MOMENTS:
        message = "a time is out of range"
        raise ValueError(message)
    return moment


def _load_attributes(raw: Iterable[Mapping[str, Any]]) -> dict[str, Value]:
    return {str(pair["key"]): _load_value(pair.get("value") or {}) for pair in raw}


def _load_value(raw: Mapping[str, Any]) -> Value:
    if "boolValue" in raw:
        return bool(raw["boolValue"])
    if "intValue" in raw:
        return int(raw["intValue"])
    if "doubleValue" in raw:
        return float(raw["doubleValue"])
    if "arrayValue" in raw:
        return tuple(str(one) if isinstance(one, tuple) else one for one in map(_load_value, raw["arrayValue"].get("values") or ()))
    return str(raw.get("stringValue", ""))
