"""What matrix.yaml says of judging, as the nouns that a run stores."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.rules import (
    BYTES,
    COUNT,
    METRICS,
    OF_OUTCOMES,
    OUTCOME,
    SECONDS,
    SHARE,
    Choice,
    Claim,
    Limit,
    Preference,
    Rules,
)
from orchestrator.units import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.config import schema
    from orchestrator.rules import Where

_SHARE = re.compile(r"\d{1,6}(?:\.\d{1,6})?%")
_COUNT = re.compile(r"\d{1,9}")


def make_rules(file: schema.MatrixFile) -> Rules:
    """Give the claims, the rule of the decision and the limits of a matrix.yaml."""
    return Rules(
        claims=tuple(_make_claim(claim) for claim in file.claims),
        choice=_make_choice(file.decide) if file.decide else None,
        limits=tuple(_make_limit(budget) for budget in file.budgets),
    )


def _make_claim(claim: schema.Claim) -> Claim:
    metric = OUTCOME if claim.is_ in OF_OUTCOMES else claim.metric
    return Claim(
        say=claim.say,
        metric=metric,
        left=_make_where(claim.left),
        right=None if claim.right is None else _make_where(claim.right),
        relation=claim.is_,
        by_share=_share(claim.by),
        must=claim.must,
        value=None if claim.value is None else parse_value(claim.value, METRICS[metric]),
    )


def parse_value(text: str, unit: str) -> float:
    """Read a claimed figure in the words of its unit: 240MB, 90s, 50% or a plain number."""
    if unit == BYTES:
        return float(parse_size(text))
    if unit == SECONDS:
        return parse_duration(int(text) if text.isdecimal() else text)
    pattern, example = (_SHARE, "50%") if unit == SHARE else (_COUNT, "12")
    if not pattern.fullmatch(text):
        message = f"'{text}' is not a {unit}; write {example}"
        raise ValueError(message)
    return float(text) if unit == COUNT else float(text.removesuffix("%")) / 100


def _make_choice(decide: schema.Decide) -> Choice:
    prefer = tuple(Preference(preference.metric, preference.weight) for preference in decide.prefer)
    return Choice(decide.between, tuple(decide.require), prefer)


def _make_limit(budget: schema.Budget) -> Limit:
    growth = budget.growth
    return Limit(
        where=_make_where(budget.where),
        size_bytes=budget.size,
        build_time_s=budget.build_time,
        size_growth_share=_share(growth.size) if growth else None,
        build_time_growth_share=_share(growth.build_time) if growth else None,
        step=budget.step,
        step_max_s=budget.max,
        compiled=budget.compiled,
    )


def _make_where(where: Mapping[str, Sequence[str]]) -> Where:
    return {axis: tuple(values) for axis, values in where.items()}


def _share(percent: str | None) -> float | None:
    """Read 10% as 0.1."""
    return None if percent is None else float(percent.removesuffix("%")) / 100
