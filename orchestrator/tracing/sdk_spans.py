"""Our spans as OpenTelemetry's SDK has them, which is what its exporters take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from orchestrator.tracing import names
from orchestrator.tracing.spans import Code, Kind

if TYPE_CHECKING:
    from orchestrator.tracing.spans import Attributes, Span, SpanStatus, Value

_KINDS = {
    Kind.UNSPECIFIED: SpanKind.INTERNAL,  # as OTLP says that it is to be read
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.SERVER: SpanKind.SERVER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
}
_CODES = {Code.UNSET: StatusCode.UNSET, Code.OK: StatusCode.OK, Code.ERROR: StatusCode.ERROR}
_TRACE_DIGITS = 32
_SPAN_DIGITS = 16


class SpanTranslator:
    """Makes the SDK's spans of ours, with the user's resource attributes on those that matrix made."""

    def __init__(self, resource: Attributes) -> None:
        """Take what is to be added to matrix's own resource."""
        self._added = resource
        self._resources: dict[str, Resource] = {}

    def __call__(self, span: Span) -> ReadableSpan:
        """Translate a span; a ValueError says what OpenTelemetry cannot express in it."""
        context = _context(span.trace_id, span.span_id)
        return ReadableSpan(
            name=_text(span.name),
            context=context,
            parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
            resource=self._resource(span.resource),
            attributes=_attributes(span.attributes),
            events=[Event(_text(event.name), _attributes(event.attributes), _time(event.at_ns)) for event in span.events],
            links=[Link(_context(link.trace_id, link.span_id), _attributes(link.attributes)) for link in span.links],
            kind=_KINDS[span.kind],
            status=_status(span.status),
            start_time=_time(span.start_ns),
            end_time=_time(span.end_ns),
            instrumentation_scope=InstrumentationScope(_text(span.scope.name), _text(span.scope.version)),
        )

    def _resource(self, attributes: Attributes) -> Resource:
        key = repr(sorted(attributes.items()))
        if key not in self._resources:
            self._resources[key] = Resource(_attributes(with_users_resource(attributes, self._added)))
        return self._resources[key]


def with_users_resource(own: Attributes, added: Attributes) -> Attributes:
    """Add to matrix's own resource what the user says: its name is theirs to choose, all else that matrix says stands."""
    if own.get("service.name") != names.SERVICE:
        return own
    return {**added, **own, "service.name": added.get("service.name", names.SERVICE)}


def _context(trace_id: str, span_id: str) -> SpanContext:
    if len(trace_id) != _TRACE_DIGITS or len(span_id) != _SPAN_DIGITS:
        message = "ids of another length than OpenTelemetry's"
        raise ValueError(message)
    try:
        return SpanContext(int.from_bytes(bytes.fromhex(trace_id)), int.from_bytes(bytes.fromhex(span_id)), is_remote=False)
    except ValueError as error:
        message = "ids that are not hexadecimal"
        raise ValueError(message) from error


def _time(at_ns: int) -> int:
    if not 0 <= at_ns < 2**64:
        message = "a time before 1970 or after 2554"
        raise ValueError(message)
    return at_ns


def _status(status: SpanStatus) -> Status:
    """Translate a status; only that of an error has words, as OpenTelemetry's interface has it."""
    return Status(_CODES[status.code], _text(status.message) or None if status.code is Code.ERROR else None)


def _attributes(attributes: Attributes) -> dict[str, Value]:
    return {_text(key): _value(value) for key, value in attributes.items()}


def _value(value: Value) -> Value:
    match value:
        case str():
            return _text(value)
        case tuple():
            return tuple(_text(one) if isinstance(one, str) else _number(one) for one in value)
    return _number(value)


def _number(value: bool | float) -> bool | float:  # noqa: FBT001  # one of the kinds of values that an attribute has
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        message = "a number of more than 64 bits"
        raise ValueError(message)
    return value


def _text(text: str) -> str:
    """Give a text that can be written as UTF-8: what JSON may hold and UTF-8 may not becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
