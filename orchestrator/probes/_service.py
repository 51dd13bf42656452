"""Starts the image's own command inside the container and talks to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from orchestrator.probes._prelude import ProbeError, is_installed, last_line, patient, probe_input

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from email.message import Message

    from orchestrator.probes._collector import Collector

START_LIMIT_S = 25
# What a service needs to be instrumented and to export; opentelemetry.proto comes with either OTLP exporter.
EXPORTING_SERVICE = (
    "opentelemetry.instrumentation.fastapi",
    "opentelemetry.distro",
    "opentelemetry.proto",
)
# What would win over the general variables, or asks for what the collector here has not: TLS.
_OF_ITS_OWN = re.compile(r"OTEL_EXPORTER_OTLP_(?:(?:TRACES|METRICS|LOGS)_.*|CERTIFICATE|CLIENT_.*|INSECURE)")


class ServiceFailed(Exception):  # noqa: N818
    """The image's own command did not come up, which is the image's failure."""


class Service:
    """The image's command as a running child process."""

    def __init__(self, process: subprocess.Popen[str], output: IO[str], address: str) -> None:
        """Know the process, the file that it writes to and where it answers."""
        self.process = process
        self.output = output
        self.address = address

    def get(self, path: str) -> tuple[int, Message, bytes]:
        """Ask for a page: status, headers and body; an error status is an answer too."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=patient(5)) as answer:  # noqa: S310 - loopback
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, answer.read()

    def wait_until_ready(self) -> None:
        """Wait until it answers; that it ends or takes too long is the image's failure."""
        deadline = time.monotonic() + patient(START_LIMIT_S)
        while time.monotonic() < deadline:
            try:
                self.get("/healthz")
            except OSError:
                pass  # nobody listens yet
            else:
                return
            try:
                # Waiting for its end paces the loop, and tells at once when there is nothing left to wait for.
                code = self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            self.output.seek(0)
            message = f"the image's command ended with {code}: {last_line(self.output.read())}"
            raise ServiceFailed(message)
        message = f"the image's command does not answer after {patient(START_LIMIT_S):.0f} seconds"
        raise ServiceFailed(message)


@contextmanager
def run_service(environ: dict[str, str]) -> Iterator[Service]:
    """Run the command that the runner names, with more environment; stop it and all that it started afterwards."""
    given = probe_input()
    if not given.get("command"):
        message = "the runner named no command of the image"
        raise ProbeError(message)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(  # noqa: S603 - the image's own command
            given["command"],
            env={**{name: value for name, value in os.environ.items() if not _OF_ITS_OWN.fullmatch(name)}, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        try:
            service = Service(process, output, f"http://127.0.0.1:{given.get('port', 8000)}")
            service.wait_until_ready()
            yield service
        finally:
            # At once: what is still to be exported does not matter any more.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def scrape(address: str) -> str:
    """Read a page of metrics."""
    with urllib.request.urlopen(address, timeout=patient(5)) as answer:  # noqa: S310 - loopback
        text: str = answer.read().decode()
        return text


def run_exporting_service(collector: Collector, **environ: str) -> AbstractContextManager[Service]:
    """Run the image's command with its exporters turned to the collector and quick to export."""
    has_grpc = is_installed("opentelemetry.exporter.otlp.proto.grpc")
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or ("grpc" if has_grpc else "http/protobuf")
    return run_service(
        {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.listen_grpc() if protocol == "grpc" else collector.listen_http(),
            "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel,process",  # the process id tells workers apart
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_TRACES_SAMPLER": "always_on",  # the image may be content with a share of its traces
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_BLRP_SCHEDULE_DELAY": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            **environ,
        }
    )
