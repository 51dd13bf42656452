"""What integration tests run under: nothing of the caller's shell says where telemetry goes, and gRPC keeps quiet."""

from __future__ import annotations

import gc
import importlib
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it is first imported
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what the caller's shell says of OpenTelemetry and of proxies."""
    for name in tuple(os.environ):
        if name.startswith("OTEL_") or name.lower() in _PROXIES:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def exporters() -> None:
    """Import the exporters beforehand, as a run does while its cells are built: on a busy machine that takes seconds."""
    for transport in ("grpc", "http"):
        importlib.import_module(f"opentelemetry.exporter.otlp.proto.{transport}.trace_exporter")


@pytest.fixture
def collected() -> Iterator[None]:
    """Let go of all that a test has left, before the next one."""
    yield
    gc.collect()


@pytest.fixture(params=["grpc", "http/protobuf"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Give each protocol in turn."""
    return str(request.param)
