"""Which progress a run shows."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.progress.lines import GithubProgress, JsonProgress, PlainProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.events import Event

KINDS = ("auto", "plain", "json", "none")


@contextmanager
def open_progress(kind: str) -> Iterator[Callable[[Event], None]]:
    """Give what shows events: a live table on a terminal, lines elsewhere."""
    if kind == "none":
        yield lambda _event: None
    elif kind == "json":
        yield JsonProgress()
    elif os.environ.get("GITHUB_ACTIONS") == "true":
        yield GithubProgress()
    elif kind == "auto" and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from orchestrator.progress.live import live_progress  # noqa: PLC0415  # rich is for terminals only

        with live_progress() as show:
            yield show
    else:
        yield PlainProgress()
