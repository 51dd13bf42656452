"""Every reason for which matrix stops, each with its exit code."""

from __future__ import annotations

import difflib
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class ExitCode(IntEnum):
    """What the process tells its caller."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NOTHING_SELECTED = 3
    ENGINE = 4
    GATE = 5
    BUG = 70
    INTERRUPTED = 130


class MatrixError(Exception):
    """The program cannot go on, and the user can do something about it."""

    exit_code = ExitCode.USAGE


class UsageError(MatrixError):
    """A command line that asks for something that is not there."""


class ConfigError(MatrixError):
    """matrix.yaml says something that cannot be meant; holds all its errors."""

    def __init__(self, problems: Iterable[str]) -> None:
        """Keep the problems in the order in which the file has them."""
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class NothingSelectedError(MatrixError):
    """No cell is left after --only, --skip or --shard."""

    exit_code = ExitCode.NOTHING_SELECTED


class EngineError(MatrixError):
    """The engine, the builder or a registry is missing or broken."""

    exit_code = ExitCode.ENGINE


class BackendError(MatrixError):
    """A backend for traces did not take what it was sent."""

    exit_code = ExitCode.ENGINE


class StoreError(MatrixError):
    """The run folder cannot be written or read."""


class DiskFullError(StoreError):
    """No room is left where the run is kept."""

    exit_code = ExitCode.ENGINE


def unreadable(path: Path, error: OSError) -> StoreError:
    """Say which file cannot be read, and why."""
    return StoreError(f"{path} cannot be read: {error.strerror}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Name the nearest known word, as the end of a sentence, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
