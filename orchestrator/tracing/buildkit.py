"""BuildKit's own trace, as it keeps it, to spans."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.tracing.names import SOURCE
from orchestrator.tracing.spans import Attributes, Code, Kind, Link, Scope, Span, SpanEvent, SpanStatus, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_CODES = {1: Code.ERROR, 2: Code.OK}  # Go numbers them the other way round than OTLP does
_GAP = re.compile(r"\s*")


class NotSpansError(ValueError):
    """The text is not what BuildKit writes its spans as."""


def parse_stubs(text: str) -> list[Span]:
    """Read concatenated JSON of Go's span stubs; each span once, whoever exported it."""
    spans: dict[str, Span] = {}
    try:
        for stub in _documents(text):
            span = _make_span(stub)
            spans.setdefault(span.span_id, span)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        message = f"these are no spans of BuildKit's ({type(error).__name__}: {error})"
        raise NotSpansError(message) from error
    return list(spans.values())


def _documents(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while (at := _end_of_gap(text, at)) < len(text):
        document, at = decoder.raw_decode(text, at)
        if isinstance(document, dict):
            yield document


def _end_of_gap(text: str, at: int) -> int:
    found = _GAP.match(text, at)
    return found.end() if found else at


def _make_span(stub: dict[str, Any]) -> Span:
    context, parent, status = stub["SpanContext"], stub.get("Parent") or {}, stub.get("Status") or {}
    library = stub.get("InstrumentationLibrary") or stub.get("InstrumentationScope") or {}
    return Span(
        trace_id=str(context["TraceID"]),
        span_id=str(context["SpanID"]),
        parent_id=_parent_id(parent),
        name=str(stub.get("Name", "")),
        start_ns=parse_go_time(str(stub.get("StartTime", ""))),
        end_ns=parse_go_time(str(stub.get("EndTime", ""))),
        kind=Kind(int(stub.get("SpanKind") or 0)),
        attributes={**_attributes(stub.get("Attributes")), SOURCE: "buildkit"},
        events=tuple(
            SpanEvent(str(event.get("Name", "")), parse_go_time(str(event.get("Time", ""))), _attributes(event.get("Attributes")))
            for event in stub.get("Events") or ()
        ),
        links=tuple(
            Link(str(link["SpanContext"]["TraceID"]), str(link["SpanContext"]["SpanID"]), _attributes(link.get("Attributes")))
            for link in stub.get("Links") or ()
        ),
        status=SpanStatus(_CODES.get(int(status.get("Code") or 0), Code.UNSET), str(status.get("Description") or "")),
        resource=_attributes(stub.get("Resource")),
        scope=Scope(str(library.get("Name") or ""), str(library.get("Version") or "")),
    )


def _parent_id(parent: dict[str, Any]) -> str:
    """Give a parent's id; Go writes none as zeros."""
    found = str(parent.get("SpanID") or "")
    return found if found.strip("0") else ""


def _attributes(raw: list[dict[str, Any]] | None) -> Attributes:
    return {str(pair["Key"]): _value((pair.get("Value") or {}).get("Value")) for pair in raw or ()}


def _value(raw: object) -> Value:
    match raw:
        case bool() | int() | float() | str():
            return raw
        case list():
            return tuple(one if isinstance(one, (bool, int, float, str)) else json.dumps(one) for one in raw)
    return "" if raw is None else json.dumps(raw)


def parse_go_time(text: str) -> int:
    """Read Go's time to the nanosecond; 0 when it is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return 0
    whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00")).astimezone(UTC)
    moment = int(whole.timestamp()) * 1_000_000_000 + int((found[2] or "").ljust(9, "0"))
    return moment if 0 <= moment < 2**64 else 0  # Go's own zero is before 1970, and what is not known
