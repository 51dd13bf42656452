"""A run's record as metrics: named, with units and attributes, before any format or protocol."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.tracing import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.record import Build, CellRecord, Image, RunRecord

PIPELINE = "cicd.pipeline.name"
SIZE_KIND = "matrix.image.size.kind"
SCENARIO = "matrix.build.scenario"  # of builds that were timed by themselves
BOUNDS_S = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class Shape(StrEnum):
    """How the values of a metric are to be read."""

    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Point(Struct, frozen=True):
    """What was measured for one set of attributes: one value, or each observation of a histogram."""

    attributes: Mapping[str, str]
    values: tuple[float, ...]


class Metric(Struct, frozen=True):
    """A metric; the unit is written as UCUM has it."""

    name: str
    unit: str
    help: str
    shape: Shape
    points: tuple[Point, ...]


def make_metrics(record: RunRecord) -> tuple[Metric, ...]:
    """Make the metrics of a run; what is unknown has no point, and none is 0 for it."""
    cells = [(cell, _attributes_of(record, cell)) for cell in record.cells]
    outcomes = [Point({**of, **_outcome(cell)}, (1,)) for cell, of in cells]
    built = [(cell.build, {**of, names.OUTCOME: str(cell.status)}) for cell, of in cells if cell.build]
    durations = [point for build, of in built for point in _durations_of(build, of)]
    sizes = [Point({**of, SIZE_KIND: kind}, (size,)) for cell, of in cells for kind, size in _sizes(cell.image)]
    steps = [Point({**of, names.STEP_OUTCOME: kind}, (count,)) for build, of in built for kind, count in _steps(build).items()]
    return (
        Metric("matrix.cell.outcome", "1", "How a cell ended; always 1.", Shape.GAUGE, tuple(outcomes)),
        Metric("matrix.build.duration", "s", "Wall time of a cell's build.", Shape.HISTOGRAM, tuple(durations)),
        Metric("matrix.build.steps", "{step}", "Dockerfile steps of a cell's build, by kind.", Shape.GAUGE, tuple(steps)),
        Metric("matrix.image.size", "By", "Size of a cell's image.", Shape.GAUGE, tuple(sizes)),
    )


def make_resource(record: RunRecord) -> dict[str, str]:
    """Say which run the metrics are of."""
    tool = {"service.version": record.environment.tool} if record.environment.tool else {}
    return {"service.name": names.SERVICE, **tool, "cicd.pipeline.run.id": record.id, PIPELINE: record.name}


def _attributes_of(record: RunRecord, cell: CellRecord) -> dict[str, str]:
    axes = {f"{names.AXIS}{axis}": value for axis, value in cell.axes.items()}
    return {PIPELINE: record.name, names.CELL_ID: cell.id, **axes}


def _durations_of(build: Build, of: Mapping[str, str]) -> Iterator[Point]:
    """Give the samples of each scenario in which a build was timed by itself, or else what it took beside others."""
    timed = [one for one in build.scenarios if one.samples_s]
    yield from (Point({**of, names.TIMING: "isolated", SCENARIO: one.name}, one.samples_s) for one in timed)
    if not timed:
        yield Point({**of, names.TIMING: "shared"}, (build.wall_s,))


def _outcome(cell: CellRecord) -> dict[str, str]:
    return {names.OUTCOME: str(cell.status), names.AS_EXPECTED: str(cell.as_expected).lower()}


def _sizes(image: Image | None) -> Iterator[tuple[str, int]]:
    if image is None:
        return
    compressed = "compressed_estimated" if image.compressed_estimated else "compressed"
    found = {compressed: image.compressed_bytes, "uncompressed": image.uncompressed_bytes, "over_base": image.over_base_bytes}
    found |= {"wasted": image.wasted_bytes, "unique": image.unique_bytes}
    yield from ((kind, size) for kind, size in found.items() if size is not None)


def _steps(build: Build) -> Counter[str]:
    return Counter(step.outcome for step in build.steps)
