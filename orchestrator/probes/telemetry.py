"""Finds out whether the service's telemetry arrives: alone, under gunicorn workers, scraped by Prometheus."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from orchestrator.probes._collector import Collector
from orchestrator.probes._prelude import Result, failed, is_installed, passed, patient, require, run_probe
from orchestrator.probes._service import (
    EXPORTING_SERVICE,
    Service,
    ServiceFailed,
    run_exporting_service,
    scrape,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from orchestrator.probes._service import Service

RESOURCE = {
    "service.namespace": "matrix",
    "service.version": "1.2.3",
    "vcs.ref.head.revision": "abc123",
    "owner": "probe",
}
SERVER, CLIENT, ERROR = 2, 3, 2
WORKERS = 2
ARRIVAL_LIMIT_S = 10


def probe() -> Result:
    """Run the service once for each way of getting telemetry out of it."""
    require(*EXPORTING_SERVICE)
    rounds = {"own_command": check_own_command}
    if is_installed("gunicorn"):
        rounds["gunicorn"] = check_gunicorn
    if is_installed("opentelemetry.exporter.prometheus"):
        rounds["prometheus"] = check_prometheus
    detail: dict[str, Any] = {}
    try:
        for name, check in rounds.items():
            detail[name] = check()
    except ServiceFailed as reason:
        return failed(f"{name}: {reason}", **detail)
    missing = [f"{name}.{what}" for name, checks in detail.items() for what, good in checks.items() if good is False]
    if missing:
        return failed(f"did not arrive or fit: {', '.join(missing)}", **detail)
    return passed(f"telemetry arrives and fits together: {', '.join(detail)}", **detail)


def start(collector: Collector, **environ: str) -> AbstractContextManager[Service]:
    """Run the image's command, described by resource attributes of this probe beside its own."""
    inherited = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    attributes = [f"{key}={value}" for key, value in RESOURCE.items()]
    return run_exporting_service(
        collector,
        OTEL_RESOURCE_ATTRIBUTES=",".join(filter(None, [inherited, *attributes])),
        **environ,
    )


def check_own_command() -> dict[str, Any]:
    """One request that calls another, one that fails: what comes of them, each a yes or no."""
    collector = Collector()
    with start(collector) as service:
        status, headers, _ = service.get("/call")
        trace = headers.get("otel-trace-id") or ""
        error_status, error_headers, _ = service.get("/error")
        error_trace = error_headers.get("otel-trace-id") or ""
        collector.wait(lambda: all(judge(collector, trace, error_trace).values()), patient(ARRIVAL_LIMIT_S))
        answers = {"call_answers": status == 200, "error_answers": error_status == 500}  # noqa: PLR2004
        strangers = {"wrong_protocol": sorted(set(collector.strangers))} if collector.strangers else {}
        return {**answers, **judge(collector, trace, error_trace), **strangers}


def judge(collector: Collector, trace: str, error_trace: str) -> dict[str, bool]:
    """Judge what has arrived by now: the caller's span, the client's below it, the other route's below that."""
    spans = [span for span in collector.spans if span["trace"] == trace]
    root = [span for span in spans if span["kind"] == SERVER and not span["parent"]]
    client = [span for span in spans if span["kind"] == CLIENT and span["parent"] in {one["id"] for one in root}]
    inner = [span for span in spans if span["kind"] == SERVER and span["parent"] in {one["id"] for one in client}]
    errors = [span for span in collector.spans if span["trace"] == error_trace and span["status"] == ERROR]
    names = {metric["name"] for metric in collector.metrics}
    return {
        "header_is_the_trace": bool(re.fullmatch("[0-9a-f]{32}", trace) and trace.strip("0") and spans),
        "server_span": len(root) == 1,
        "client_span": len(client) == 1,
        "called_span": len(inner) == 1,
        "error_span": bool(errors),
        "log": any(log["trace"] == trace for log in collector.logs),
        "metrics": any(name.startswith("http.server.") for name in names),
        "system_metrics": any(name.startswith(("system.", "process.")) for name in names),
        "resource": bool(root) and all(root[0]["resource"].get(key) == value for key, value in RESOURCE.items()),
    }


def check_gunicorn() -> dict[str, Any]:
    """Every worker must send spans and go on sending metrics: threads that were started before the fork are gone."""
    collector = Collector()

    def workers(kept: list[dict[str, Any]], times: int) -> bool:
        found = [one["resource"].get("process.pid") for one in kept]
        return len({process for process in found if found.count(process) >= times}) == WORKERS

    def system() -> list[dict[str, Any]]:
        return [metric for metric in collector.metrics if metric["name"] == "process.cpu.utilization"]

    with start(collector, APP_SERVER="gunicorn", WEB_CONCURRENCY=str(WORKERS)) as service:
        # Which worker answers is the kernel's choice: ask until both have, but not for ever.
        for _ in range(20):
            service.get("/call")
            if collector.wait(lambda: workers(collector.spans, 1), 0.3):
                break
        return {
            "spans_of_every_worker": workers(collector.spans, 1),
            "metrics_of_every_worker_go_on": collector.wait(lambda: workers(system(), 2), patient(ARRIVAL_LIMIT_S)),
        }


def check_prometheus() -> dict[str, Any]:
    """Ask for the page that Prometheus scrapes: it must have the service's and the system's metrics."""
    with start(Collector(), OTEL_METRICS_EXPORTER="prometheus", OTEL_EXPORTER_PROMETHEUS_PORT="9464") as service:
        service.get("/call")
        page = scrape("http://127.0.0.1:9464/metrics")
    return {
        "metrics": "\nhttp_server_" in page,
        "system_metrics": "\nsystem_" in page or "\nprocess_" in page,
    }


if __name__ == "__main__":
    run_probe("telemetry", probe)
