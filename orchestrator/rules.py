"""The nouns of a judgement to be made: claims, the rule by which a base is taken, and limits.

They are stored with a run, so that a stored run can be judged again without its matrix.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Metric = Literal[
    "size",
    "uncompressed",
    "base",
    "over_base",
    "unique",
    "wasted",
    "build_time",
    "cached",
    "code",
    "deps",
    "packages",
    "os_packages",
    "python_packages",
    "compiled",
    "vulnerabilities",
    "longest_step",
    "outcome",
]
Relation = Literal["smaller", "larger", "faster", "slower", "equal", "fails", "passes"]
Requirement = Literal["build", "smoke", "expected"]

BYTES, SECONDS, COUNT, SHARE, OUTCOME = "bytes", "s", "count", "share", "outcome"
METRICS: Mapping[str, str] = {  # what can be judged, and in which unit it is given
    **dict.fromkeys(("size", "uncompressed", "base", "over_base", "unique", "wasted"), BYTES),
    **dict.fromkeys(("build_time", "cached", "code", "deps"), SECONDS),
    **dict.fromkeys(("packages", "os_packages", "python_packages", "compiled", "vulnerabilities"), COUNT),
    "longest_step": SHARE,
    "outcome": OUTCOME,
}
OF_TIMES = ("faster", "slower")
OF_AMOUNTS = ("smaller", "larger")
OF_OUTCOMES = ("fails", "passes")

Where = Mapping[str, tuple[str, ...]]  # an axis to its values or globs; an axis that is not named does not matter


class Claim(Struct, frozen=True):
    """A statement put to the test: what lies left of `relation`, and what right of it: cells, a value, or nothing."""

    say: str
    metric: str
    left: Where
    right: Where | None  # none where each cell to the left is looked at by itself
    relation: str
    by_share: float | None = None
    must: bool = False
    value: float | None = None  # in the metric's unit; then there is nothing else to the right


class Preference(Struct, frozen=True):
    """A figure that decides, and how much it weighs."""

    metric: str
    weight: float = 1.0


class Choice(Struct, frozen=True):
    """The rule by which one value of an axis is taken."""

    between: str
    require: tuple[str, ...] = ()
    prefer: tuple[Preference, ...] = ()


class Limit(Struct, frozen=True):
    """A budget: the most that a figure of the cells in `where` may be, or may grow by."""

    where: Where
    size_bytes: int | None = None
    build_time_s: float | None = None
    size_growth_share: float | None = None
    build_time_growth_share: float | None = None
    step: str | None = None
    step_max_s: float | None = None
    compiled: int | None = None


class Rules(Struct, frozen=True):
    """All that a run is judged by."""

    claims: tuple[Claim, ...] = ()
    choice: Choice | None = None
    limits: tuple[Limit, ...] = ()
