"""Jaeger on this machine, to look at traces with: started, found again, stopped, and the address of a run in it."""

from __future__ import annotations

import os
import re
import sys
import webbrowser
from typing import TYPE_CHECKING

from orchestrator.docker import process
from orchestrator.docker.engine import connect
from orchestrator.errors import EngineError, StoreError, UsageError
from orchestrator.model import LABEL
from orchestrator.tracing.otlp import NotATraceError, load_lines
from orchestrator.tracing.spans import is_trace_id

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "docker.io/jaegertracing/jaeger:2.17.0"
NAME = "matrix-jaeger"
UI = "http://127.0.0.1:16686/trace/{trace_id}"
_PORTS = (4317, 4318, 16686)  # OTLP over gRPC, OTLP over HTTP, the UI
_MARK = f"{LABEL}.jaeger"  # not the label of a run's containers: `matrix clean` leaves it alone
_PULL_S = 600.0
_ANSWER_S = 60.0
_MAX_TRACE = 256 * 1024**2


def start_jaeger(image: str = IMAGE) -> str:
    """Start Jaeger with its ports on the loopback only, or find that it runs; say which, and how to use it."""
    docker = connect().docker
    use = "UI at http://127.0.0.1:16686; send traces with OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"
    state = _state(docker)
    if state == "running":
        return f"Jaeger already runs ({NAME}); {use}"
    if state is not None:
        _must(process.run([docker, "rm", "--force", NAME], timeout_s=_ANSWER_S), "what was left of Jaeger could not be removed")
    ports = [word for port in _PORTS for word in ("--publish", f"127.0.0.1:{port}:{port}")]
    argv = [docker, "run", "--detach", "--name", NAME, "--label", f"{_MARK}=yes", *ports, image]
    started = process.run(argv, timeout_s=_PULL_S)
    if not started.ok:
        if _state(docker) is not None:  # a port that is taken leaves a container that never started
            process.run([docker, "rm", "--force", NAME], timeout_s=_ANSWER_S)
        raise EngineError(_explain(started, image))
    return f"started Jaeger ({NAME}); {use}"


def stop_jaeger() -> str:
    """Stop and remove the Jaeger that was started here."""
    docker = connect().docker
    if _state(docker) is None:
        return "Jaeger does not run here"
    _must(process.run([docker, "rm", "--force", NAME], timeout_s=_ANSWER_S), "Jaeger could not be stopped")
    return f"stopped Jaeger ({NAME}); the traces that it held are gone"


def ui_address(trace: Path, template: str | None) -> str:
    """Give the address at which a run's trace can be looked at."""
    try:
        if trace.stat().st_size > _MAX_TRACE:
            message = f"{trace} is too large to be the trace of a run"
            raise StoreError(message)
        spans = load_lines(trace.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{trace} cannot be read: {error.strerror}; only runs of a version that traces have one"
        raise StoreError(message) from error
    except (NotATraceError, UnicodeDecodeError) as error:
        message = f"{trace} is damaged: {error}"
        raise StoreError(message) from error
    known = {span.span_id for span in spans}
    root = next((span for span in spans if span.parent_id not in known), None)
    if root is None or not is_trace_id(root.trace_id):
        message = f"{trace} holds no root span with a trace id"
        raise StoreError(message)
    address = (template or UI).replace("{trace_id}", root.trace_id)
    if not address.startswith(("http://", "https://")):
        message = f"traces.ui is no http:// or https:// address: {address}"
        raise UsageError(message)
    return address


def open_address(address: str) -> bool:
    """Open an address where somebody sits at a terminal with a browser; say whether that was so."""
    has_desktop = sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return has_desktop and sys.stderr.isatty() and webbrowser.open(address)


def _state(docker: str) -> str | None:
    """Give the state of our container, or None when there is none; one of that name that is not ours is left alone."""
    words = f'{{{{.State.Status}}}} {{{{index .Config.Labels "{_MARK}"}}}}'
    answer = process.run([docker, "container", "inspect", "--format", words, NAME], timeout_s=_ANSWER_S)
    if not answer.ok:
        return None
    state, _, mark = answer.stdout.strip().partition(" ")
    if mark != "yes":
        message = f"there is a container {NAME} that matrix did not make; remove or rename it"
        raise EngineError(message)
    return state


def _must(answer: process.Output, what: str) -> None:
    if not answer.ok:
        message = f"{what}: {_last_words(answer)}"
        raise EngineError(message)


def _explain(started: process.Output, image: str) -> str:
    """Say why Jaeger did not start and what to do about it."""
    words = _last_words(started)
    if started.exit.timed_out:
        return f"Jaeger did not start within {_PULL_S:.0f} s: is {image} still being pulled?"
    if re.search(r"port is already allocated|address already in use", started.stderr):
        return f"a port of Jaeger ({', '.join(map(str, _PORTS))}) is taken, perhaps by another Jaeger or a collector: {words}"
    if re.search(r"manifest unknown|pull access denied|not found|no such host|dial tcp|TLS|timeout|EOF|denied", started.stderr):
        return f"the image {image} cannot be pulled: {words}; another one is named with --image (make jaeger ARGS='--image REF')"
    return f"Jaeger did not start: {words}"


def _last_words(answer: process.Output) -> str:
    lines = [line.strip() for line in answer.stderr.splitlines() if line.strip() and not line.startswith("See 'docker")]
    said = [line for line in lines if not line.startswith("Run 'docker")]
    return said[-1] if said else "no reason given"
