"""Results to standard output or a file, everything else to standard error."""

from __future__ import annotations

import os
import shutil
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from orchestrator.disk import disk_errors, write_result
from orchestrator.progress.say import Lasting, say
from orchestrator.smoke.words import inert, safe_pieces

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write_anything() -> None:
    """Let standard output take every character: files and pipes get UTF-8, a terminal of another kind a mark for what it lacks."""
    if isinstance(sys.stdout, TextIOWrapper):
        encoding = None if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="replace")


def tell(text: str) -> None:
    """Write lines to standard error; whatever file, log or image their words came from, a terminal is not rewritten."""
    say(f"{inert(text)}\n")


def warn(text: str) -> None:
    """Say something on standard error."""
    tell(f"matrix: {text}")


def terminal_width() -> int:
    """Give the terminal's width; a pipe or a file takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000


def may_colour(out: Path | None) -> bool:
    """Tell whether a result is for eyes that want colour: https://no-color.org."""
    return out is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def print_result(text: str, out: Path | None) -> None:
    """Print a result on standard output, or write it to a file; a reader that went away changes nothing of how a run ended."""
    print_pieces((text,), out)


def print_pieces(pieces: Iterable[str], out: Path | None) -> None:
    """Print a result that comes in pieces, or write it to a file."""
    if out is None:
        with disk_errors("standard output"):
            for piece in safe_pieces(pieces):
                Lasting(sys.stdout).write(piece)
        return
    write_result(out, (piece.encode(errors="replace") for piece in pieces))
    say(f"wrote {out}\n")
