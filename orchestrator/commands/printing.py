"""Results to standard output or a file, everything else to standard error."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from orchestrator.errors import StoreError
from orchestrator.progress.say import Lasting, say

if TYPE_CHECKING:
    from pathlib import Path


def warn(text: str) -> None:
    """Say something on standard error."""
    say(f"matrix: {text}\n")


def terminal_width() -> int:
    """Give the terminal's width; a pipe or a file takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000


def may_colour(out: Path | None) -> bool:
    """Tell whether a result is for eyes that want colour: https://no-color.org."""
    return out is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def print_result(text: str, out: Path | None) -> None:
    """Print a result on standard output, or write it to a file; a reader that went away changes nothing of how a run ended."""
    if out is None:
        try:
            Lasting(sys.stdout).write(text)
        except OSError as error:
            message = f"standard output cannot be written: {error.strerror}"
            raise StoreError(message) from error
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{out} cannot be written: {error.strerror}"
        raise StoreError(message) from error
    say(f"wrote {out}\n")
