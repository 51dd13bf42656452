"""The verdict over all groups: only a value that meets what is required wherever values can be compared is taken."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.judge.candidates import Fit
from orchestrator.judge.changes import find_average_changes, find_weight_changes
from orchestrator.judge.contest import added_to, average, compare, factor, preferences_of, total, unbeaten
from orchestrator.judge.words import join_places, join_some, join_words, render_amount, render_factor, render_place, write_apart
from orchestrator.rules import METRICS
from orchestrator.units import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.judge.candidates import Candidate, Group
    from orchestrator.judge.contest import Margin
    from orchestrator.record import RunRecord
    from orchestrator.rules import Choice
    from orchestrator.verdicts import GroupDecision

_MOST_NAMED = 6
_MOST_QUOTED = 3


class Overall(Struct, frozen=True):
    """What is decided over all groups."""

    winner: str | None
    runner_up: str | None
    why: tuple[str, ...]
    would_change: tuple[str, ...]
    unknown: tuple[str, ...]


class _Field(Struct, frozen=True):
    """The groups that count, and in which of them each value can, or cannot, be taken."""

    record: RunRecord
    choice: Choice
    groups: tuple[Group, ...]
    values: tuple[str, ...]
    by_value: tuple[dict[str, Candidate], ...]

    def obstacles(self, value: str) -> list[str]:
        """Say where a value does not meet what is required, and why."""
        found = []
        for group, candidates in zip(self.groups, self.by_value, strict=True):
            one = candidates.get(value)
            if one is None:
                found.append(f"it was not tried in {render_place(group.place)}")
            elif one.fit is not Fit.MEETS:
                found.append(one.why)
        return found

    def span(self, metric: str, value: str) -> tuple[float, float]:
        """Give the least and the most that a value's cells have by a metric."""
        found = [candidates[value].figures[metric] for candidates in self.by_value if value in candidates]
        known = [figure.value for figure in found if figure.value is not None]
        return min(known), max(known)

    def margins(self, first: str, second: str) -> tuple[Margin, ...]:
        """Hold two values against each other over the groups in which both can be taken."""
        prefer = preferences_of(self.choice)
        shared = [
            compare(self.record, prefer, found[first], found[second])
            for found in self.by_value
            if all(value in found and found[value].fit is Fit.MEETS for value in (first, second))
        ]
        return average(shared) if shared else ()


def judge_overall(record: RunRecord, choice: Choice, groups: Sequence[Group], decided: Sequence[GroupDecision]) -> Overall:
    """Take one value for all groups, or say why none can be taken."""
    field = _make_field(record, choice, groups)

    def ahead(one: str, other: str) -> float | None:
        return total(field.margins(one, other))

    eligible = [value for value in field.values if field.groups and not field.obstacles(value)]
    best = unbeaten(eligible, ahead)
    winner = best[0] if len(best) == 1 else None
    next_best = unbeaten([value for value in eligible if value != winner], ahead) if winner else []
    second = next_best[0] if len(next_best) == 1 else None
    margins = field.margins(winner, second) if winner and second else ()
    return Overall(
        winner,
        second,
        (
            *_say_why(field, best, next_best),
            *_say_margins(field, margins, winner, second),
            *_say_groups(decided, winner),
            *_say_out(field, eligible),
        ),
        (
            *(find_weight_changes(margins, second) if second else ()),
            *(find_average_changes(margins, winner, second) if winner and second else ()),
            *_say_out_changes(field, winner, eligible),
        ),
        tuple(_say_unknown(field, groups, margins)),
    )


def _make_field(record: RunRecord, choice: Choice, groups: Sequence[Group]) -> _Field:
    """Keep the groups that tell values apart: several were tried, and one at least can be taken.

    Where only one value was tried at all, its groups are all there is.
    """
    tried = sorted({one.value for group in groups for one in group.candidates})
    least = min(2, len(tried))
    counted = tuple(group for group in groups if group.fit and len(group.candidates) >= least)
    return _Field(record, choice, counted, tuple(tried), tuple({one.value: one for one in group.candidates} for group in counted))


