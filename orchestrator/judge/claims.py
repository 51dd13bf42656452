"""A claim put to the test at equal other axes: confirmed, refuted, mixed or unknown, with its pairs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.judge.figures import BUILT, FAILS, Figure, figure_of
from orchestrator.judge.noise import floor_between
from orchestrator.judge.pairs import find_matches
from orchestrator.judge.relations import outcome_holds, relation_holds
from orchestrator.judge.words import join_some, render_amount, render_difference, render_share
from orchestrator.rules import METRICS, OF_OUTCOMES, OUTCOME
from orchestrator.units import count
from orchestrator.verdicts import Pair, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.judge.pairs import Match, Matches, Place
    from orchestrator.record import RunRecord
    from orchestrator.rules import Claim

CONFIRMED, REFUTED, MIXED, UNKNOWN = "confirmed", "refuted", "mixed", "unknown"
MOST_SENTENCES = 20
_MOST_NAMED = 6
_MOST_QUOTED = 3


class _Tested(Struct, frozen=True):
    """A pair, where it lies, and what keeps it from saying anything: only chance, or what the cells lack."""

    pair: Pair
    place: Place
    within_noise: bool = False
    lacking: tuple[tuple[str, str], ...] = ()  # a cell and what it lacks


def judge_claims(record: RunRecord) -> tuple[Verdict, ...]:
    """Put all claims of a run to the test, in the order of matrix.yaml."""
    return tuple(_judge(record, claim) for claim in record.rules.claims) if record.rules else ()


def _judge(record: RunRecord, claim: Claim) -> Verdict:
    matches = find_matches(record, claim)
    tested = [_test(record, claim, match) for match in matches.found]
    verdict = _decide(tested)
    evidence = (*_summarize(record, claim, matches, tested, verdict), *_quote(tested))
    return Verdict(claim.say, verdict, evidence, _metric_of(claim), claim.must, tuple(one.pair for one in tested))


def _metric_of(claim: Claim) -> str:
    return OUTCOME if claim.relation in OF_OUTCOMES else claim.metric


def _decide(tested: Sequence[_Tested]) -> str:
    """Say what the pairs say together; where most differences are within the noise, they say nothing."""
    holding = sum(one.pair.holds is True for one in tested)
    failing = sum(one.pair.holds is False for one in tested)
    if holding and failing:
        return MIXED
    if holding + failing < max(1, sum(one.within_noise for one in tested)):
        return UNKNOWN
    return CONFIRMED if holding else REFUTED


def _test(record: RunRecord, claim: Claim, match: Match) -> _Tested:
    metric = _metric_of(claim)
    left = figure_of(match.left, metric)
    right = figure_of(match.right, metric) if match.right else None
    if METRICS.get(metric) == OUTCOME:
        return _test_outcome(claim, match, left, right)
    other = right or Figure(claim.value, left.unit, left.how, ranked=True)
    floor = floor_between(record, metric, left, other)
    name = match.right.id if match.right else ""
    if left.value is None or other.value is None or floor.share is None:
        return _lacking(match, left, other, floor.why)
    holds = relation_holds(claim.relation, left.value, other.value, claim.by_share, floor.share)
    words = (
        f"{match.left.id} {render_amount(left.value, left.unit)}, {name or 'claimed'} {render_amount(other.value, other.unit)}: "
    )
    words += render_difference(left.value, other.value, left.unit)
    if floor.share and holds is None:
        words += f", too near to tell (differences up to {render_share(floor.share)} are chance)"
    notes = [f"{cell} {figure.note}" for cell, figure in ((match.left.id, left), (name, other)) if figure.note]
    words += f" ({'; '.join(notes)})" if notes else ""
    return _Tested(Pair(match.left.id, name, left.value, other.value, holds, words), match.place, within_noise=holds is None)


def _test_outcome(claim: Claim, match: Match, left: Figure, right: Figure | None) -> _Tested:
    """Judge how cells ended; a status is no amount, so the pair has words only."""
    if left.value is None or (right and right.value is None):
        return _lacking(match, left, right or left, None)
    name = match.right.id if match.right else ""
    holds = outcome_holds(claim.relation, left.value, right.value if right else None)
    words = f"{match.left.id} {left.note}" + (f"; {name} {right.note}" if right else "")
    lacking: list[tuple[str, str]] = []
    if holds is None and right and left.value == right.value == FAILS:
        lacking = [(name, "fails as well, so what they differ in is not what makes them fail")]
    elif holds is None:
        sides = ((match.left.id, left), (name, right))
        lacking = [(cell, figure.note or "") for cell, figure in sides if figure and figure.value == BUILT]
    return _Tested(Pair(match.left.id, name, holds=holds, why=words), match.place, lacking=tuple(lacking))


def _lacking(match: Match, left: Figure, right: Figure, why: str | None) -> _Tested:
    """Say of a pair what it lacks: a figure of either cell, or what both would need to be compared."""
    name = match.right.id if match.right else match.left.id
    lacking = {cell: figure.note or "" for cell, figure in ((match.left.id, left), (name, right)) if not figure.ranked}
    found = tuple(lacking.items()) or (("", why or "their figures cannot be compared"),)
    words = "; ".join(f"{cell} {note}".strip() for cell, note in found)
    pair = Pair(match.left.id, match.right.id if match.right else "", left.value, right.value, None, words)
    return _Tested(pair, match.place, lacking=found)


def _summarize(record: RunRecord, claim: Claim, matches: Matches, tested: Sequence[_Tested], verdict: str) -> Iterator[str]:
    """Say in how many pairs the claim holds, where it does when it does not everywhere, and what is not known."""
    if record.environment.stand_in_bases:
        yield "On stand-in bases: this says nothing about the real ones."
    what = "pair" if any(one.pair.right for one in tested) else "cell"
    holding, failing, near = (sum(counts) for counts in zip(*map(_count, tested), strict=True)) if tested else (0, 0, 0)
    known = holding + failing + near
    if known:
        yield f"It holds in {holding} of {count(known, what)}{_at_equal_axes(what)}{_near(near)}."
    elif tested:
        yield f"Nothing is known of any of {len(tested)} {what}s." if len(tested) > 1 else f"Nothing is known of the only {what}."
    elif claim.right is None:
        yield "This run has no cell that the claim names."
    else:
        yield "No two cells of this run differ in what the claim names and in nothing else."
    if verdict == MIXED:
        yield from _say_where(tested)
    yield from _say_unknown(tested, what)
    if matches.alone:
        cells = "1 cell has" if matches.alone == 1 else f"{matches.alone} cells have"
        yield f"{cells} no counterpart on the other side."
    if matches.left_out:
        yield f"{matches.left_out} or more further {what}s were not looked at."


def _count(one: _Tested) -> tuple[bool, bool, bool]:
    return one.pair.holds is True, one.pair.holds is False, one.within_noise


def _at_equal_axes(what: str) -> str:
    return " of cells that are equal on all other axes" if what == "pair" else ""


def _near(near: int) -> str:
    return f"; in {near} the difference is within the noise" if near else ""


def _say_where(tested: Sequence[_Tested]) -> Iterator[str]:
    """Name the axis that tells where a claim holds from where it does not, or else the places."""
    places: dict[bool, list[Place]] = {True: [], False: []}
    for one in tested:
        if one.pair.holds is not None:
            places[one.pair.holds].append(one.place)
    for axis in [axis for axis, _ in places[True][0]]:
        yes, no = ({dict(place).get(axis, "") for place in places[holds]} for holds in (True, False))
        if not yes & no:
            some_yes, some_no = (join_some(sorted(values), _MOST_NAMED) for values in (yes, no))
            yield f"It holds where {axis} is {some_yes}; it does not where {axis} is {some_no}."
            return
    for words, holds in (("It holds", True), ("It does not hold", False)):
        named = [one.pair.left + (f" with {one.pair.right}" if one.pair.right else "") for one in tested if one.pair.holds is holds]
        yield f"{words} for {join_some(named, _MOST_NAMED)}."


def _say_unknown(tested: Sequence[_Tested], what: str) -> Iterator[str]:
    """Give what keeps pairs from being judged, and of which cells, the most frequent first."""
    cells: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    for one in tested:
        for cell, note in one.lacking:
            cells.setdefault(note, set()).add(cell)
        counts.update({note for _, note in one.lacking})
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for note, times in ranked[:_MOST_NAMED]:
        named = sorted(cells[note] - {""})
        words = f"{'each of ' if len(named) > 1 else ''}{join_some(named, _MOST_QUOTED)} {note}"
        yield f"Unknown in {count(times, what)}: {words.strip()}."
    if len(ranked) > _MOST_NAMED:
        yield f"And {len(ranked) - _MOST_NAMED} further reasons."


def _quote(tested: Sequence[_Tested]) -> Iterator[str]:
    """Give the pairs that say something, as sentences, those against the claim first."""
    said = [one.pair for one in tested if one.pair.holds is not None or one.within_noise]
    said.sort(key=lambda pair: (pair.holds is not False, pair.holds is None, pair.left, pair.right))
    yield from (f"{pair.why}." for pair in said[:MOST_SENTENCES])
    if len(said) > MOST_SENTENCES:
        yield f"And {len(said) - MOST_SENTENCES} more."
