"""What matrix.yaml says of judging, as the nouns that a run stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.rules import Choice, Claim, Limit, Preference, Rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.config import schema
    from orchestrator.rules import Where


def make_rules(file: schema.MatrixFile) -> Rules:
    """Give the claims, the rule of the decision and the limits of a matrix.yaml."""
    return Rules(
        claims=tuple(_make_claim(claim) for claim in file.claims),
        choice=_make_choice(file.decide) if file.decide else None,
        limits=tuple(_make_limit(budget) for budget in file.budgets),
    )


def _make_claim(claim: schema.Claim) -> Claim:
    return Claim(
        claim.say, claim.metric, _make_where(claim.left), _make_where(claim.right), claim.is_, _share(claim.by), must=claim.must
    )


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
