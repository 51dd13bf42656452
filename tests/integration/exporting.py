"""Exporting traces to receivers on the loopback, as a run does it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator.tracing.export import open_exporter
from tests.receivers import Received, grpc_receiver, http_receiver
from tests.spans import make_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from orchestrator.tracing.export import Problem

    Receiver = Callable[..., AbstractContextManager[Received]]

GRPC, HTTP = "grpc", "http/protobuf"
RECEIVERS: dict[str, Receiver] = {GRPC: grpc_receiver, HTTP: http_receiver}
CANARY = "canary-8f3a71"
REFUSED = "nothing listens there (connection refused)"


def fail(text: str) -> None:
    """Take a warning where there must be none."""
    raise AssertionError(text)


def environment_of(port: int, protocol: str, scheme: str = "http", **more: str) -> dict[str, str]:
    """Give the variables that lead to a port of the loopback."""
    leads = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    return leads | {f"OTEL_{name}": value for name, value in more.items()}


def export_one(environment: Mapping[str, str]) -> tuple[Problem | None, float]:
    """Do what a run does, with one trace; give the problem and all the time that it took."""
    started = time.monotonic()
    exporter = open_exporter(environment, fail)
    assert exporter is not None
    exporter.send(make_trace())
    problem = exporter.close()
    return problem, time.monotonic() - started
