"""The beginning of a run's traces: whose child the run is, and what all its spans say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import __version__
from orchestrator.tracing.names import SERVICE
from orchestrator.tracing.trace import Clock, Trace, read_traceparent

if TYPE_CHECKING:
    from collections.abc import Mapping

_RESOURCE = {"service.name": SERVICE, "service.version": __version__}


def begin_trace(environment: Mapping[str, str]) -> Trace:
    """Begin the run's own trace, below the job that has started it if that says so by TRACEPARENT."""
    trace_id, parent_id = read_traceparent(environment.get("TRACEPARENT"))
    return Trace(Clock(), _RESOURCE, trace_id=trace_id, parent_id=parent_id)
