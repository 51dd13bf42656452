"""Finds out whether telemetry leaves the image over OTLP/HTTP and arrives."""

from __future__ import annotations

from orchestrator.probes._otlp import probe_otlp
from orchestrator.probes._prelude import run_probe

if __name__ == "__main__":
    run_probe("otlp-http", lambda: probe_otlp("http/protobuf"))
