"""Gunicorn's settings: several uvicorn workers, each with telemetry of its own, set up after the fork."""

from __future__ import annotations

import importlib
import os
from typing import Any

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "uvicorn.workers.UvicornWorker"
# Workers prove that they live by touching a file: on a disk that can block, in memory it cannot.
worker_tmp_dir = "/dev/shm"  # noqa: S108


def on_starting(_server: Any) -> None:  # noqa: ANN401 - gunicorn has no types
    """Refuse what cannot work: each worker would open the one port that Prometheus scrapes."""
    if workers > 1 and os.environ.get("OTEL_METRICS_EXPORTER") == "prometheus":
        message = "OTEL_METRICS_EXPORTER=prometheus needs WEB_CONCURRENCY=1: workers cannot share the scraped port"
        raise ValueError(message)


def post_fork(_server: Any, _worker: Any) -> None:  # noqa: ANN401
    """Start telemetry in the worker: threads started before the fork would not exist here, and metrics would stop."""
    importlib.import_module("opentelemetry.instrumentation.auto_instrumentation").initialize()
