"""A run's metrics: in Prometheus' text format, read back by Prometheus' own parser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.measure.metrics import make_metrics
from orchestrator.model import Status
from orchestrator.record import Build, Scenario, Step
from orchestrator.report.prometheus import render_prometheus
from tests.unit.golden import assert_golden
from tests.unit.records import FORMULAS, HOSTILE, make_cell, make_hostile_record, make_record

if TYPE_CHECKING:
    from orchestrator.record import RunRecord

CELL = {
    "cicd_pipeline_name": "otel-python",
    "matrix_cell_id": "alpine-3.12",
    "matrix_axis_base": "alpine",
    "matrix_axis_python": "3.12",
}


def samples_of(record: RunRecord) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Read a run's metrics as Prometheus does; give the samples of each name."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(render_prometheus(record)):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_the_metrics_of_a_run_read_as_they_always_did() -> None:
    """Dashboards rest on these names, word for word."""
    assert_golden("report.prom", render_prometheus(make_record()))
    assert_golden("hostile.prom", render_prometheus(make_hostile_record()))


def test_prometheus_reads_what_the_record_says() -> None:
    """Every figure with its unit in the name and the axes as labels."""
    samples = samples_of(make_record())
    assert samples["matrix_image_size_bytes"][:3] == [
        (CELL | {"matrix_image_size_kind": "compressed"}, 20_000_000),
        (CELL | {"matrix_image_size_kind": "uncompressed"}, 60_000_000),
        (CELL | {"matrix_image_size_kind": "over_base"}, 20_000_000),
    ]
    assert ("compressed_estimated", 45_400_000) in [
        (labels["matrix_image_size_kind"], value) for labels, value in samples["matrix_image_size_bytes"]
    ]
    assert len(samples["matrix_cell_outcome"]) == 10
    outcome = {"matrix_cell_outcome": "passed", "matrix_cell_as_expected": "true"}
    assert samples["matrix_cell_outcome"][:1] == [(CELL | outcome, 1)]
    assert {labels["matrix_step_outcome"]: value for labels, value in samples["matrix_build_steps"]} == {"cached": 1, "executed": 1}
    timed = CELL | {"matrix_cell_outcome": "passed", "matrix_timing_mode": "isolated", "matrix_build_scenario": "cold"}
    shared = CELL | {"matrix_axis_base": "slim", "matrix_cell_id": "slim-3.12", "matrix_cell_outcome": "passed"}
    shared["matrix_timing_mode"] = "shared"
    assert samples["matrix_build_duration_seconds_count"][:2] == [(timed, 5), (shared, 1)]
    assert samples["target_info"][0][0]["cicd_pipeline_run_id"] == make_record().id


def test_a_histogram_counts_each_sample_in_all_buckets_above_it() -> None:
    """Repeated measurements are observations of one histogram; the last bucket holds all."""
    cold = Scenario("cold", (0.4, 3.0, 5.0, 9000.0), 4.0, None)
    build = Build("isolated", 1, 3.0, steps=(Step("x", None, "RUN x", None, 1.0, "joined"),), scenarios=(cold,))
    cell = replace(make_cell("slim", "3.12", Status.PASSED), build=build)
    samples = samples_of(replace(make_record(), cells=(cell,)))
    buckets = {labels["le"]: value for labels, value in samples["matrix_build_duration_seconds_bucket"]}
    assert [buckets[bound] for bound in ("0.5", "2.5", "5.0", "3600.0", "+Inf")] == [1, 1, 3, 3, 4]
    assert samples["matrix_build_steps"][0][0]["matrix_step_outcome"] == "joined"


def test_samples_of_each_scenario_are_told_apart() -> None:
    """Whatever the order of the options: a change of code is no build from nothing."""
    scenarios = (Scenario("code", (1.0, 2.0), 1.5, None), Scenario("cold", (30.0,), 30.0, None), Scenario("deps", (), None, None))
    build = Build("isolated", 1, 40.0, samples_s=(1.0, 2.0), scenarios=scenarios)
    cell = replace(make_cell("slim", "3.12", Status.PASSED), build=build)
    found = samples_of(replace(make_record(), cells=(cell,)))["matrix_build_duration_seconds_sum"]
    assert {(labels["matrix_timing_mode"], labels["matrix_build_scenario"]): value for labels, value in found} == {
        ("isolated", "code"): 3.0,
        ("isolated", "cold"): 30.0,
    }


def test_what_is_unknown_has_no_sample() -> None:
    """An image that was not measured is not one of 0 bytes."""
    record = make_record()
    known = sum(
        size is not None
        for cell in record.cells
        if cell.image
        for size in (
            cell.image.compressed_bytes,
            cell.image.uncompressed_bytes,
            cell.image.over_base_bytes,
            cell.image.wasted_bytes,
            cell.image.unique_bytes,
        )
    )
    assert len(samples_of(record)["matrix_image_size_bytes"]) == known
    assert {point.attributes["matrix.cell.id"] for metric in make_metrics(record) for point in metric.points} == {
        cell.id for cell in record.cells
    }


def test_hostile_texts_stay_labels_and_two_never_become_one() -> None:
    """Quotes, backslashes, line breaks and escape sequences of a stored run neither end a label nor hide a cell."""
    samples = samples_of(make_hostile_record())
    values = [labels["matrix_axis_base"] for labels, _ in samples["matrix_cell_outcome"]]
    assert len(values) == len(set(values)) == len(FORMULAS) + 1
    assert HOSTILE.split("\x1b", maxsplit=1)[0] in values[-1]
    odd = replace(make_cell('a"b', "c\\d", Status.PASSED), id="e}")
    assert samples_of(replace(make_record(), cells=(odd,)))["matrix_cell_outcome"][0][0] == {
        "cicd_pipeline_name": "otel-python",
        "matrix_axis_base": 'a"b',
        "matrix_axis_python": "c\\d",
        "matrix_cell_id": "e}",
        "matrix_cell_outcome": "passed",
        "matrix_cell_as_expected": "true",
    }


def test_axes_whose_names_become_one_label_share_it() -> None:
    """As OpenTelemetry has it, because a label that stands twice is no metric at all."""
    cell = replace(make_cell("x", "y", Status.PASSED), axes={"a-b": "1", "a_b": "2"})
    labels, _ = samples_of(replace(make_record(), cells=(cell,)))["matrix_cell_outcome"][0]
    assert labels["matrix_axis_a_b"] == "1;2"
