"""The comparison table: the one set of columns and roundings that every format shows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.merge import missing_shards
from orchestrator.model import Status
from orchestrator.report.timing import RELATIVE, make_timings, timing_headers, timing_notes
from orchestrator.smoke.words import one_line
from orchestrator.units import UNKNOWN, count, megabytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.record import CellRecord, Image, RunRecord


class Table(Struct, frozen=True):
    """Headers and rows of text, the same in every format; the first columns are axes, whose names are the user's."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    axes: int = 0

    def is_figure(self, column: int) -> bool:
        """Tell whether a column holds figures, which stand right and are sorted by size."""
        return column >= self.axes and _is_figure(self.headers[column])


MEASURES = (
    "compressed MB",
    "unpacked MB",
    "over base MB",
    "wasted MB",
    "unique MB",
    "packages",
    "build s",
    "alone s",
    "relative size",
)
_OTHER_FIGURES = (RELATIVE, "limit", "actual", "left figure", "right figure")
SEVERITIES = ("critical", "high", "medium", "low")  # columns only where a scanner was asked


def make_table(record: RunRecord) -> Table:
    """Lay a run out, a row for each cell in the order of the plan."""
    best = _smallest_of_groups(record)
    found = SEVERITIES if was_scanned(record) else ()
    rows = [
        _make_row(record, cell, best.get(_group_of(record, cell)), [*timing, *(_severities_of(cell.image) if found else ())])
        for cell, timing in zip(record.cells, make_timings(record), strict=True)
    ]
    headers = (*map(one_line, record.axes), "outcome", *MEASURES, *timing_headers(record), *found, "smoke", "reason")
    return Table(headers, tuple(rows), len(record.axes))


def _is_figure(header: str) -> bool:
    return header in MEASURES or header in SEVERITIES or header in _OTHER_FIGURES or header.endswith((" MB", " s"))


def was_scanned(record: RunRecord) -> bool:
    """Tell whether a scanner was asked about any of the images; without one there are no such columns, rather than zeros."""
    return any(cell.image and cell.image.vulnerabilities for cell in record.cells)


def _make_row(record: RunRecord, cell: CellRecord, best: int | None, asked_for: list[str]) -> tuple[str, ...]:
    image = cell.image
    mark = "~" if image and image.compressed_estimated else ""
    size = image.compressed_bytes if image else None
    return (
        *(one_line(cell.axes.get(axis, "")) for axis in record.axes),
        outcome_of(cell),
        mark + megabytes(size) if size is not None else UNKNOWN,
        megabytes(image.uncompressed_bytes if image else None),
        megabytes(image.over_base_bytes if image else None),
        megabytes(image.wasted_bytes if image else None),
        megabytes(image.unique_bytes if image else None),
        _count(image.packages.count if image and image.packages else None),
        seconds(cell.build.wall_s if cell.build else None),
        seconds(cell.build.alone_s if cell.build else None),
        f"{size / best:.2f}" if size and best and cell.as_expected else UNKNOWN,
        *asked_for,
        smoke_of(cell),
        _reason_of(cell),
    )


def _reason_of(cell: CellRecord) -> str:
    """Say why a cell ended as it did, and what matrix.yaml says of the end that it expects."""
    expected = f"expected {cell.expected}: {cell.expected_reason}" if cell.expected_reason else None
    return one_line("; ".join(filter(None, (cell.reason, expected))))


def seconds(time_s: float | None) -> str:
    """Write a time as the tables do."""
    return UNKNOWN if time_s is None else f"{time_s:.1f}"


def _severities_of(image: Image | None) -> list[str]:
    found = image.vulnerabilities if image else None
    return [_count(getattr(found, severity) if found else None) for severity in SEVERITIES]


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else str(number)


def outcome_of(cell: CellRecord) -> str:
    """Say how a cell ended, and whether that was expected when it is not plain."""
    if cell.as_expected and cell.expected is not Status.PASSED and cell.status is cell.expected:
        return cell.status if cell.status is Status.EXCLUDED else f"{cell.status} (expected)"
    return str(cell.status) if cell.as_expected or cell.status is not Status.PASSED else "passed (unexpected)"


def smoke_of(cell: CellRecord) -> str:
    """Say how many of a cell's checks passed."""
    if cell.smoke is None or not cell.smoke.checks:
        return UNKNOWN
    passed = sum(check.outcome == "passed" for check in cell.smoke.checks)
    return f"{passed}/{len(cell.smoke.checks)}"


def _group_of(record: RunRecord, cell: CellRecord) -> tuple[tuple[str, str], ...]:
    """Give what a cell has in common with those it is compared with: all axes but one."""
    return tuple((axis, value) for axis, value in cell.axes.items() if axis != record.compare)


