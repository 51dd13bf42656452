"""Where `matrix preflight` was right, as a table: for every cell, or for those that say something."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from orchestrator.report.table import Table
from orchestrator.smoke.words import one_line
from orchestrator.units import UNKNOWN, count

if TYPE_CHECKING:
    from orchestrator.preflight.hindsight import Comparison
    from orchestrator.record import RunRecord

_HEADERS = ("cell", "foretold", "happened", "right", "why")


def make_foretold(record: RunRecord) -> Table | None:
    """Lay the comparison out, a row for each cell that had a forecast; None when no cell had one."""
    rows = tuple((*_columns(one), one_line("; ".join(one.why))) for one in _foretell(record))
    return Table(_HEADERS, rows) if rows else None


def render_foretold(record: RunRecord, width: int) -> list[str]:
    """Draw what a terminal has room for: the cells of which more was foretold than wheels, and the mistakes."""
    from tabulate import tabulate  # noqa: PLC0415  # only reports need it

    found = _foretell(record)
    if not found:
        return []
    from orchestrator.preflight.nouns import Outlook  # noqa: PLC0415  # as below

    known = [one for one in found if one.foretold != Outlook.UNKNOWN]
    telling = [one for one in known if one.right is False or one.foretold != Outlook.WHEELS]
    drawn = tabulate(map(_columns, telling), headers=_HEADERS[:-1], tablefmt="simple", disable_numparse=True).splitlines()
    if max(map(len, drawn), default=0) > width:
        lines = [f"{cell}: {foretold}; {happened}; right: {right}" for cell, foretold, happened, right in map(_columns, telling)]
        drawn = [part for line in lines for part in textwrap.wrap(line, max(width, 20), subsequent_indent="  ")]
    words = _sum_up(known) if known else f"nothing for {count(len(found), 'cell')}"
    summary = f"Foretold by matrix preflight: {words}{'; these say something:' if telling else '.'}"
    return [*textwrap.wrap(summary, max(width, 20), subsequent_indent="  "), *(drawn if telling else ())]


def _sum_up(known: list[Comparison]) -> str:
    """Count what was right of all that can be judged, which needs a build that came to its end."""
    judged = [one.right for one in known if one.right is not None]
    return f"right for {sum(judged)} of {count(len(judged), 'cell')}" if judged else "no build tells whether it was right"


def _foretell(record: RunRecord) -> tuple[Comparison, ...]:
    if all(cell.foretold is None for cell in record.cells):
        return ()
    from orchestrator.preflight.hindsight import foretell  # noqa: PLC0415  # most runs were not foretold

    return foretell(record)


def _columns(one: Comparison) -> tuple[str, str, str, str]:
    right = {True: "yes", False: "NO", None: UNKNOWN}[one.right]
    return one_line(one.cell), one_line(one.foretold), one.happened, right
