"""The nouns of a forecast: where dependencies go, what is there for each, and what that means for a cell."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Verdict(StrEnum):
    """What an index has of a package for one target, the worst last."""

    NOT_WANTED = "not wanted"  # its marker leaves it out there
    PURE = "pure wheel"
    WHEEL = "wheel"
    BUILD = "build"  # from source, and nothing is compiled
    COMPILE = "compile"
    UNKNOWN = "unknown"
    NOTHING = "nothing"


class Outlook(StrEnum):
    """What is foretold of a cell's build."""

    WHEELS = "wheels only"
    BUILDS = "builds from source"
    LONG = "long build"
    LIKELY = "build-failed likely"
    FAILED = "build-failed"
    UNKNOWN = "unknown"


class Target(Struct, frozen=True):
    """What decides which wheels fit: the C library, the platform and the Python of a base."""

    libc: str | None
    platform: str
    python: str | None

    @property
    def lacks(self) -> str | None:
        """Say what is not known of it, and how to tell."""
        if self.libc is None:
            return "its C library is not known; set `libc: musl` or `libc: glibc` for the base"
        if self.python is None:
            return "its Python is not known; give an axis `python`, a build argument PYTHON_VERSION, or a base named python:X.Y…"
        return None

    @property
    def label(self) -> str:
        """Name it, short enough for the head of a column."""
        return f"{self.libc or '?'} {self.python or '?'} {self.platform.removeprefix('linux/')}"


class Judged(Struct, frozen=True):
    """What an index has of a package for a target, and how that was found out."""

    verdict: Verdict
    file: str | None = None
    needs: tuple[str, ...] = ()
    how: str | None = None


class Row(Struct, frozen=True):
    """A dependency of some requirements files, judged for every target that they are for."""

    label: str
    name: str
    version: str
    requirements: tuple[str, ...]
    judged: tuple[tuple[Target, Judged], ...]

    def on(self, target: Target) -> Judged | None:
        """Give the judgement for a target."""
        return next((judged for one, judged in self.judged if one == target), None)


FOREIGN = "it is not in pip's format"


class RequirementSet(Struct, frozen=True):
    """A requirements file: how its versions became known, and what was in the way."""

    path: str
    digest: str
    resolved_by: str  # uv | the file alone | nothing
    problem: str | None = None
    unread: tuple[str, ...] = ()  # what it asks for and no index can have, or nobody can read
    unanswered: bool = False  # the cache alone could be asked, and does not have it all


class CellForecast(Struct, frozen=True):
    """What is foretold of a cell, and why."""

    cell: str
    target: Target
    python_from: str | None
    requirements: str | None
    outlook: Outlook
    why: tuple[str, ...] = ()


class Preflight(Struct, frozen=True):
    """All that was found out before a run."""

    name: str
    at: str
    index: str
    targets: tuple[tuple[Target, tuple[str, ...]], ...]  # with the bases that share it, as people know them
    sets: tuple[RequirementSet, ...]
    rows: tuple[Row, ...]
    cells: tuple[CellForecast, ...]
    problem: str | None = None  # why the index could not be asked, where it could not
