"""What a size and a time are made of: base, packages, app and waste; pull, compile, install and the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf, isfinite
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.measure.heredocs import is_cut
from orchestrator.measure.image import base_layers_of, total
from orchestrator.measure.installing import find_install
from orchestrator.measure.periods import covered_s, without
from orchestrator.measure.shared import period_of
from orchestrator.report.table import Table, seconds
from orchestrator.smoke.words import one_line
from orchestrator.units import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.measure.periods import Period
    from orchestrator.record import Build, CellRecord, Image, RunRecord, Step

UNTOLD = "not told apart"
SIZES = ("base", "packages", "app", "waste")
TIMES = ("pull", "compile", "install", "rest")
SIZE_NOTE = (
    "Unpacked MB. Base: the layers of the base image. Of the layers above it, packages: files that a package of the system or "
    "of Python owns; waste: what a later layer hides; app: all else. Not told apart: what this run's record does not tell."
)
TIME_NOTE = (
    "Seconds of the build's wall time. Compile and install: steps that install packages, which this cell ran or waited for; "
    "steps side by side count once. Pull: what went on besides. Rest: all else. Not told apart: what the record does not tell."
)
_LONGEST_AGO = datetime.min.replace(tzinfo=UTC)


class Stacked(Struct, frozen=True):
    """A figure of a cell and its parts, in a fixed order; what the known ones leave is untold."""

    cell: CellRecord
    parts: tuple[float | None, ...]
    whole: float

    @property
    def untold(self) -> float:
        """Give what no part accounts for."""
        return max(0.0, self.whole - sum(part or 0 for part in self.parts))


def stack_sizes(record: RunRecord) -> tuple[Stacked, ...]:
    """Take the unpacked size of each image apart, as far as its layers tell."""
    return tuple(
        Stacked(cell, _parts_of_size(cell.image, whole), whole)
        for cell in record.cells
        if cell.image and (whole := cell.image.uncompressed_bytes) is not None
    )


def _parts_of_size(image: Image, whole: int) -> tuple[int | None, ...]:
    over = image.over_base_bytes
    if over is None or not 0 <= over <= whole:
        return None, None, None, None
    base = whole - over
    height = base_layers_of(image)
    if height is None:
        return base, None, None, None
    packages = total([layer.package_bytes for layer in image.layers[height:]])
    waste = total([layer.wasted_bytes for layer in image.layers[height:]])
    if packages is None or waste is None or packages + waste > over:
        return base, None, None, waste if waste is not None and waste <= over else None
    return base, packages, over - packages - waste, waste


def stack_times(record: RunRecord) -> tuple[Stacked, ...]:
    """Take the wall time of each build apart, as far as its steps and packages tell."""
    built = [(cell, cell.build) for cell in record.cells if cell.build and isfinite(cell.build.wall_s)]
    return tuple(Stacked(cell, _parts_of_time(cell, build), max(0.0, build.wall_s)) for cell, build in built)


def _parts_of_time(cell: CellRecord, build: Build) -> tuple[float | None, ...]:
    wall = max(0.0, build.wall_s)
    pull = None if build.pull_s is None else min(max(0.0, build.pull_s), wall)
    if not build.steps or any(step.outcome != "cached" and is_cut(step) for step in build.steps):
        return pull, None, None, None
    installs = _periods_of(build, lambda step: find_install(step.instruction) is not None)
    installing = min(covered_s(installs), wall)
    compiling = _compiling_s(cell.image) if installing else 0.0
    compiling = None if compiling is None else min(compiling, installing)
    if pull is None:
        return None, compiling, None if compiling is None else installing - compiling, None
    pull = min(pull, _besides_s(build, installs), wall - installing)
    return pull, compiling, None if compiling is None else installing - compiling, wall - installing - pull


def _periods_of(build: Build, is_meant: Callable[[Step], bool]) -> list[Period]:
    """Give when steps ran of a kind, be it here or in the cell that was waited for, as far as that was within this build."""
    began = build.started_at or _LONGEST_AGO
    ran = [period for step in build.steps if step.outcome != "cached" and is_meant(step) and (period := period_of(step))]
    return [(max(first, began), last) for first, last in ran if last > began]


def _besides_s(build: Build, installs: Sequence[Period]) -> float:
    """Give the time that bases may have been fetched in while nothing was installed; without limit where no step tells."""
    fetches = _periods_of(build, lambda step: step.instruction.startswith("FROM "))
    return covered_s(without(fetches, installs)) if fetches else inf


def _compiling_s(image: Image | None) -> float | None:
    """Add up what packages took to be compiled; unknown where one was and nobody timed it."""
    if image is None or image.packages is None:
        return None
    known = [package.compile_s for package in image.packages.python if package.built_from == "sdist"]
    return None if any(one is None or not isfinite(one) for one in known) else sum(max(0.0, one or 0.0) for one in known)


def make_size_table(stacked: Sequence[Stacked]) -> Table:
    """Lay sizes out with the table's rounding."""
    return _make_table(stacked, SIZES, "MB", "unpacked MB", lambda size: megabytes(None if size is None else int(size)))


def make_time_table(stacked: Sequence[Stacked]) -> Table:
    """Lay times out with the table's rounding."""
    return _make_table(stacked, TIMES, "s", "build s", seconds)


def _make_table(
    stacked: Sequence[Stacked], parts: Sequence[str], unit: str, whole: str, write: Callable[[float | None], str]
) -> Table:
    is_untold = any(write(one.untold) != write(0) for one in stacked)

    def texts(one: Stacked) -> Iterator[str]:
        yield one_line(one.cell.id)
        yield from (write(part) for part in one.parts)
        if is_untold:
            yield write(one.untold)
        yield write(one.whole)

    headers = ("cell", *(f"{part} {unit}" for part in parts), *((f"{UNTOLD} {unit}",) if is_untold else ()), whole)
    return Table(headers, tuple(tuple(texts(one)) for one in stacked))
