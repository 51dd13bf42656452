"""The figures of each stored run, kept beside its record, so that a thousand runs are read in a second.

`figures.json` follows from run.json alone and names the run.json that it was
made from by size and time. So it is made anew whenever that is another, goes
away with its run, and two processes that make it at once make the same.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.errors import StoreError, unreadable
from orchestrator.judge.kept import RunFigures, make_figures
from orchestrator.strict import dump_json, read_json

if TYPE_CHECKING:
    from os import stat_result

    from orchestrator.record import RunRecord
    from orchestrator.store import RunFolder

_FORMAT = 3  # another whenever the same run.json would give other figures
_NAME = "figures.json"
_MOST_BYTES = 64 * 1024**2


class _Kept(Struct, frozen=True):
    """Figures, and the run.json that they were made from."""

    format: int
    record_bytes: int
    record_mtime_ns: int
    figures: RunFigures


def load_figures(run: RunFolder) -> RunFigures:
    """Give a run's figures: those that are kept, or else made from its record and kept, where the folder may be written."""
    if run.leads_out(run.path / "run.json"):
        return make_figures(run.load())  # which says why not
    try:
        of = (run.path / "run.json").stat()
    except OSError as error:
        raise unreadable(run.path / "run.json", error) from error
    known = _load_kept(run, of)
    if known is not None:
        return known
    record = run.load()
    if record.finished_at is not None:
        with suppress(StoreError):
            _save(run, record, of)
    return make_figures(record)


def save_figures(run: RunFolder, record: RunRecord) -> None:
    """Keep the figures of a run whose record has just been written."""
    _save(run, record, (run.path / "run.json").stat())


def _save(run: RunFolder, record: RunRecord, of: stat_result) -> None:
    kept = _Kept(_FORMAT, of.st_size, of.st_mtime_ns, make_figures(record))
    run.save_text(_NAME, dump_json(kept).decode() + "\n")


def _load_kept(run: RunFolder, of: stat_result) -> RunFigures | None:
    """Read what is kept; what is damaged, or was made from another run.json, is as good as none."""
    path = run.path / _NAME
    try:
        if run.leads_out(path) or path.stat().st_size > _MOST_BYTES:
            return None
        kept = read_json(path.read_bytes(), _Kept)
    except (OSError, ValueError):
        return None
    is_current = (kept.format, kept.record_bytes, kept.record_mtime_ns) == (_FORMAT, of.st_size, of.st_mtime_ns)
    return kept.figures if is_current else None
