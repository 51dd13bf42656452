"""Real OTLP receivers in the test process, over gRPC and over HTTP, which give what they got as our own spans."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server

from orchestrator.tracing.spans import Attributes, Code, Kind, Link, Scope, Span, SpanEvent, SpanStatus, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
    from trustme import CA, LeafCert

IDS = ("traceId", "spanId", "parentSpanId")


@dataclass
class Received:
    """What has arrived at a receiver, and how it is to behave."""

    spans: list[Span] = field(default_factory=list)
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)  # of each request
    raw: list[bytes] = field(default_factory=list)  # bodies as they came, over HTTP
    status: int | grpc.StatusCode | None = None  # to refuse with
    reason: str = "refused"
    answer: bytes | None = None  # in the place of the protocol's own
    content_type: str = "application/x-protobuf"
    before: Callable[[], object] = lambda: None  # called before each answer
    refused: int = 0  # requests, over HTTP
    port: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, request: object, headers: Iterable[tuple[str, str]]) -> None:
        """Keep what a request brought."""
        with self._changed:
            self.headers.append({key.lower(): value for key, value in headers})
            if isinstance(request, ExportTraceServiceRequest):
                self.spans += read_request(request)
            elif isinstance(request, ExportMetricsServiceRequest):
                self.metrics.append(request)
            self._changed.notify_all()

    def refuse(self) -> None:
        """Count a request that is refused."""
        with self._changed:
            self.refused += 1
            self._changed.notify_all()

    def wait_for_refusal(self) -> None:
        """Wait until a request has been refused."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.refused > 0, timeout=30), "no request came"

    def wait_for_spans(self, count: int) -> list[Span]:
        """Wait until so many spans are there, and give them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.spans) >= count, timeout=30), f"{len(self.spans)} of {count} arrived"
            return list(self.spans)


def read_request(request: ExportTraceServiceRequest) -> list[Span]:
    """Give the spans of a request, each with its resource and scope."""
    return [
        _read_span(span, _attributes(of_resource.resource.attributes), Scope(of_scope.scope.name, of_scope.scope.version))
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def read_json(text: str) -> ExportTraceServiceRequest:
    """Read one OTLP/JSON document as protobuf, in which ids are bytes where OTLP/JSON has hexadecimal digits."""
    return ParseDict(_with_bytes(json.loads(text)), ExportTraceServiceRequest())


def _with_bytes(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_bytes(one) for one in value]
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(one)).decode() if key in IDS else _with_bytes(one) for key, one in value.items()
        }
    return value


def _read_span(span: ProtoSpan, resource: Attributes, scope: Scope) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        kind=Kind(span.kind),
        attributes=_attributes(span.attributes),
        events=tuple(SpanEvent(event.name, event.time_unix_nano, _attributes(event.attributes)) for event in span.events),
        links=tuple(Link(link.trace_id.hex(), link.span_id.hex(), _attributes(link.attributes)) for link in span.links),
        status=SpanStatus(Code(span.status.code), span.status.message),
        resource=resource,
        scope=scope,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(one) for one in value.array_value.values)
    return getattr(value, str(kind))


class _Handler(BaseHTTPRequestHandler):
    """Answers a POST to the paths of OTLP."""

    received: Received
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read a request, keep it, and answer as a receiver does."""
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw
        received = self.received
        received.raw.append(raw)
        received.before()
        is_trace = self.path == "/v1/traces"
        status = int(received.status or (200 if self.path in ("/v1/traces", "/v1/metrics") else 404))  # type: ignore[arg-type]
        if status == 200:
            is_json = self.headers["content-type"] == "application/json"
            received.take(read_json(body.decode()) if is_json else _REQUESTS[is_trace].FromString(body), self.headers.items())
        else:
            received.refuse()
        answer = received.answer if received.answer is not None else _ANSWERS[is_trace]().SerializeToString()
        self.send_response(status, received.reason if received.status else None)
        self.send_header("content-type", received.content_type)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing: what arrived is in `received`."""


_REQUESTS: dict[bool, Any] = {True: ExportTraceServiceRequest, False: ExportMetricsServiceRequest}
_ANSWERS: dict[bool, Any] = {True: ExportTraceServiceResponse, False: ExportMetricsServiceResponse}


class _Server(ThreadingHTTPServer):
    """An HTTP server that takes a client which hangs up in the middle for what it is: one that is tested."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Leave it to the test to say what the client should have done."""


@contextmanager
def http_receiver(certificate: LeafCert | None = None, clients: CA | None = None) -> Iterator[Received]:
    """Receive OTLP over HTTP on a free port of the loopback; with a certificate over TLS, from known clients if so asked."""
    received = Received()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"received": received}))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            clients.configure_trust(context)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Service(TraceServiceServicer, MetricsServiceServicer):
    """Both services of OTLP, whose method has the same name."""

    def __init__(self, received: Received, answer: Any) -> None:
        self._received = received
        self._answer = answer

    def Export(self, request: object, context: grpc.ServicerContext) -> Any:  # noqa: N802  # the service's own name
        """Keep a request, and answer as a receiver does."""
        received = self._received
        received.before()
        if isinstance(received.status, grpc.StatusCode):
            context.abort(received.status, received.reason)
        received.take(request, ((str(key), str(value)) for key, value in context.invocation_metadata()))
        return self._answer.FromString(received.answer or b"")


_SERVICES: tuple[tuple[Any, Any], ...] = (  # generated code without types
    (add_TraceServiceServicer_to_server, ExportTraceServiceResponse),
    (add_MetricsServiceServicer_to_server, ExportMetricsServiceResponse),
)


@contextmanager
def grpc_receiver(certificate: LeafCert | None = None, clients: CA | None = None) -> Iterator[Received]:
    """Receive OTLP over gRPC on a free port of the loopback, which no other server may share."""
    received = Received()
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        for add, answer in _SERVICES:
            add(_Service(received, answer), server)
        if certificate is None:
            received.port = server.add_insecure_port("127.0.0.1:0")
        else:
            chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
            own = [(certificate.private_key_pem.bytes(), chain)]
            known = clients.cert_pem.bytes() if clients else None
            credentials = grpc.ssl_server_credentials(own, known, require_client_auth=clients is not None)
            received.port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield received
        finally:
            server.stop(None).wait()
