"""What the schema cannot see in claims and decide: words that do not go together, sides that are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config.rules import parse_value
from orchestrator.plan.expand import matches
from orchestrator.plan.problem import Problem
from orchestrator.rules import METRICS, OF_AMOUNTS, OF_OUTCOMES, OF_TIMES, OUTCOME, SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.config.schema import Claim, Decide, MatrixFile
    from orchestrator.model import Cell, ExcludedCell, Plan

_TURNED = {"smaller": "faster", "larger": "slower", "faster": "smaller", "slower": "larger"}


def find_judging_problems(matrix: MatrixFile, plan: Plan) -> Iterator[Problem]:
    """Find claims that cannot be put to the test, and preferences that decide nothing."""
    for at, claim in enumerate(matrix.claims):
        sides = (("claims", at, "left"), ("claims", at, "right"))
        for key, words in _claim_problems(claim):
            yield Problem(("claims", at, *key), words, (*sides, ("claims", at, "metric"), ("claims", at, "value")))
        if claim.right is not None and (both := _find_both(claim, plan)):
            yield Problem(("claims", at, "right"), f"both sides name the cell {both}; a claim compares different cells", sides)
    if matrix.decide:
        yield from _decide_problems(matrix.decide)


def _claim_problems(claim: Claim) -> Iterator[tuple[tuple[str, ...], str]]:
    relation, unit = claim.is_, METRICS[claim.metric]
    if relation in OF_OUTCOMES:
        yield from _outcome_problems(claim)
        return
    if claim.right is None and claim.value is None:
        yield (), f"lacks what is to the right of '{relation}': cells as `right`, or a figure as `value`"
    if claim.right is not None and claim.value is not None:
        yield ("value",), "there are cells to the right already; write `right` or `value`"
    if unit == OUTCOME and relation != "equal":
        yield ("is",), f"'{relation}' says nothing about an outcome; write fails, passes or equal"
    elif (relation in OF_TIMES and unit != SECONDS) or (relation in OF_AMOUNTS and unit == SECONDS):
        kind = "a time" if unit == SECONDS else "no time"
        yield ("is",), f"'{relation}' does not go with {claim.metric}, which is {kind}; write {_TURNED[relation]}"
    if unit == OUTCOME and (claim.by is not None or claim.value is not None):
        yield ("by",) if claim.by else ("value",), "an outcome is no figure: nothing can be compared with it but an outcome"
    elif claim.value is not None:
        try:
            parse_value(claim.value, unit)
        except ValueError as error:
            yield ("value",), str(error)
    if relation in ("smaller", "faster") and claim.by and float(claim.by.removesuffix("%")) >= 100:  # noqa: PLR2004  # percent
        yield ("by",), f"nothing is {relation} by {claim.by}; write less than 100%"


def _outcome_problems(claim: Claim) -> Iterator[tuple[tuple[str, ...], str]]:
    """Find what `fails` and `passes` cannot take: they are about how cells end, and about nothing else."""
    if "metric" in claim.model_fields_set and METRICS[claim.metric] != OUTCOME:
        yield ("metric",), f"'{claim.is_}' is about the outcome, not {claim.metric}; leave the metric out"
    for key, given in (("by", claim.by), ("value", claim.value)):
        if given is not None:
            yield (key,), f"'{claim.is_}' takes no `{key}`: a cell passes or it does not"


def _find_both(claim: Claim, plan: Plan) -> str | None:
    right = claim.right or {}
    cells: tuple[Cell | ExcludedCell, ...] = (*plan.cells, *plan.excluded)
    return next((cell.id for cell in cells if matches(claim.left, cell.axes) and matches(right, cell.axes)), None)


def _decide_problems(decide: Decide) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, preference in enumerate(decide.prefer):
        if METRICS[preference.metric] == OUTCOME:
            words = "an outcome is no figure to weigh; `require: [smoke]` takes only cells that passed"
            yield Problem(("decide", "prefer", at, "metric"), words)
        if preference.metric in seen:
            yield Problem(("decide", "prefer", at, "metric"), f"'{preference.metric}' is there twice")
        seen.add(preference.metric)
