"""What integration tests run under: nothing of the caller's shell says where telemetry goes, and gRPC keeps quiet."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it is first imported
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what the caller's shell says of OpenTelemetry and of proxies."""
    for name in tuple(os.environ):
        if name.startswith("OTEL_") or name.lower() in _PROXIES:
            monkeypatch.delenv(name)
