"""OpenTelemetry's own exporters, told by a Destination where to send, and kept quiet."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.tracing.destination import Protocol, Signal
from orchestrator.tracing.outbox import NotSentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk.metrics.export import MetricsData
    from requests import PreparedRequest, Response, Session

    from orchestrator.tracing.destination import Destination
    from orchestrator.tracing.spans import Attributes, Span

_REDIRECTS = range(300, 400)
_OURS = "Exporter already shutdown"  # said of what it is given after it was stopped here, which tells nothing of the backend
_PROTOBUF = "application/x-protobuf"


class _OtlpWire:
    """One of OpenTelemetry's exporters with what it says about its failures, which it says in its log only."""

    def __init__(self, destination: Destination, note: Callable[[str], None]) -> None:
        self._note = note
        self._rejected = 0
        self._session = _make_session(note, self._check) if destination.protocol is Protocol.HTTP else None
        self._exporter: Any = (
            _make_grpc(destination, self._read) if self._session is None else _make_http(destination, self._session)
        )

    def _export(self, batch: Any, count: int) -> int:  # noqa: ANN401  # spans or metrics, as the exporter takes them
        self._rejected = 0
        with _listening(self._note):
            done = self._exporter.export(batch)
        if done.name != "SUCCESS":
            raise NotSentError
        return count - self._rejected

    def stop(self) -> None:
        """Cancel what is under way, and close the connection."""
        self._exporter.shutdown()
        if self._session is not None:
            self._session.close()  # also what a request that was under way has opened since

    def _check(self, response: Response, **_: object) -> None:
        """Look at an answer that the exporter would take for success without reading it."""
        from requests import RequestException  # noqa: PLC0415  # heavy, and loaded by now

        if not response.ok:
            self._note(f"code: {response.status_code}, reason: {response.reason}")
        wrong = None
        if response.status_code in _REDIRECTS:
            wrong = "it answers with a redirect: name the address that it points to"
        elif response.ok and response.headers.get("content-type", "").startswith("text/html"):
            wrong = "it answers with a web page and is no OTLP receiver: OTLP is usually at port 4318"
        if wrong is not None:
            response.close()
            raise RequestException(wrong)
        if response.ok and response.headers.get("content-type", "").partition(";")[0].strip().lower() == _PROTOBUF:
            self._read(response.content)

    def _read(self, answer: bytes) -> None:
        """Count what a backend has left out, though it took the rest."""
        self._rejected, words = _rejected(answer)
        if self._rejected:
            self._note(f"reason: it rejected {self._rejected}: {words or 'no reason given'}")


class SpanWire(_OtlpWire):
    """The way of spans to a backend; those that are matrix's own carry the user's resource attributes."""

    def __init__(self, destination: Destination, resource: Attributes, note: Callable[[str], None]) -> None:
        """Make the exporter, which connects when it first sends."""
        from orchestrator.tracing.sdk_spans import SpanTranslator  # noqa: PLC0415  # the SDK takes 0.1 s to import

        super().__init__(destination, note)
        self._translate = SpanTranslator(resource)

    def send(self, batch: Sequence[Span]) -> int:
        """Send spans; one that OpenTelemetry cannot express is noted and left out."""
        translated = []
        for span in batch:
            try:
                translated.append(self._translate(span))
            except ValueError as error:
                self._note(f"reason: it cannot be given a span with {error}")
        return self._export(translated, len(translated)) if translated else 0


class MetricWire(_OtlpWire):
    """The way of metrics to a backend."""

    def send(self, batch: Sequence[Callable[[], MetricsData]]) -> int:
        """Send metrics, which are made here because that takes the SDK."""
        return sum(self._export(make(), 1) for make in batch)


@contextmanager
def _listening(note: Callable[[str], None]) -> Iterator[None]:
    """Note what exporters say in this thread."""
    listener = _Listener(note)
    logger = logging.getLogger("opentelemetry.exporter")
    logger.setLevel(logging.WARNING)  # whatever level its parent has been given
    shared = logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter")
    for one in tuple(shared.filters):  # it hides what has just been said in the same words, also by another exporter
        shared.removeFilter(one)
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)


