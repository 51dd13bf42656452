"""Which runs were begun with this cache folder: an engine may have those of other users and of other machines, too."""

from __future__ import annotations

from orchestrator.cached import Shelf
from orchestrator.names import is_run_id, spelled_run_id

_SHELF = Shelf("runs", b"matrix-run-1\n", max_bytes=1024**2, max_entry_bytes=100)  # some fifteen thousand runs


def remember_run(run: str) -> None:
    """Keep in mind that a run is ours, for when it is over."""
    _SHELF.save(run.lower(), run.encode())


def is_ours(run: str) -> bool:
    """Tell whether a run was begun with this cache folder, whose locks then say whether it lives."""
    return is_run_id(spelled_run_id(run)) and _SHELF.load(run.lower()) is not None
