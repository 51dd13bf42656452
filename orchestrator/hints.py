"""What to type after a command that is named to somebody, so that it finds what this one has found."""

from __future__ import annotations

import shlex
from pathlib import Path

DEFAULT_FILE = Path("matrix.yaml")


def repeat_options(file: Path, reports: Path | None = None) -> str:
    """Give the options with which a command that is printed finds what this one has found, where they are not the usual ones."""
    words = [*(["-f", str(file)] if file != DEFAULT_FILE else []), *(["--reports", str(reports)] if reports else [])]
    return "".join(f" {shlex.quote(word)}" for word in words)
