"""Words on standard error, for as long as somebody holds the other end."""

from __future__ import annotations

import sys
from contextlib import suppress

from orchestrator.smoke.words import safe


def say(text: str) -> None:
    """Write and flush; a terminal that was closed, or a pipe that was left, must not end a run."""
    with suppress(OSError):
        sys.stderr.write(safe(text))
        sys.stderr.flush()