def _say_why(field: _Field, best: Sequence[str], next_best: Sequence[str]) -> Iterator[str]:
    wanted = join_words(field.choice.require) or "build"
    count = len(field.groups)
    places = "the only group" if count == 1 else f"all {count} groups"
    if not field.values:
        yield "Nothing was tried: there is nothing to decide."
    elif not field.groups:
        yield f"In no group were several values of {field.choice.between} tried of which one meets {wanted}."
    elif not best:
        yield f"No value of {field.choice.between} meets {wanted} in {places} that can be compared: take one per group."
    elif len(best) > 1:
        yield f"{join_words(best)} meet {wanted} in {places} and are level: no preferred figure tells them apart."
    elif not next_best:
        yield f"{best[0]} is the only value of {field.choice.between} that meets {wanted} in {places}."
    else:
        yield f"{best[0]} meets {wanted} in {places} and is ahead of {join_words(next_best)}."


def _say_margins(field: _Field, margins: Sequence[Margin], first: str | None, second: str | None) -> Iterator[str]:
    """Quote by how much the first is ahead of the second, on the average of the groups."""
    if not first or not second:
        return
    yield f"All preferred figures weighed, {first} is ahead of {second} by a factor of {render_factor(factor(margins))}."
    for margin in margins:
        if margin.ahead is None:
            continue
        one, other = (field.span(margin.metric, value) for value in (first, second))
        mine, theirs = write_apart(one, other, partial(_render_span, METRICS[margin.metric]))
        words = f"{margin.metric}: {first} {mine}, {second} {theirs}"
        if margin.ahead == 0:
            yield f"{words}: no difference that counts (weight {margin.weight:g})."
            continue
        less, more = (first, second) if margin.ahead > 0 else (second, first)
        share = math.exp(-abs(margin.ahead))
        has = f"{less} has {render_factor(share)} of what {more} has"
        if added_to(margin.metric):  # then the figures themselves are no such share of each other
            has = f"{less} is ahead by a factor of {render_factor(1 / share)}"
        yield f"{words}; on average {has} (weight {margin.weight:g})."


def _render_span(unit: str, span: tuple[float, float], more: int) -> str:
    least, most = (render_amount(edge, unit, more) for edge in span)
    return least if least == most else f"{least} to {most}"


def _say_groups(decided: Sequence[GroupDecision], winner: str | None) -> Iterator[str]:
    """Say where another value is taken, so that an average hides nobody's own case."""
    by_winner: dict[str, list[str]] = {}
    for group in decided:
        if group.winner and group.winner != winner:
            by_winner.setdefault(group.winner, []).append(render_place(tuple(group.axes.items())))
    for value, places in sorted(by_winner.items()):
        yield f"{value} is taken in {join_places(places, _MOST_NAMED)}."


def _say_out(field: _Field, eligible: Sequence[str]) -> Iterator[str]:
    """Say of each value that cannot be taken everywhere where it cannot."""
    for value in field.values:
        if field.groups and value not in eligible:
            found = field.obstacles(value)
            words = f"{value} cannot be taken in {len(found)} of {len(field.groups)} groups"
            yield f"{words}: {join_some([why.removesuffix('.') for why in found], _MOST_QUOTED, '; ')}."


def _say_out_changes(field: _Field, winner: str | None, eligible: Sequence[str]) -> Iterator[str]:
    """Say which value would be taken were it not for the cells in its way."""
    for value in field.values:
        if not winner or value in eligible:
            continue
        lead = total(field.margins(value, winner))
        if lead is not None and lead > 0:
            groups = count(len(field.obstacles(value)), "more group")
            yield f"{value} could be taken if it met what is required in {groups}: where it does, it is ahead of {winner}."


def _say_unknown(field: _Field, groups: Sequence[Group], margins: Sequence[Margin]) -> Iterator[str]:
    """Say what the verdict had to do without: real bases, cells, figures, groups that tell nothing."""
    if field.record.environment.stand_in_bases:
        yield "The bases are stand-ins: which value is better on the real ones is not known."
    if not field.record.complete:
        yield "The run is not complete: cells without a result are not in this verdict."
    yield from (f"{margin.metric} decided nothing: {margin.why}." for margin in margins if margin.ahead is None)
    aside = [group for group in groups if group not in field.groups]
    untried = [render_place(group.place) for group in aside if not group.candidates]
    hopeless = [render_place(group.place) for group in aside if group.candidates and not group.fit]
    single = [render_place(group.place) for group in aside if group.fit]
    if untried:
        yield f"Nothing was tried in {join_places(untried, _MOST_NAMED)}."
    if hopeless:
        yield f"No value can be taken in {join_places(hopeless, _MOST_NAMED)}: left aside."
    if single:
        yield f"Only one value was tried in {join_places(single, _MOST_NAMED)}: left aside."
