"""The few figures of a run that a trend is made of, and whether the run is good enough to be held against."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.ending import exit_code_of
from orchestrator.errors import ExitCode
from orchestrator.judge.times import COLD, cold_median_of, noises_of
from orchestrator.model import Status
from orchestrator.record import Environment

if TYPE_CHECKING:
    from orchestrator.record import CellRecord, RunRecord


class CellFigures(Struct, frozen=True, omit_defaults=True):
    """What a trend needs of a cell: how it ended, its size, and its isolated time; and what it took, for whoever plans."""

    id: str
    axes: Mapping[str, str]
    status: Status
    as_expected: bool
    compressed_bytes: int | None = None
    compressed_estimated: bool = False
    uncompressed_bytes: int | None = None
    cold_s: float | None = None
    took_s: float | None = None  # its build as if it had been alone, and its checks


class RunFigures(Struct, frozen=True, omit_defaults=True):
    """What a trend needs of a run."""

    id: str
    name: str
    started_at: datetime
    axes: tuple[str, ...]
    finished: bool
    complete: bool
    exit_code: int
    environment: Environment
    cells: tuple[CellFigures, ...]
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    noise: float | None = None
    is_shard: bool = False

    @property
    def is_good(self) -> bool:
        """Tell whether growth may be held against it: all of the plan there, all as expected, no gate broken.

        A run that grew too much is not good, or the next night would be held
        against it and pass.
        """
        return self.finished and self.complete and not self.is_shard and self.exit_code == ExitCode.OK


def make_figures(record: RunRecord) -> RunFigures:
    """Take what a trend needs out of a run."""
    return RunFigures(
        id=record.id,
        name=record.name,
        started_at=record.started_at,
        axes=record.axes,
        finished=record.finished_at is not None,
        complete=record.complete,
        exit_code=int(exit_code_of(record)),
        environment=record.environment,
        cells=tuple(map(_make_cell, record.cells)),
        only=record.only,
        skip=record.skip,
        noise=None if any(cell.part for cell in record.cells) else noises_of(record).get(COLD),  # else of unlike machines
        is_shard=record.shard is not None,
    )


def _make_cell(cell: CellRecord) -> CellFigures:
    image = cell.image
    return CellFigures(
        id=cell.id,
        axes=cell.axes,
        status=cell.status,
        as_expected=cell.as_expected,
        compressed_bytes=image.compressed_bytes if image else None,
        compressed_estimated=image.compressed_estimated if image else False,
        uncompressed_bytes=image.uncompressed_bytes if image else None,
        cold_s=cold_median_of(cell),
        took_s=_took(cell),
    )


def _took(cell: CellRecord) -> float | None:
    if cell.build is None:
        return None
    checks = cell.smoke.checks if cell.smoke else ()
    return round((cell.build.alone_s or cell.build.wall_s) + sum(check.duration_s or 0.0 for check in checks), 3)
