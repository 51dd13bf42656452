"""Links to a cell's trace in the UI that matrix.yaml names."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from orchestrator.tracing.spans import is_trace_id

if TYPE_CHECKING:
    from orchestrator.record import CellRecord, RunRecord

_KEPT = "!#$&'*+,/:;=?@[]~%"  # what means something in a URL; everything else is escaped, so no format has to


def make_trace_links(record: RunRecord) -> list[str | None]:
    """Give each cell's link; a stored run may come from anywhere, so what is no plain web address is no link."""
    template = record.traces_ui
    if template is None or not _is_web_address(template):
        return [None] * len(record.cells)
    return [_make_link(template, cell) for cell in record.cells]


def _make_link(template: str, cell: CellRecord) -> str | None:
    if cell.trace_id is None or not is_trace_id(cell.trace_id):
        return None
    return quote(template.replace("{trace_id}", cell.trace_id), safe=_KEPT)


def _is_web_address(template: str) -> bool:
    try:
        parts = urlsplit(template)
        template.encode()
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and template.isprintable()
