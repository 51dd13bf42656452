"""A cell's record and a metric's name to a figure: how much, measured how, and whether it may be ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.judge.packages import find_compiled
from orchestrator.judge.times import floor_of, is_figure, is_from, medians_of
from orchestrator.model import Status
from orchestrator.rules import BYTES, COUNT, METRICS, OUTCOME, SECONDS, SHARE
from orchestrator.smoke.words import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.record import CellRecord, Image

FAILS, BUILT, PASSES = 0.0, 1.0, 2.0  # the values of an outcome: built only is one whose checks were not run
NOT_TRIED = (Status.EXCLUDED, Status.SKIPPED, Status.ERROR)  # how such a cell would have ended is not known


class Figure(Struct, frozen=True):
    """What is known of a cell by one metric; without a value, or without a rank, the note says why, behind the cell's name."""

    value: float | None
    unit: str
    how: str
    ranked: bool
    note: str | None = None
    estimated: bool = False
    part: str | None = None  # of a merged run, where its machines were unlike
    width: float = 0.0  # of a time: how far its samples lie apart, as a share of it


def figure_of(cell: CellRecord, metric: str) -> Figure:
    """Give a cell's figure by a metric, whatever became of the cell."""
    unit = METRICS.get(metric)
    if unit is None:
        return _unknown(COUNT, f"has no figure '{shorten(metric)}': matrix knows no such metric")
    if cell.status in NOT_TRIED or (unit != OUTCOME and cell.image is None):
        return _unknown(unit, describe_end(cell))
    if unit == OUTCOME:
        return _outcome_of(cell)
    if unit == SECONDS:
        return _time_of(cell, metric)
    return _share_of(cell) if unit == SHARE else _of_image(cell, metric, unit)


def describe_end(cell: CellRecord) -> str:
    """Say how a cell ended, and why it did not pass; the cell's name belongs in front."""
    words = {Status.EXCLUDED: "is excluded", Status.SKIPPED: "was skipped", Status.PASSED: "passed"}.get(cell.status)
    if words is None:
        words = f"ended in {cell.status}" + (", as expected" if cell.as_expected else "")
    words += "" if cell.as_expected else ", which was not expected"
    return f"{words}: {shorten(cell.reason)}" if cell.reason else words


def scenario_of(metric: str) -> str:
    """Name the scenario of `matrix run --measure` that a time comes from."""
    return "cold" if metric == "build_time" else metric


def _unknown(unit: str, why: str) -> Figure:
    return Figure(None, unit, "unknown", ranked=False, note=why)


def _outcome_of(cell: CellRecord) -> Figure:
    if cell.status is not Status.PASSED:
        return Figure(FAILS, OUTCOME, "status", ranked=True, note=describe_end(cell))
    if cell.smoke is None or cell.smoke.outcome != "passed":
        return Figure(BUILT, OUTCOME, "status", ranked=True, note="was built, and its checks were not run")
    return Figure(PASSES, OUTCOME, "status", ranked=True, note="passed")


def _time_of(cell: CellRecord, metric: str) -> Figure:
    """Give a median of isolated samples; wall times of builds that ran side by side are no figure to compare."""
    name = scenario_of(metric)
    value = medians_of(cell).get(name)
    if value is None:
        option = "" if name == "cold" else f" --scenario {name}"
        return _unknown(SECONDS, f"was not timed by itself: `matrix run --measure 5{option}` does that")
    how = "median of isolated builds"
    if not cell.as_expected:
        return Figure(value, SECONDS, how, ranked=False, note=f"{describe_end(cell)}; how fast it failed is nothing to compare")
    return Figure(value, SECONDS, how, ranked=True, part=cell.part, width=floor_of(0.0, name, cell) or 0.0)


def _share_of(cell: CellRecord) -> Figure:
    """Give the longest step's share of what all steps that ran took."""
    ran = [step for step in (cell.build.steps if cell.build else ()) if step.outcome != "cached"]
    times = [step.duration_s for step in ran if is_figure(step.duration_s)]
    if not sum(times) or all(map(is_from, ran)):  # to look for a base takes a moment also where it is there
        return _unknown(SHARE, "ran no step: all came from the cache")
    return Figure(max(times) / sum(times), SHARE, f"the longest of {len(times)} steps that ran", ranked=True)


def _of_image(cell: CellRecord, metric: str, unit: str) -> Figure:
    image = cell.image
    value = _READERS[metric](image) if image else None
    if image is None or not is_figure(value):
        return _unknown(unit, _WHY_NOT.get(metric, "has layers that could not be read"))
    note = None if cell.as_expected else describe_end(cell)
    is_estimate = metric == "size" and image.compressed_estimated
    how = "estimated by gzip" if is_estimate else "layers" if unit == BYTES else "package databases"
    if metric == "vulnerabilities" and image.vulnerabilities:
        how = f"{image.vulnerabilities.scanner}, database of {image.vulnerabilities.database_built_at or 'an unknown date'}"
    return Figure(value, unit, how, ranked=True, note=note, estimated=is_estimate)


def _base_of(image: Image) -> int | None:
    if image.uncompressed_bytes is None or image.over_base_bytes is None:
        return None
    return image.uncompressed_bytes - image.over_base_bytes


def _compiled_of(image: Image) -> int | None:
    """Count what was compiled; a package that may be one more makes the number unknown."""
    if image.packages is None:
        return None
    compiled, doubtful = find_compiled(image.packages)
    return None if doubtful else len(compiled)


def _vulnerabilities_of(image: Image) -> int | None:
    found = image.vulnerabilities
    return None if found is None else found.critical + found.high + found.medium + found.low + found.other


def _os_packages_of(image: Image) -> int | None:
    return None if image.packages is None else len(image.packages.os)


def _python_packages_of(image: Image) -> int | None:
    return None if image.packages is None else len(image.packages.python)


def _packages_of(image: Image) -> int | None:
    return None if image.packages is None else image.packages.count


_READERS: Mapping[str, Callable[[Image], int | None]] = {
    "size": lambda image: image.compressed_bytes,
    "uncompressed": lambda image: image.uncompressed_bytes,
    "base": _base_of,
    "over_base": lambda image: image.over_base_bytes,
    "unique": lambda image: image.unique_bytes,
    "wasted": lambda image: image.wasted_bytes,
    "packages": _packages_of,
    "os_packages": _os_packages_of,
    "python_packages": _python_packages_of,
    "compiled": _compiled_of,
    "vulnerabilities": _vulnerabilities_of,
}
_WHY_NOT = {
    "size": "has no known compressed size",
    "base": "has a base whose layers are not known",
    "over_base": "has a base whose layers are not known",
    "compiled": "has native packages of which it is not known whether they came ready-made",
    "vulnerabilities": "was looked at by no scanner; one is asked where `grype` or `trivy` is on the PATH",
}
