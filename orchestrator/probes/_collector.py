"""An OpenTelemetry collector inside the container: OTLP over HTTP and over gRPC, in threads, kept in lists."""

from __future__ import annotations

import gzip
import importlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from orchestrator.probes._prelude import patient

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS = ("trace", "metrics", "logs")
HTTP2_PREFACE = b"PRI * HTTP/2"
HTTP_PORT, GRPC_PORT = 4318, 4317


class Collector:
    """Receives the three signals; `spans`, `metrics` and `logs` hold them as plain dictionaries."""

    def __init__(self) -> None:
        """Listen to nothing yet."""
        self.spans: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.strangers: list[str] = []
        self._changed = threading.Condition()

    def listen_http(self) -> str:
        """Take OTLP/HTTP on a free port and say its address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_HttpHandler,), {"collector": self}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    def listen_grpc(self) -> str:
        """Take OTLP/gRPC on a free port, with the image's own grpc, and say its address."""
        grpc = importlib.import_module("grpc")
        # Two servers would share a port in silence otherwise, and the signals with it.
        server = grpc.server(ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
        for signal in SIGNALS:
            request, response = _message(signal, "Request"), _message(signal, "Response")

            def export(message: Any, _context: object, signal: str = signal, response: Any = response) -> Any:  # noqa: ANN401
                self.take(signal, message)
                return response()

            method = grpc.unary_unary_rpc_method_handler(
                export,
                request_deserializer=request.FromString,
                response_serializer=response.SerializeToString,
            )
            service = f"opentelemetry.proto.collector.{signal}.v1.{signal.capitalize()}Service"
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self._grpc = server  # a server that nothing refers to stops
        return f"http://127.0.0.1:{port}"

    def take(self, signal: str, message: Any) -> None:  # noqa: ANN401 - generated classes
        """Keep what one export brought and wake whoever waits for it."""
        with self._changed:
            if signal == "trace":
                self.spans += _spans(message)
            elif signal == "metrics":
                self.metrics += _metrics(message)
            else:
                self.logs += _logs(message)
            self._changed.notify_all()

    def note_stranger(self, what: str) -> None:
        """Keep that something other than the protocol of this port came in."""
        with self._changed:
            self.strangers.append(what)
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until what has arrived fulfils a condition, which is asked after every arrival."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)


class _HttpHandler(BaseHTTPRequestHandler):
    collector: Collector
    raw_requestline: bytes  # the standard library's own, which its type stubs leave out

    def parse_request(self) -> bool:
        """Notice gRPC's first bytes, which an HTTP/1 server would answer with a bare error."""
        if self.raw_requestline.startswith(HTTP2_PREFACE):
            self.collector.note_stranger("gRPC")
            self.close_connection = True
            return False
        return super().parse_request()

    def do_POST(self) -> None:
        """Take one export."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        signal = {"/v1/traces": "trace", "/v1/metrics": "metrics", "/v1/logs": "logs"}.get(self.path)
        if signal:
            self.collector.take(signal, _message(signal, "Request").FromString(body))
        self.send_response(HTTPStatus.OK if signal else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Keep quiet: standard output is for the probe's one line."""


def listen_for_first_bytes() -> tuple[str, Callable[[], str]]:
    """Open a port that never answers; the second value waits for what is sent to it and names the protocol."""
    listener = socket.create_server(("127.0.0.1", 0))

    def read() -> str:
        listener.settimeout(patient(5))
        with listener:
            connection, _ = listener.accept()
        with connection:
            connection.settimeout(patient(5))
            first = connection.recv(64)
        if first.startswith(HTTP2_PREFACE):
            return "gRPC"
        return "OTLP over HTTP" if first.startswith(b"POST /v1/") else first.decode("latin-1")

    future = ThreadPoolExecutor(1).submit(read)
    return f"http://127.0.0.1:{listener.getsockname()[1]}", lambda: future.result(patient(6))


def _message(signal: str, kind: str) -> Any:  # noqa: ANN401
    module = importlib.import_module(f"opentelemetry.proto.collector.{signal}.v1.{signal}_service_pb2")
    return getattr(module, f"Export{signal.capitalize()}Service{kind}")


def _attributes(pairs: Any) -> dict[str, Any]:  # noqa: ANN401
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


def _spans(message: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [
        {
            "name": span.name,
            "kind": span.kind,
            "trace": span.trace_id.hex(),
            "id": span.span_id.hex(),
            "parent": span.parent_span_id.hex(),
            "status": span.status.code,
            "attributes": _attributes(span.attributes),
            "resource": _attributes(group.resource.attributes),
        }
        for group in message.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _metrics(message: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [
        {"name": metric.name, "resource": _attributes(group.resource.attributes)}
        for group in message.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
    ]


def _logs(message: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [
        {"trace": record.trace_id.hex(), "resource": _attributes(group.resource.attributes)}
        for group in message.resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    ]
