"""The front page of a site: the latest verdict, each cell's trend, and a line for each stored run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping  # noqa: TC003  # read when a site's state is
from datetime import UTC
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.model import Status
from orchestrator.report.judged import make_verdict
from orchestrator.report.pages import make_environment
from orchestrator.report.table import make_warnings
from orchestrator.report.trendlines import HEIGHT
from orchestrator.units import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template

    from orchestrator.record import RunRecord
    from orchestrator.report.trendlines import Trends

_STYLES = ("page.css", "parts.css", "trends.css")


class RunLine(Struct, frozen=True):
    """What the front page says of a run; kept beside the page, so that an unchanged run need not be read again."""

    id: str
    name: str
    started: str
    verdict: str
    winner: str | None
    warnings: tuple[str, ...]
    judged: int
    as_expected: int
    outcomes: Mapping[str, int]
    gates_failed: int | None  # unknown where there was no gate
    files: tuple[str, ...]  # that lie beside the run's page


class LeftOut(Struct, frozen=True):
    """A run that cannot be shown, and why."""

    id: str
    why: str


def make_line(record: RunRecord, files: Sequence[str]) -> RunLine:
    """Say of a run what fits in a line."""
    judged = [cell for cell in record.cells if not cell.status.is_left_out]
    counts = Counter(cell.status for cell in record.cells)
    return RunLine(
        id=record.id,
        name=record.name,
        started=f"{record.started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        verdict=make_verdict(record),
        winner=record.decision.winner if record.decision else None,
        warnings=tuple(make_warnings(record)),
        judged=len(judged),
        as_expected=sum(cell.as_expected for cell in judged),
        outcomes={str(status): counts[status] for status in Status if counts[status]},
        gates_failed=sum(gate.passed is False for gate in record.gates) if record.gates else None,
        files=tuple(files),
    )


def render_overview(lines: Sequence[RunLine], left_out: Sequence[LeftOut], older: int, trends: Trends | None = None) -> str:
    """Write the front page; the newest run comes first. `older` runs are stored as well, and too many to show."""
    newest = sorted(lines, key=lambda line: line.id, reverse=True)
    have = {line.id for line in lines}
    return _template().render(
        latest=newest[0] if newest else None, lines=newest, left_out=left_out, older=older, trends=trends, have=have
    )


@cache
def _template() -> Template:
    environment = make_environment(_STYLES, ())
    environment.globals |= {"HEIGHT": HEIGHT, "UNKNOWN": UNKNOWN}
    return environment.get_template("site.html")
