"""Which runs were begun with this cache folder: an engine may have those of other users and of other machines, too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.cached import Shelf
from orchestrator.names import is_run_id, spelled_run_id, start_of_run

_SHELF = Shelf("runs", b"matrix-run-1\n", max_bytes=1024**2, max_entry_bytes=100)  # some fifteen thousand runs
_LONGEST = timedelta(days=1)  # that a run takes


def remember_run(run: str) -> None:
    """Keep in mind that a run is ours, for when it is over."""
    _SHELF.save(run.lower(), run.encode())


def can_tell(run: str) -> bool:
    """Say whether it is known here if a run lives: the locks of this cache folder tell of its own, and an old one is over."""
    name = spelled_run_id(run)
    if not is_run_id(name):
        return False
    return _SHELF.load(run.lower()) is not None or datetime.now(UTC) - start_of_run(name) > _LONGEST
