"""The table for machines: CSV, and the record itself as JSON."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from orchestrator.pieces import cut_record
from orchestrator.report.table import SEVERITIES, make_table, outcome_of, smoke_of, was_scanned
from orchestrator.report.timing import CHANCE, timing_headers
from orchestrator.smoke.words import one_line
from orchestrator.units import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.record import Build, CellRecord, Image, RunRecord

_FORMULA = ("=", "+", "-", "@")
FIGURES = ("compressed_bytes", "compressed_estimated", "uncompressed_bytes", "over_base_bytes", "build_wall_s", "relative_size")
WORK = ("build_own_s", "build_shared_s", "build_alone_s")
INSIDE = ("wasted_bytes", "unique_bytes", "unique_compressed_bytes", "os_packages", "python_packages")
RANKED = ("relative_time", "relative_time_may_be_chance")
SCANNED = (*(f"vulnerabilities_{severity}" for severity in SEVERITIES), "vulnerability_scanner", "vulnerability_database")


def render_csv(record: RunRecord) -> str:
    """Write one line a cell, with exact figures; what is unknown is empty."""
    table = make_table(record)
    relative = table.headers.index("relative size")
    scanned = SCANNED if was_scanned(record) else ()
    headers = timing_headers(record)
    measured = [name for header in headers[:-1] for name in _names_of(header)]
    ranked = [table.headers.index(header) for header in headers[-1:]]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = [
        "cell",
        "outcome",
        *FIGURES,
        *WORK,
        *measured,
        *RANKED[: 2 * len(ranked)],
        *INSIDE,
        *scanned,
        "smoke",
        "reason",
        "diagnosis",
    ]
    axes = (f"axis_{axis}" if axis in names else axis for axis in record.axes)
    writer.writerow([*map(_inert_value, axes), *names])
    for cell, row in zip(record.cells, table.rows, strict=True):
        values = [cell.axes.get(axis, "") for axis in record.axes]
        figures = [
            *_figures(cell),
            row[relative].replace(UNKNOWN, ""),
            *_work(cell.build),
            *_measured(cell.build, measured),
            *(figure for place in ranked for figure in _ranked(row[place])),
            *_inside(cell.image),
            *_scanned(cell.image)[: len(scanned)],
        ]
        texts = [cell.id, outcome_of(cell), *figures, smoke_of(cell).replace(UNKNOWN, ""), row[-1], _codes(cell)]
        writer.writerow([_inert_value(text) for text in (*values, *texts)])
    return file.getvalue()


def _codes(cell: CellRecord) -> str:
    return " ".join(dict.fromkeys(finding.code for finding in cell.diagnosis))


def _figures(cell: CellRecord) -> list[str]:
    image = cell.image
    found = (
        [image.compressed_bytes, image.compressed_estimated, image.uncompressed_bytes, image.over_base_bytes]
        if image
        else [None] * 4
    )
    found.append(cell.build.wall_s if cell.build else None)  # type: ignore[arg-type]  # figures of any kind
    return ["" if figure is None else str(figure).lower() for figure in found]


def _work(build: Build | None) -> list[str]:
    found = [build.own_s, build.shared_s, build.alone_s] if build else [None] * len(WORK)
    return ["" if figure is None else str(figure) for figure in found]


def _names_of(header: str) -> tuple[str, str, str]:
    name = header.removesuffix(" s")
    return f"{name}_median_s", f"{name}_spread_s", f"{name}_samples"


def _measured(build: Build | None, names: list[str]) -> list[str]:
    """Give the figures of each scenario, in the order of their columns."""
    found: dict[str, str] = {}
    for one in build.scenarios if build else ():
        figures = (one.median_s, one.spread_s, len(one.samples_s))
        found |= {name: "" if figure is None else str(figure) for name, figure in zip(_names_of(one.name), figures, strict=True)}
    return [found.get(name, "") for name in names]


def _ranked(relative: str) -> tuple[str, str]:
    """Give a relative time as a number, and whether it was marked as one that may be chance."""
    return ("", "") if relative == UNKNOWN else (relative.removeprefix(CHANCE), str(relative.startswith(CHANCE)).lower())


def _inside(image: Image | None) -> list[str]:
    if image is None:
        return [""] * len(INSIDE)
    packages = image.packages
    counts = [len(packages.os), len(packages.python)] if packages else [None, None]
    found = [image.wasted_bytes, image.unique_bytes, image.unique_compressed_bytes, *counts]
    return ["" if figure is None else str(figure) for figure in found]


def _scanned(image: Image | None) -> list[str]:
    found = image.vulnerabilities if image else None
    if found is None:
        return [""] * len(SCANNED)
    return [*(str(getattr(found, severity)) for severity in SEVERITIES), found.scanner, found.database_built_at or ""]


def _inert_value(text: str) -> str:
    """Keep a spreadsheet from running what an image said."""
    line = one_line(text)
    return f"'{line}" if line.startswith(_FORMULA) else line


def render_json(record: RunRecord) -> Iterator[str]:
    """Write the record as run.json has it, piece by piece: that of a large run would be in memory several times."""
    yield from (piece.decode() for piece in cut_record(record))
    yield "\n"
