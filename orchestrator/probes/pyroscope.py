"""Finds out whether profiles arrive, and whether a root span carries the id of its profile."""

from __future__ import annotations

import gzip
import importlib
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from orchestrator.probes._collector import Collector
from orchestrator.probes._prelude import Result, failed, is_installed, passed, patient, require, run_probe
from orchestrator.probes._service import EXPORTING_SERVICE, ServiceFailed, run_exporting_service

PROFILE_ID = "pyroscope.profile.id"
WORK_S = 2


class Listener:
    """Takes profiles like a Pyroscope server and keeps their bytes."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.profiles: list[bytes] = []
        self.arrived = threading.Event()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                compressed = self.headers.get("Content-Encoding") == "gzip"
                listener.profiles.append(gzip.decompress(body) if compressed else body)
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Length", "0")
                self.end_headers()
                listener.arrived.set()

            def log_message(self, *_args: object) -> None:
                """Keep quiet: standard output is for the probe's one line."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{server.server_port}"


def probe() -> Result:
    """Profile some work, inside of a span where the packages for that are there."""
    require("pyroscope")
    listener = Listener()
    try:
        pyroscope = importlib.import_module("pyroscope")
    except (ImportError, OSError) as error:
        return failed(f"pyroscope cannot be loaded: {error}")
    pyroscope.configure(application_name="probe", server_address=listener.address)
    spans = is_installed("pyroscope.otel") and is_installed("opentelemetry.sdk")
    ids = work_in_spans() if spans else work()
    pyroscope.shutdown()  # sends what has been sampled so far, ten seconds early
    detail: dict[str, Any] = {
        "profile_arrived": listener.arrived.wait(patient(30)),
        "spans": "not installed",
    }
    if spans:
        detail["spans"] = {
            "root_has_profile_id": ids["root"] == ids["span"],
            "child_has_none": ids["child"] is None,
            "profile_names_the_span": any(ids["span"].encode() in profile for profile in listener.profiles),
        }
    if not detail["profile_arrived"]:
        return failed("no profile arrived at the server's address", **detail)
    if not spans:
        return passed("a profile arrived; there is nothing that ties profiles to spans in the image", **detail)
    if all(is_installed(module) for module in EXPORTING_SERVICE):
        try:
            detail["spans"]["service_root_has_profile_id"] = check_service(listener)
        except ServiceFailed as reason:
            return failed(str(reason), **detail)
    wrong = [what for what, good in detail["spans"].items() if not good]
    if wrong:
        return failed(f"spans and profiles do not fit: {', '.join(wrong)}", **detail)
    return passed("a profile arrived and the root span carries its id", **detail)


def work() -> dict[str, Any]:
    """Keep the processor busy: an idle process has no profile."""
    deadline = time.monotonic() + WORK_S
    while time.monotonic() < deadline:
        sum(range(1000))
    return {}


def work_in_spans() -> dict[str, Any]:
    """Work inside a root span and its child, and tell which profile ids they carry."""
    provider = importlib.import_module("opentelemetry.sdk.trace").TracerProvider()
    provider.add_span_processor(importlib.import_module("pyroscope.otel").PyroscopeSpanProcessor())
    tracer = provider.get_tracer("probe")
    with tracer.start_as_current_span("root") as root:
        work()
        with tracer.start_as_current_span("child") as child:
            pass
    return {
        "span": format(root.get_span_context().span_id, "016x"),
        "root": root.attributes.get(PROFILE_ID),
        "child": child.attributes.get(PROFILE_ID),
    }


def check_service(listener: Listener) -> bool:
    """Whether the root span of the image's own service carries a profile id when it is told where profiles go."""
    collector = Collector()

    def has_profile_id() -> bool:
        return any(span["attributes"].get(PROFILE_ID) == span["id"] for span in collector.spans if not span["parent"])

    with run_exporting_service(collector, PYROSCOPE_SERVER_ADDRESS=listener.address) as service:
        service.get("/call")
        return collector.wait(has_profile_id, patient(5))


if __name__ == "__main__":
    run_probe("pyroscope", probe)
