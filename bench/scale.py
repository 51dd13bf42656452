"""What a night of 10, 1,000 and 100,000 cells costs in time, bytes moved and bytes kept: computed from the bench's figures."""

from __future__ import annotations

from math import ceil
from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from tabulate import tabulate

from bench.fit import cpus_of, fit_model, jobs_on, samples_of
from bench.nouns import AFTER, BEFORE, EVIDENCE, IMAGES, IN_ENGINE, MATRIX, RECORD, UNIQUE, Case, Measured
from orchestrator.stored import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.simulate import Model

BEGIN, END = "<!-- scale:begin -->", "<!-- scale:end -->"
NIGHTS = ((10, 1), (1_000, 1), (1_000, 8), (100_000, 8), (100_000, 200))  # cells, machines

_MIB, _GB = 2**20, 1e9


class Kind(Struct, frozen=True):
    """Cells of one kind in one state: what a run of them costs, and from what that is known."""

    case: Case
    before_s: float
    after_s: float
    each_s: float  # of one more cell, with `--jobs` as it is
    model: Model | None  # None: each_s is what was measured, taken as the same for any number
    record_bytes: float
    evidence_bytes: float
    image_bytes: float
    unique_bytes: float

    def wall_s(self, cells: int, cpus: float) -> float:
        """Give the time of one machine for so many cells."""
        if self.model is None:
            return self.before_s + self.after_s + self.each_s * cells
        few = min(cells, _MANY)  # past that each further cell costs the same
        return self.model.wall_s(few, jobs=jobs_on(cpus), cpus=cpus) + self.each_s * (cells - few)


_MANY = 100


def make_kinds(measured: Measured) -> list[Kind]:
    """Make a kind of each case of ours that was measured with most cells."""
    largest: dict[tuple[str, str], Case] = {}
    for row in measured.rows:
        key = (row.case.project, row.case.state)
        is_ours = row.contender == MATRIX and row.case.driver == IN_ENGINE and row.case.state in ("cold", "unchanged")
        if is_ours and row.case.cells > largest.get(key, replace(row.case, cells=0)).cells:
            largest[key] = row.case
    return [_make_kind(measured, case) for case in largest.values()]


def _make_kind(measured: Measured, case: Case) -> Kind:
    samples = samples_of(measured, case, MATRIX)
    middle = sorted(samples, key=lambda cost: cost.wall_s)[len(samples) // 2]
    model = fit_model(measured, case.project, case.driver, case.state)
    before_s, after_s = (median(cost.parts[name][0] for cost in samples) for name in (BEFORE, AFTER))
    cpus = cpus_of(measured)
    each_s = (median(cost.wall_s for cost in samples) - before_s - after_s) / case.cells
    if model is not None:
        each_s = (
            model.wall_s(2 * _MANY, jobs=jobs_on(cpus), cpus=cpus) - model.wall_s(_MANY, jobs=jobs_on(cpus), cpus=cpus)
        ) / _MANY
    sizes = [middle.sizes.get(name, 0) / case.cells for name in (RECORD, EVIDENCE, IMAGES, UNIQUE)]
    return Kind(case, before_s, after_s, each_s, model, *sizes)


def render_scale(measured: Measured) -> str:
    """Write what was measured of each kind, and what follows from it for a night."""
    kinds = make_kinds(measured)
    if not kinds:
        return "Nothing of this has been measured."
    return "\n\n".join(
        ["### Measured, for one cell", _render_kinds(kinds), "### Computed, for a night", _render_nights(measured, kinds)]
    )


def _render_kinds(kinds: list[Kind]) -> str:
    rows = [
        (
            f"{kind.case.project}, {kind.case.state}",
            f"{kind.case.cells}",
            f"{kind.each_s:.2f} {'(fitted)' if kind.model else '(measured)'}",
            f"{kind.image_bytes / _MIB:.1f}",
            f"{kind.unique_bytes / _MIB:.1f}",
            f"{kind.record_bytes / 1024:.1f}",
            f"{kind.evidence_bytes / 1024:.1f}",
            f"{MAX_RECORD_BYTES / kind.record_bytes:,.0f}" if kind.record_bytes else "unknown",
        )
        for kind in kinds
    ]
    heads = (
        "cells",
        "of a run of",
        "s for one more",
        "image MiB",
        "of it in no other cell",
        "record KiB",
        "logs and traces KiB",
        "cells in the largest run.json",
    )
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True, colalign=("left",) + ("right",) * 7)


def _render_nights(measured: Measured, kinds: list[Kind]) -> str:
    rows = [row for kind in kinds for row in _nights(kind, cpus_of(measured))]
    heads = ("cells", "kind", "machines", "time", "machine hours", "moved GB", "kept GB")
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True, colalign=("right", "left") + ("right",) * 5)


def _nights(kind: Kind, cpus: float) -> Iterator[tuple[str, ...]]:
    for cells, machines in NIGHTS:
        part = ceil(cells / machines)
        wall_s = kind.wall_s(part, cpus)
        base_bytes = kind.image_bytes - kind.unique_bytes
        moved = machines * base_bytes + cells * kind.unique_bytes
        kept = cells * (kind.record_bytes + kind.evidence_bytes)
        yield (
            f"{cells:,}",
            f"{kind.case.project}, {kind.case.state}",
            f"{machines}",
            _duration(wall_s),
            f"{wall_s * machines / 3600:.1f}",
            f"{moved / _GB:.1f}",
            f"{kept / _GB:.2f}",
        )


def _duration(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004  # a minute
        return f"{seconds:.0f} s"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {left:02} s"  # noqa: PLR2004  # an hour