def _smallest_of_groups(record: RunRecord) -> Mapping[tuple[tuple[str, str], ...], int]:
    best: dict[tuple[tuple[str, str], ...], int] = {}
    for cell in record.cells:
        size = cell.image.compressed_bytes if cell.image else None
        if size is not None and cell.as_expected:
            group = _group_of(record, cell)
            best[group] = min(size, best.get(group, size))
    return best


def make_heading(record: RunRecord) -> list[str]:
    """Say what was measured, on what, and what is not as it should be."""
    where = record.environment
    buildx = f"buildx {where.buildx or '?'}, driver {where.driver or '?'}"
    stored = f"{where.storage} image store" if where.storage else "image store unknown"
    tools = f"{where.product or 'Docker'} {where.docker or '?'}, {buildx}, {stored}"
    machine = f"{where.cpus or '?'} CPUs, {where.platform or '?'}, matrix {where.tool or '?'}"
    if where.endpoints:  # of other machines no more is known
        tools = f"{buildx} at {' and '.join(where.endpoints)}, BuildKit {where.buildkit or '?'}"
        machine = f"machine unknown, {where.platform or 'platform unknown'}, matrix {where.tool or '?'}"
    title = f"{record.name}, run {record.id}, {record.started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return [one_line(title), one_line(f"{tools}, {machine}"), *make_warnings(record)]


def make_warnings(record: RunRecord) -> list[str]:
    """Say what keeps a run from being taken at its word: bases that are not the real thing, cells that are not there."""
    lines = []
    if stand_ins := record.environment.stand_in_bases:
        lines.append(
            "STAND-IN BASES: these are not the real images; sizes and times say nothing about them: " + "; ".join(stand_ins)
        )
    if not record.complete:
        lines.append(f"INCOMPLETE: {_say_missing(record)}; cells without a result are not listed")
    if record.excerpt_of is not None:
        shown = f"{len(record.cells)} of the run's {record.excerpt_of} cells are shown"
        lines.append(f"EXCERPT: {shown}; claims, gates and the decision are those of the whole run")
    return [one_line(line) for line in lines]


def _say_missing(record: RunRecord) -> str:
    """Say what a run lacks, and how that came about."""
    stopped = [part.run for part in record.parts if part.interrupted or not part.complete]
    words = [f"shard {number} of {record.parts[0].shard.count} is missing" for number in missing_shards(record)]
    if stopped or not words:
        runs = f"run{'s' if len(stopped) > 1 else ''} {', '.join(stopped)}" if stopped else "the run"
        words.append(f"{runs} {'were' if len(stopped) > 1 else 'was'} interrupted or stopped early")
    return "; ".join(words)


def _scanner_notes(record: RunRecord) -> list[str]:
    """Say who counted vulnerabilities, and how old that knowledge is."""
    found = {(one.scanner, one.database_built_at) for cell in record.cells if cell.image and (one := cell.image.vulnerabilities)}
    return [
        one_line(f"Known vulnerabilities by {scanner}, database of {built_at or 'an unknown date'}.")
        for scanner, built_at in sorted(found, key=str)
    ]


def make_notes(record: RunRecord) -> list[str]:
    """Say how the figures were measured, and how the cells ended."""
    jobs = max((cell.build.jobs for cell in record.cells if cell.build), default=None)
    notes = []
    if jobs is not None:
        at_once = f"up to {jobs} builds at once, other cells tested beside" if jobs > 1 else "one build at a time"
        notes.append(
            f"Build times are wall times of {at_once}, with the builder's cache as it was "
            "(timing: shared): not a ranking. Alone: that time had no other cell run a step for it meanwhile; what was cached "
            "counts as cached."
        )
    notes += timing_notes(record)
    if any(cell.image and cell.image.compressed_estimated for cell in record.cells):
        notes.append("~ estimated: this image store keeps no compressed layers, so their gzip size was computed.")
    notes += _scanner_notes(record)
    if record.parts:
        runs = ", ".join(part.run for part in record.parts)
        unlike = any(cell.part for cell in record.cells)
        notes.append(
            one_line(f"Merged from {count(len(record.parts), 'run')} ({runs})")
            + (", whose machines or tools differ: times of two of them are not compared." if unlike else ".")
        )
    carried = Counter(cell.carried_from for cell in record.cells if cell.carried_from)
    notes += [
        f"{count(cells, 'cell')} {'is' if cells == 1 else 'are'} taken over from run {run}, figures and checks: "
        "nothing that they follow from has changed since."
        for run, cells in sorted(carried.items())
    ]
    judged = [cell for cell in record.cells if not cell.status.is_left_out]
    expected = sum(cell.as_expected for cell in judged)
    apart = [
        f"{cells} {status}"
        for status in (Status.EXCLUDED, Status.SKIPPED)
        if (cells := sum(cell.status is status for cell in record.cells))
    ]
    notes.append(f"{expected} of {count(len(judged), 'cell')} ended as expected" + (f", {', '.join(apart)}" if apart else "") + ".")
    return notes
