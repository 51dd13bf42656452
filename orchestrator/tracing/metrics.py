"""A run's metrics as OpenTelemetry's SDK has them, which is what its exporters take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource

from orchestrator.measure.metrics import BOUNDS_S, Shape, make_metrics, make_resource
from orchestrator.tracing.sdk_spans import with_users_resource

if TYPE_CHECKING:
    from orchestrator.record import RunRecord
    from orchestrator.tracing.spans import Attributes


def translate_metrics(record: RunRecord, resource: Attributes) -> MetricsData:
    """Record what a run measured in instruments of the SDK, and read them once."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(
        [reader], resource=Resource(dict(with_users_resource(make_resource(record), resource))), shutdown_on_exit=False
    )
    meter = provider.get_meter("matrix")
    for metric in make_metrics(record):
        if metric.shape is Shape.HISTOGRAM:
            put = meter.create_histogram(metric.name, metric.unit, metric.help, explicit_bucket_boundaries_advisory=BOUNDS_S).record
        else:
            put = meter.create_gauge(metric.name, metric.unit, metric.help).set
        for point in metric.points:
            for value in point.values:
                put(value, dict(point.attributes))
    data = reader.get_metrics_data()
    provider.shutdown()
    return data or MetricsData(resource_metrics=[])
