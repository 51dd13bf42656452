"""Metrics out to a backend: real receivers get what the record says, within the one budget of a run."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.measure.metrics import make_metrics
from orchestrator.tracing.export import BUDGET_S, open_exporter
from tests.backends import never_answers, nothing_listens
from tests.integration.exporting import GRPC, HTTP, RECEIVERS, environment_of, fail
from tests.spans import make_trace
from tests.unit.records import make_record

if TYPE_CHECKING:
    from tests.receivers import Received

WANTED = {"METRICS_EXPORTER": "otlp"}


def points_of(received: Received) -> dict[str, Any]:
    """Give the data of each metric by its name."""
    (request,) = received.metrics
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    return {metric.name: metric for metric in metrics}


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_a_runs_metrics_arrive_as_the_record_has_them(protocol: str) -> None:
    """Names, units, values and attributes, over both protocols, beside the traces."""
    record = make_record()
    with RECEIVERS[protocol](None) as received:
        exporter = open_exporter(environment_of(received.port, protocol, SERVICE_NAME="nightly", **WANTED), fail)
        assert exporter is not None
        exporter.send(make_trace())
        exporter.send_metrics(record)
        assert exporter.close() is None
    assert len(received.spans) == 6
    found = points_of(received)
    assert {name: metric.unit for name, metric in found.items()} == {
        "matrix.cell.outcome": "1",
        "matrix.build.duration": "s",
        "matrix.build.steps": "{step}",
        "matrix.image.size": "By",
    }
    for metric in make_metrics(record):
        points = found[metric.name].histogram.data_points or found[metric.name].gauge.data_points
        assert len(points) == len(metric.points)
        got = {tuple(sorted((pair.key, pair.value.string_value) for pair in point.attributes)): point for point in points}
        for point in metric.points:
            arrived = got[tuple(sorted(point.attributes.items()))]
            if metric.name == "matrix.build.duration":
                assert (arrived.count, arrived.sum) == (len(point.values), pytest.approx(sum(point.values)))
            else:
                assert (arrived.as_int or arrived.as_double) == point.values[0]
    resource = {pair.key: pair.value.string_value for pair in received.metrics[0].resource_metrics[0].resource.attributes}
    assert resource["service.name"] == "nightly"
    assert resource["cicd.pipeline.run.id"] == record.id


def test_metrics_stay_here_unless_they_are_asked_for() -> None:
    """An endpoint alone is about traces."""
    with RECEIVERS[HTTP](None) as received:
        exporter = open_exporter(environment_of(received.port, HTTP), fail)
        assert exporter is not None
        exporter.send_metrics(make_record())
        assert exporter.close() is None
    assert received.metrics == []


def test_metrics_go_out_where_traces_do_not() -> None:
    """Each signal has its own switch and its own address."""
    with RECEIVERS[HTTP](None) as received:
        environment = {
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"http://127.0.0.1:{received.port}/v1/metrics",
        }
        exporter = open_exporter(environment, fail)
        assert exporter is not None
        exporter.send(make_trace())
        exporter.send_metrics(make_record())
        assert exporter.close() is None
    assert len(points_of(received)) == 4
    assert received.spans == []


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_both_signals_share_one_budget_and_one_sentence(protocol: str) -> None:
    """Two ways to the same silent backend cost no more than one, and the cause is said once."""
    with never_answers() as port:
        exporter = open_exporter(environment_of(port, protocol, **WANTED), fail)
        assert exporter is not None
        started = time.monotonic()
        exporter.send(make_trace())
        exporter.send_metrics(make_record())
        problem = exporter.close()
        assert time.monotonic() - started < BUDGET_S
        assert problem is not None
        what = "traces (6 of 6 spans) and metrics (1 of 1 reports)"
        assert problem.text.startswith(f"{what} have not arrived at http://127.0.0.1:{port}: it accepts")


def test_two_causes_are_both_said() -> None:
    """Where the signals go to different backends, each has its own reason."""
    with ExitStack() as stack:
        port, gone = stack.enter_context(RECEIVERS[HTTP](None)).port, stack.enter_context(nothing_listens())
        environment = environment_of(port, GRPC, **WANTED, EXPORTER_OTLP_METRICS_ENDPOINT=f"http://127.0.0.1:{gone}")
        exporter = open_exporter(environment, fail)
        assert exporter is not None
        exporter.send(make_trace())
        exporter.send_metrics(make_record())
        problem = exporter.close()
    assert problem is not None
    assert problem.lost == 7
    assert problem.text.count(" have not arrived at ") == 2
    assert "nothing listens there" in problem.text
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in problem.text
