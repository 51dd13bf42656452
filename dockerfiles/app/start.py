"""The image's command: starts the service with whatever of the dependency set is installed."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def is_installed(module: str) -> bool:
    """Whether a module can be found; a missing parent package means no."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def make_command(environ: Mapping[str, str], has: Callable[[str], bool]) -> list[str]:
    """Make the command line: gunicorn if APP_SERVER asks for it, otherwise uvicorn or the standard library."""
    if environ.get("APP_SERVER") == "gunicorn":
        # Not under opentelemetry-instrument: exporter threads do not survive the fork, the configuration starts them
        # in each worker.
        return [find_program("gunicorn"), "--config", "python:app.gunicorn_conf", "app.main:app"]
    port = environ.get("PORT", "8000")
    if has("fastapi") and has("uvicorn"):
        # By its own name, not `python -m uvicorn`: the click instrumentation knows servers by that name, and puts all
        # requests into one endless trace otherwise.
        server = [find_program("uvicorn"), "app.main:app", "--host", "0.0.0.0", "--port", port]  # noqa: S104
    else:
        server = [sys.executable, "-m", "app.plain"]
    return [find_program("opentelemetry-instrument"), *server] if has("opentelemetry.distro") else server


def find_program(name: str) -> str:
    """Name the path of a program that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def make_environment(environ: Mapping[str, str], has: Callable[[str], bool]) -> dict[str, str]:
    """Make the service's environment: defaults that fit what is installed and a container's network."""
    defaults = {
        # The distribution's own default is gRPC, which fails where only the HTTP exporter is installed.
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc" if has("opentelemetry.exporter.otlp.proto.grpc") else "http/protobuf",
        "OTEL_SERVICE_NAME": "matrix-app",
        # The exporter's own default is localhost, which nobody outside the container can scrape.
        "OTEL_EXPORTER_PROMETHEUS_HOST": "0.0.0.0",  # noqa: S104
    }
    if not has("opentelemetry.exporter.otlp"):
        defaults |= dict.fromkeys(("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "none")
    return defaults | dict(environ)


def main() -> None:
    """Become the service, so that it is process 1 and gets the container's signals."""
    command = make_command(os.environ, is_installed)
    os.execve(command[0], command, make_environment(os.environ, is_installed))  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