class _Listener(logging.Handler):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and not record.getMessage().startswith(_OURS):
            self._note(record.getMessage())


def _make_grpc(destination: Destination, read: Callable[[bytes], None]) -> object:
    from grpc import Compression, ssl_channel_credentials  # noqa: PLC0415  # 0.3 s that only this way of sending needs
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415  # as above
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  # as above

    files = (destination.certificate, destination.client_key, destination.client_certificate)
    base: Any = OTLPSpanExporter if destination.signal is Signal.TRACES else OTLPMetricExporter

    class Reading(base):  # type: ignore[misc]  # of either
        """An exporter that hands on what it is answered, which it would throw away."""

        _client: Any

        def _initialize_channel_and_stub(self) -> None:
            super()._initialize_channel_and_stub()
            self._client = _Client(self._client, read)

    return Reading(
        endpoint=destination.endpoint,
        insecure=destination.insecure,
        credentials=None
        if destination.insecure
        else ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files)),
        headers=tuple(destination.headers.items()),
        timeout=destination.timeout_s,
        compression=Compression.Gzip if destination.compression == "gzip" else Compression.NoCompression,
    )


class _Client:
    """What sends for an exporter, with somebody who reads the answers."""

    def __init__(self, client: Any, read: Callable[[bytes], None]) -> None:  # noqa: ANN401  # generated code without types
        self._client, self._read = client, read

    def Export(self, **named: Any) -> Any:  # noqa: ANN401, N802  # as the exporter has it
        answer = self._client.Export(**named)
        self._read(answer.SerializeToString())
        return answer


def _make_http(destination: Destination, session: Session) -> object:
    from opentelemetry.exporter.otlp.proto.http import Compression  # noqa: PLC0415  # 0.2 s that only this way of sending needs
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415  # as above
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  # as above

    make = OTLPSpanExporter if destination.signal is Signal.TRACES else OTLPMetricExporter
    return make(
        endpoint=destination.endpoint,
        certificate_file=destination.certificate,
        client_key_file=destination.client_key,
        client_certificate_file=destination.client_certificate,
        headers=destination.headers,
        timeout=destination.timeout_s,
        compression=Compression.Gzip if destination.compression == "gzip" else Compression.NoCompression,
        session=session,
    )


def _make_session(note: Callable[[str], None], check: Callable[..., None]) -> Session:
    import requests  # noqa: PLC0415  # as above

    class Telling(requests.Session):
        """A session that tells why a request failed, which the exporter keeps to itself when it has no time for another."""

        def request(self, *args: Any, **named: Any) -> Response:  # noqa: ANN401  # passed on as they are
            try:
                return super().request(*args, **named)
            except requests.RequestException as error:
                note(f"reason: {error}")
                raise

        def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:  # noqa: ANN401  # as above
            """Let OTEL_EXPORTER_OTLP_CERTIFICATE stand before REQUESTS_CA_BUNDLE, which is meant for everything."""
            own = self.verify if verify is None and isinstance(self.verify, str) else verify
            return super().merge_environment_settings(url, proxies, stream, own, cert)

    session = Telling()
    session.hooks["response"].append(check)
    session.auth = _as_it_is
    return session


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    """Leave the headers alone: without this, ~/.netrc would take the place of what OTEL_EXPORTER_OTLP_HEADERS says."""
    return request


def _rejected(content: bytes) -> tuple[int, str]:
    """Read how many spans or data points were not taken: traces and metrics have the same answer."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415  # as above
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse  # noqa: PLC0415  # as above

    try:
        partial = ExportTraceServiceResponse.FromString(content).partial_success
    except DecodeError:
        return 0, ""  # not an answer of OTLP; its status says that it has taken all
    return partial.rejected_spans, partial.error_message
