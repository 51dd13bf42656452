"""A run as one page that needs no network: the table, and a section for each cell with all that is known of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.report.bars import UNITS, Chart, make_chart
from orchestrator.report.details import (
    about_build,
    about_image,
    about_inputs,
    about_packages,
    about_run,
    about_sizes,
    about_waste,
    cut,
    hundredths,
)
from orchestrator.report.evidence import EvidenceOf, no_evidence
from orchestrator.report.foretold import make_foretold
from orchestrator.report.judged import (
    claim_evidence,
    make_diagnosis,
    make_gates,
    make_groups,
    make_pairs,
    make_reasons,
    make_verdict,
    unexplained,
)
from orchestrator.report.links import make_trace_links
from orchestrator.report.pages import make_environment
from orchestrator.report.stacks import make_stacks
from orchestrator.report.table import make_notes, make_table, make_warnings, outcome_of
from orchestrator.units import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Template

    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.report.evidence import Log

_ROWS_OF_RUN = 60_000  # of all waterfalls together; a browser has to hold them
_ROWS_OF_CELL = (12, 400)  # at least, at most
_PACKAGES_OF_RUN = 100_000  # of all lists together, as above
_PACKAGES_OF_CELL = (10, 40)
_LONGEST_LIST = 500  # of a cell's steps, layers or checks, of a claim's pairs
_MOST_EVIDENCE = 50  # lines of a finding
_MOST_LINKS = 40  # to the cells that have the same finding
_SCRIPTS = ("table.js", "waterfall.js")
_STYLES = ("page.css", "parts.css", "waterfall.css")


class _Line(Struct, frozen=True):
    """One cell in the table: where its section is, and its texts."""

    anchor: str
    cell: CellRecord
    texts: tuple[str, ...]
    outcome: str
    kind: str
    trace: str | None


class _Section(Struct, frozen=True):
    """One cell with everything that is known of it."""

    line: _Line
    logs: tuple[Log, ...]
    chart: Chart | None
    problem: str | None
    most_packages: int


def render_html(record: RunRecord, evidence_of: EvidenceOf = no_evidence) -> str:
    """Write a run as a page; whatever texts it holds, they are shown and never obeyed."""
    table = make_table(record)
    links = make_trace_links(record)
    lines = [
        _Line(f"cell-{number}", cell, texts, outcome_of(cell), _kind_of(cell), link)
        for number, (cell, texts, link) in enumerate(zip(record.cells, table.rows, links, strict=True), 1)
    ]
    *notes, summary = make_notes(record)
    return _template().render(
        record=record,
        verdict=make_verdict(record),
        headers=[(name, table.is_figure(at)) for at, name in enumerate(table.headers)],
        lines=lines,
        anchors={id(line.cell): line.anchor for line in lines},
        stacks=make_stacks(record),
        claims=[(claim, claim_evidence(claim), make_pairs(claim)) for claim in record.claims],
        gates=make_gates(record),
        groups=make_groups(record),
        reasons=make_reasons(record),
        diagnosis=[(one, unexplained(record, one.cells)) for one in make_diagnosis(record)],
        sections=_make_sections(lines, evidence_of),
        has_traces=any(links),
        facts=about_run(record),
        foretold=make_foretold(record),
        warnings=make_warnings(record),
        notes=notes,
        summary=summary,
    )


def _kind_of(cell: CellRecord) -> str:
    """Tell how a cell is marked: as it should be, not so, or never built."""
    if cell.status.is_left_out:
        return "left-out"
    return "good" if cell.as_expected else "bad"


def _make_sections(lines: list[_Line], evidence_of: EvidenceOf) -> Iterator[_Section]:
    """Make one section after the other, so that the traces of a large run are never in memory together."""
    limit = _share(_ROWS_OF_RUN, len(lines), *_ROWS_OF_CELL)
    most_packages = _share(_PACKAGES_OF_RUN, len(lines), *_PACKAGES_OF_CELL)
    for line in lines:
        found = evidence_of(line.cell)
        chart = make_chart(found.waterfall, limit) if found.waterfall else None
        yield _Section(line, found.logs, chart, found.problem, most_packages)


def _share(rows: int, cells: int, least: int, most: int) -> int:
    """Give how many rows each cell may have, where all have so many together."""
    return min(max(rows // max(cells, 1), least), most)


@cache
def _template() -> Template:
    environment = make_environment(_STYLES, _SCRIPTS)
    environment.globals |= {
        "LONGEST_LIST": _LONGEST_LIST,
        "MOST_EVIDENCE": _MOST_EVIDENCE,
        "MOST_LINKS": _MOST_LINKS,
        "UNITS": UNITS,
        "about_build": about_build,
        "about_image": about_image,
        "about_inputs": about_inputs,
        "about_packages": about_packages,
        "about_sizes": about_sizes,
        "about_waste": about_waste,
        "id": id,
    }
    environment.filters |= {"cut": cut, "megabytes": megabytes, "s": hundredths}
    return environment.get_template("report.html")
