"""Traces and metrics out to a backend: while a run goes on, at a bounded cost, and for a stored run when asked."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import unquote

from msgspec import Struct

from orchestrator.errors import BackendError, UsageError
from orchestrator.quiet import keep_quiet
from orchestrator.tracing.causes import explain
from orchestrator.tracing.destination import NotADestinationError, Signal, parse_destination, read_destination
from orchestrator.tracing.outbox import Outbox
from orchestrator.tracing.wires import MetricWire, SpanWire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.metrics.export import MetricsData

    from orchestrator.record import RunRecord
    from orchestrator.tracing.destination import Destination
    from orchestrator.tracing.spans import Attributes, Span, Value

    MakeMetrics = Callable[[], MetricsData]
    Warn = Callable[[str], None]

Item = TypeVar("Item")

BUDGET_S = 5.0  # all that a backend may cost a run, whatever it does
_MARGIN_S = 1.0  # of it, for connecting, giving up, and a machine that is busy
_FAILING_S = 2.0  # of it, for a backend that has failed before: long enough for a second try
_MOST_SPANS = 50_000  # that wait at once
_MOST_RECORDS = 4
_STORED_S = 300.0
_EXPORTERS = ("otlp", "none")
_UNITS = {Signal.TRACES: "spans", Signal.METRICS: "reports"}


class Problem(Struct, frozen=True):
    """What has not arrived and the likely cause, in one sentence without credentials."""

    text: str
    lost: int


class _Way(Struct, Generic[Item], frozen=True):
    destination: Destination
    outbox: Outbox[Item]


class Exporter:
    """All that goes out of one run."""

    def __init__(self, spans: _Way[Span] | None, metrics: _Way[MakeMetrics] | None, resource: Attributes) -> None:
        """Take the ways that are open; each connects by itself, in its own thread."""
        self._spans = spans
        self._metrics = metrics
        self._resource = resource

    def send(self, spans: Sequence[Span]) -> None:
        """Send spans while the run goes on; neither waits nor fails."""
        if self._spans is not None:
            self._spans.outbox.put(spans)

    def send_metrics(self, record: RunRecord) -> None:
        """Send the metrics of a run where they are asked for; neither waits nor fails."""
        if self._metrics is not None:
            self._metrics.outbox.put([partial(_translate, record, self._resource)])

    def close(self) -> Problem | None:
        """Wait for what is under way, at most as long as a backend may cost a run, and say what has not arrived."""
        now = time.monotonic()
        ways = [way for way in (self._spans, self._metrics) if way is not None]
        for way in ways:
            way.outbox.close()
        for way in ways:
            way.outbox.wait(now + BUDGET_S - _MARGIN_S, now + _FAILING_S)
        return _problem_of(ways)


def open_exporter(environment: Mapping[str, str], warn: Warn) -> Exporter | None:
    """Open what OpenTelemetry's variables ask for, or give None; what cannot be meant is said and left out."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    wanted = [signal for signal in Signal if _is_wanted(signal, environment, warn)]
    found = {signal: read_destination(environment, signal, warn) for signal in wanted}
    spans, metrics = found.get(Signal.TRACES), found.get(Signal.METRICS)
    if spans is None and metrics is None:
        return None
    keep_quiet()
    resource = read_resource(environment, warn)
    return Exporter(
        None if spans is None else _open_spans(spans, resource, most=_MOST_SPANS),
        None if metrics is None else _Way(metrics, Outbox(partial(MetricWire, metrics), weigh=lambda _: 0, most=_MOST_RECORDS)),
        resource,
    )


def send_stored(spans: Sequence[Span], endpoint: str, environment: Mapping[str, str], warn: Warn) -> int:
    """Send the spans of a stored run as they are, and wait for it; give how many have arrived, which is all of them."""
    try:
        destination = parse_destination(endpoint, environment, warn)
    except NotADestinationError as error:
        message = f"--to: {error}"
        raise UsageError(message) from error
    keep_quiet()
    way = _open_spans(destination, {}, most=None)
    way.outbox.put(spans)
    way.outbox.close()
    deadline = time.monotonic() + _STORED_S
    way.outbox.wait(deadline, deadline)
    if problem := _problem_of([way]):
        raise BackendError(problem.text)
    return way.outbox.sent


def read_resource(environment: Mapping[str, str], warn: Warn) -> Attributes:
    """Read what the user says of the resource; one pair that cannot be read spoils all, as OpenTelemetry has it."""
    found: dict[str, Value] = {}
    for pair in filter(str.strip, environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            warn("OTEL_RESOURCE_ATTRIBUTES is no list of key=value; it is ignored")
            found.clear()
            break
        found[unquote(key).strip()] = unquote(value).strip()
    if name := environment.get("OTEL_SERVICE_NAME", "").strip():
        found["service.name"] = name
    return found


def _is_wanted(signal: Signal, environment: Mapping[str, str], warn: Warn) -> bool:
    """Tell whether a signal is to be exported: traces unless it is said otherwise, metrics only if it is said."""
    name = f"OTEL_{signal.upper()}_EXPORTER"
    asked = {word.strip().lower() for word in environment.get(name, "").split(",")} - {""}
    if unknown := ", ".join(sorted(asked - {*_EXPORTERS})):
        warn(f"{name}: '{unknown}' is not known here ({', '.join(_EXPORTERS)} are)")
    return "otlp" in asked or (signal is Signal.TRACES and not asked)


def _open_spans(destination: Destination, resource: Attributes, *, most: int | None) -> _Way[Span]:
    return _Way(destination, Outbox(partial(SpanWire, destination, resource), weigh=_weigh, most=most))


def _weigh(span: Span) -> int:
    """Give about how many bytes a span takes; attributes may hold anything that a build has printed."""
    events = sum(len(event.name) + len(str(event.attributes)) for event in span.events)
    return len(span.name) + len(span.status.message) + len(str(span.attributes)) + events + 64 * len(span.links)


def _translate(record: RunRecord, resource: Attributes) -> MetricsData:
    from orchestrator.tracing.metrics import translate_metrics  # noqa: PLC0415  # takes the SDK, in the outbox's thread

    return translate_metrics(record, resource)


def _problem_of(ways: Sequence[_Way[Any]]) -> Problem | None:
    """Say each cause once, with all that has not arrived because of it."""
    lost: dict[str, list[str]] = {}
    for way in ways:
        outbox, destination = way.outbox, way.destination
        if outbox.lost:
            is_full = outbox.left_out and not outbox.evidence
            cause = "they came faster than it took them" if is_full else explain(destination, outbox.evidence)
            what = f"{outbox.lost} of {outbox.put_in} {_UNITS[destination.signal]}"
            lost.setdefault(f"{destination.address}: {cause}", []).append(f"{destination.signal} ({what})")
    if not lost:
        return None
    text = "; ".join(f"{' and '.join(what)} have not arrived at {where}" for where, what in lost.items())
    return Problem(text, sum(way.outbox.lost for way in ways))
