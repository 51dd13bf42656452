"""A run's metrics in Prometheus' text format, named as OpenTelemetry's rules translate them."""

from __future__ import annotations

import re
from math import fsum
from typing import TYPE_CHECKING

from orchestrator.measure.metrics import BOUNDS_S, Shape, make_metrics, make_resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.measure.metrics import Metric, Point
    from orchestrator.record import RunRecord

_UNITS = {"s": "_seconds", "By": "_bytes"}
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]+")
_LIVE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def render_prometheus(record: RunRecord) -> str:
    """Write the metrics of a run, for a textfile collector or a push gateway."""
    lines = ["# HELP target_info Which run this is; always 1.", "# TYPE target_info gauge"]
    lines.append(f"target_info{_render_labels(make_resource(record))} 1")
    for metric in make_metrics(record):
        name = _make_name(metric.name) + _UNITS.get(metric.unit, "")
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.shape}"]
        lines += [line for point in metric.points for line in _render_point(name, metric, point)]
    return "\n".join(lines) + "\n"


def _render_point(name: str, metric: Metric, point: Point) -> Iterator[str]:
    labels = point.attributes
    if metric.shape is Shape.GAUGE:
        yield f"{name}{_render_labels(labels)} {point.values[0]}"
        return
    for bound in BOUNDS_S:
        count = sum(value <= bound for value in point.values)
        yield f"{name}_bucket{_render_labels(labels, le=str(bound))} {count}"
    yield f"{name}_bucket{_render_labels(labels, le='+Inf')} {len(point.values)}"
    yield f"{name}_sum{_render_labels(labels)} {fsum(point.values)}"
    yield f"{name}_count{_render_labels(labels)} {len(point.values)}"


def _render_labels(attributes: Mapping[str, str], **more: str) -> str:
    """Write labels; attributes whose names become the same share one label, as OpenTelemetry has it."""
    labels: dict[str, str] = {}
    for key, value in (*sorted(attributes.items()), *more.items()):
        name = _make_name(key)
        labels[name] = f"{labels[name]};{value}" if name in labels else value
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _make_name(name: str) -> str:
    return _NOT_IN_A_NAME.sub("_", name)


def _escape(value: str) -> str:
    """Quote a label's value; what a terminal would obey is spelled out, so that two values do not become one."""
    inert = _LIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    return inert.replace("\\", "\\\\").replace('"', '\\"')
