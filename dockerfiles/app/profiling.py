"""Continuous profiling, when an address to send it to is given."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import TracerProvider


def start_profiling(environ: Mapping[str, str]) -> bool:
    """Send profiles to PYROSCOPE_SERVER_ADDRESS and put their ids on root spans; False without an address.

    The packages are imported here because only one dependency set has them. Without them an address is a mistake
    that stops the service instead of leaving its profiles out in silence.
    """
    address = environ.get("PYROSCOPE_SERVER_ADDRESS")
    if not address:
        return False
    pyroscope = importlib.import_module("pyroscope")
    pyroscope.configure(
        application_name=environ.get("OTEL_SERVICE_NAME", "matrix-app"),
        server_address=address,
    )
    # A provider of the SDK is there because the service is started through opentelemetry-instrument.
    provider = cast("TracerProvider", trace.get_tracer_provider())
    provider.add_span_processor(importlib.import_module("pyroscope.otel").PyroscopeSpanProcessor())
    return True
