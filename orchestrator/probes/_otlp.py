"""Exports a span and a metric through the image's SDK and sees whether they arrive, and what a wrong port does."""

from __future__ import annotations

import importlib
import logging
import os
import time
from typing import Any
from urllib.parse import urlsplit

from orchestrator.probes._collector import GRPC_PORT, HTTP_PORT, Collector, listen_for_first_bytes
from orchestrator.probes._prelude import Result, failed, is_installed, passed, patient, require

_EXPORTERS = "opentelemetry.exporter.otlp.proto"
_OTHER_PORT = {"grpc": HTTP_PORT, "http/protobuf": GRPC_PORT}


def probe_otlp(protocol: str) -> Result:
    """Prove that a span and a metric arrive over this protocol, and show what happens when the port is the other's."""
    package = f"{_EXPORTERS}.{protocol.partition('/')[0]}"
    require("opentelemetry.sdk", package, "opentelemetry.proto")
    own_choice = "grpc" if is_installed(f"{_EXPORTERS}.grpc") else "http/protobuf"
    misdirected = find_misdirection(protocol, own_choice, dict(os.environ))
    if misdirected:
        return failed(misdirected)
    # What the exporters log about the wrong port is what this probe is for, and belongs on no terminal.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    collector = Collector()
    endpoint = collector.listen_grpc() if protocol == "grpc" else collector.listen_http()
    _export_both(package, endpoint)
    arrived = {
        "span": collector.wait(lambda: has("probe-span", collector.spans), patient(5)),
        "metric": collector.wait(lambda: has("probe.counter", collector.metrics), patient(5)),
    }
    detail = {"protocol": protocol, "arrived": arrived, "wrong_port": _send_to_wrong_port(package)}
    missing = [what for what, came in arrived.items() if not came]
    if missing:
        return failed(f"exported over {protocol}, never arrived: {', '.join(missing)}", **detail)
    return passed(f"a span and a metric arrived over {protocol}", **detail)


def has(name: str, kept: list[dict[str, Any]]) -> bool:
    """Whether something of this name has arrived."""
    return any(one["name"] == name for one in kept)


def find_misdirection(protocol: str, own_choice: str, environ: dict[str, str]) -> str | None:
    """Say so when the image's own settings send this protocol to the port where the other one is listened for."""
    chosen = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", own_choice)
    endpoint = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    if chosen == protocol and urlsplit(endpoint).port == _OTHER_PORT[protocol]:
        return f"{protocol} is sent to the wrong port: {endpoint} is where the other OTLP protocol is listened for"
    return None


def _make_exporter(package: str, signal: str, endpoint: str, timeout: int) -> Any:  # noqa: ANN401
    module, name, path = {
        "span": ("trace_exporter", "OTLPSpanExporter", "/v1/traces"),
        "metric": ("metric_exporter", "OTLPMetricExporter", "/v1/metrics"),
    }[signal]
    exporter = getattr(importlib.import_module(f"{package}.{module}"), name)
    if package.endswith("grpc"):
        return exporter(endpoint=endpoint, insecure=True, timeout=timeout)
    return exporter(endpoint=endpoint + path, timeout=timeout)


def _export_both(package: str, endpoint: str) -> None:
    trace = importlib.import_module("opentelemetry.sdk.trace")
    trace_export = importlib.import_module("opentelemetry.sdk.trace.export")
    metrics = importlib.import_module("opentelemetry.sdk.metrics")
    metrics_export = importlib.import_module("opentelemetry.sdk.metrics.export")
    tracers = trace.TracerProvider()
    tracers.add_span_processor(trace_export.BatchSpanProcessor(_make_exporter(package, "span", endpoint, round(patient(5)))))
    with tracers.get_tracer("probe").start_as_current_span("probe-span"):
        pass
    tracers.shutdown()  # exports first
    reader = metrics_export.PeriodicExportingMetricReader(_make_exporter(package, "metric", endpoint, round(patient(5))))
    meters = metrics.MeterProvider(metric_readers=[reader])
    meters.get_meter("probe").create_counter("probe.counter").add(1)
    meters.shutdown()


def _send_to_wrong_port(package: str) -> dict[str, Any]:
    """Tell what a port of the other protocol gets to see, and what the application is told about it."""
    trace = importlib.import_module("opentelemetry.sdk.trace")
    endpoint, wait_for_first_bytes = listen_for_first_bytes()
    span = trace.TracerProvider().get_tracer("probe").start_span("lost")
    span.end()
    started = time.monotonic()
    answer = _make_exporter(package, "span", endpoint, round(patient(1))).export([span])
    return {
        "received": wait_for_first_bytes(),
        "exporter_says": answer.name,
        "after_s": round(time.monotonic() - started, 1),
    }
