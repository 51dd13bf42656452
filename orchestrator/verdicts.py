"""The nouns of a judgement: causes, what became of claims, which value to take, and limits kept or broken."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import force_setattr


class Finding(Struct, frozen=True):
    """A cause, its evidence and what to do about it."""

    code: str
    title: str
    evidence: tuple[str, ...]
    remedy: str


class Pair(Struct, frozen=True):
    """Two cells that differ in nothing but a claim's two sides, and what they say of it."""

    left: str
    right: str  # empty where the claim is about one cell, or holds it against a value
    left_value: float | None = None
    right_value: float | None = None
    holds: bool | None = None  # unknown when a figure is missing, or their difference is within the noise
    why: str | None = None

    def __post_init__(self) -> None:
        """Take what was counted for a figure like any other."""
        _make_floats(self, "left_value", "right_value")


class Verdict(Struct, frozen=True):
    """What became of a claim: confirmed, refuted, mixed or unknown."""

    say: str
    verdict: str
    evidence: tuple[str, ...] = ()
    metric: str | None = None
    must: bool = False
    pairs: tuple[Pair, ...] = ()


class GroupDecision(Struct, frozen=True):
    """Which value to take where the other axes are as `axes` says; `front` is what nothing else beats in everything."""

    axes: Mapping[str, str]
    winner: str | None = None
    runner_up: str | None = None
    front: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    would_change: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Decision(Struct, frozen=True):
    """Which value to take, and why."""

    winner: str | None = None
    per_group: tuple[GroupDecision, ...] = ()
    why: tuple[str, ...] = ()
    runner_up: str | None = None
    noise: str | None = None
    between: str | None = None
    would_change: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Gate(Struct, frozen=True):
    """A limit and the figure that was held against it; `passed` is unknown where there was no figure."""

    gate: str
    cell: str | None
    limit: float | None
    actual: float | None
    passed: bool | None
    unit: str | None = None  # bytes, s, share, count
    reason: str | None = None

    def __post_init__(self) -> None:
        """Take what was counted for a figure like any other."""
        _make_floats(self, "limit", "actual")


def _make_floats(noun: Struct, *names: str) -> None:
    """Write each figure as it is read back, so that a record that was read and written again is the same to the byte."""
    for name in names:
        if (value := getattr(noun, name)) is not None:
            force_setattr(noun, name, float(value))
