"""Which value to take: per group and overall, why, what comes second, what would change it and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.judge.candidates import find_groups
from orchestrator.judge.changes import find_figure_changes, find_weight_changes
from orchestrator.judge.contest import compare, factor, preferences_of, total, unbeaten
from orchestrator.judge.front import find_front
from orchestrator.judge.noise import render_noise
from orchestrator.judge.overall import judge_overall
from orchestrator.judge.words import join_words, render_amount, render_apart, render_difference, render_factor, render_share
from orchestrator.rules import METRICS
from orchestrator.verdicts import Decision, GroupDecision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.judge.candidates import Candidate, Group
    from orchestrator.judge.contest import Margin
    from orchestrator.record import RunRecord
    from orchestrator.rules import Choice, Preference


def decide(record: RunRecord) -> Decision | None:
    """Take a value by the run's own rule, if it has one."""
    choice = record.rules.choice if record.rules else None
    if choice is None:
        return None
    groups = find_groups(record, choice)
    per_group = tuple(_decide_group(record, choice, group) for group in groups)
    found = judge_overall(record, choice, groups, per_group)
    return Decision(
        winner=found.winner,
        per_group=per_group,
        why=found.why,
        runner_up=found.runner_up,
        noise=render_noise(record),
        between=choice.between,
        would_change=found.would_change,
        unknown=found.unknown,
    )


def _decide_group(record: RunRecord, choice: Choice, group: Group) -> GroupDecision:
    prefer = preferences_of(choice)

    def ahead(one: Candidate, other: Candidate) -> float | None:
        return total(compare(record, prefer, one, other))

    best = unbeaten(group.fit, ahead)
    winner = best[0] if len(best) == 1 else None
    next_best = unbeaten([one for one in group.fit if one is not winner], ahead) if winner else []
    second = next_best[0] if len(next_best) == 1 else None
    margins = compare(record, prefer, winner, second) if winner and second else ()
    return GroupDecision(
        axes=dict(group.place),
        winner=winner.value if winner else None,
        runner_up=second.value if second else None,
        front=find_front(record, group),
        why=(*_say_why(choice, group, best, next_best), *_say_margins(margins, winner, second), *_say_failed(group)),
        would_change=tuple(_say_changes(record, prefer, group, winner, second)),
        unknown=tuple(_say_unknown(prefer, group, margins)),
    )


def _say_why(choice: Choice, group: Group, best: Sequence[Candidate], next_best: Sequence[Candidate]) -> Iterator[str]:
    """Say in a sentence how the verdict came about."""
    wanted = join_words(choice.require) or "build"
    if not group.candidates:
        yield "Nothing was tried here."
    elif not best:
        yield f"No value of {choice.between} meets {wanted}."
    elif len(best) > 1:
        yield f"{join_words([one.value for one in best])} are level: no preferred figure tells them apart."
    elif len(group.fit) == 1:
        alone = "is the only one that was tried" if len(group.candidates) == 1 else f"is the only one that meets {wanted}"
        yield f"{best[0].value} {alone}: no figure had to decide."
    elif len(next_best) > 1:
        yield f"{best[0].value} is ahead of {join_words([one.value for one in next_best])}, which are level."


def _say_margins(margins: Sequence[Margin], first: Candidate | None, second: Candidate | None) -> Iterator[str]:
    """Quote the figures by which the first is ahead of the second."""
    if first is None or second is None:
        return
    times = render_factor(factor(margins))
    yield f"{first.value} is ahead of {second.value} by a factor of {times}, all preferred figures weighed."
    for margin in margins:
        if margin.ahead is None:
            continue
        one, other = (candidate.figures[margin.metric].value or 0.0 for candidate in (first, second))
        unit = METRICS[margin.metric]
        mine, theirs = render_apart(one, other, unit)
        words = f"{margin.metric}: {first.value} {mine}, {second.value} {theirs}: "
        chance = one != other and margin.ahead == 0
        words += (
            f"within the noise of {render_share(margin.floor)}, decides nothing" if chance else render_difference(one, other, unit)
        )
        yield f"{words} (weight {margin.weight:g})."


def _say_failed(group: Group) -> Iterator[str]:
    """Tell the story of those that cannot be taken."""
    for one in group.candidates:
        if one not in group.fit:
            size = one.figures["size"]
            known = f" Its size would be {render_amount(size.value, size.unit)}." if size.value is not None else ""
            yield f"{one.value} cannot be taken: {one.why.removesuffix('.')}.{known}"


def _say_changes(
    record: RunRecord, prefer: Sequence[Preference], group: Group, winner: Candidate | None, second: Candidate | None
) -> Iterator[str]:
    """Say what would turn the verdict: weights, figures, or a cell that did not pass."""
    if winner is None:
        return
    if second is not None:
        margins = compare(record, prefer, winner, second)
        yield from find_weight_changes(margins, second.value)
        yield from find_figure_changes(margins, winner, second)
    for one in group.candidates:
        if one not in group.fit and (total(compare(record, prefer, one, winner)) or 0.0) > 0:
            yield f"{one.value} would be taken if {one.cell.id} met what is required."


def _say_unknown(prefer: Sequence[Preference], group: Group, margins: Sequence[Margin]) -> Iterator[str]:
    """Say which figures the verdict had to do without, and which cells."""
    for preference in prefer:
        lacking = [one for one in group.fit if not one.figures[preference.metric].ranked]
        if len(lacking) == len(group.fit) > 0:
            yield f"{preference.metric} decided nothing: {lacking[0].cell.id} {lacking[0].figures[preference.metric].note}."
        else:
            yield from (f"{preference.metric}: {one.cell.id} {one.figures[preference.metric].note}." for one in lacking)
            undecided = [one.why for one in margins if one.metric == preference.metric and one.ahead is None]
            yield from (f"{preference.metric} decided nothing: {why}." for why in undecided if not lacking)
    for value, why in group.absent:
        yield f"{value} was not tried: {why}."
