"""The nouns of a judgement to be made: claims, the rule by which a base is taken, and limits.

They are stored with a run, so that a stored run can be judged again without its matrix.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Where = Mapping[str, tuple[str, ...]]  # an axis to its values or globs; an axis that is not named does not matter


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement put to the test: what lies left of `relation`, and what right of it."""

    say: str
    metric: str
    left: Where
    right: Where
    relation: str
    by_share: float | None = None
    must: bool = False


@dataclass(frozen=True, slots=True)
class Preference:
    """A figure that decides, and how much it weighs."""

    metric: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The rule by which one value of an axis is taken."""

    between: str
    require: tuple[str, ...] = ()
    prefer: tuple[Preference, ...] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget: the most that a figure of the cells in `where` may be, or may grow by."""

    where: Where
    size_bytes: int | None = None
    build_time_s: float | None = None
    size_growth_share: float | None = None
    build_time_growth_share: float | None = None
    step: str | None = None
    step_max_s: float | None = None
    compiled: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """All that a run is judged by."""

    claims: tuple[Claim, ...] = ()
    choice: Choice | None = None
    limits: tuple[Limit, ...] = ()
