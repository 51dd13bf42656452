"""What must be true of a judgement whatever the run: order, mirrors, and cells that are worse."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.judge.candidates import Fit, find_groups
from orchestrator.judge.contest import compare, preferences_of, total
from orchestrator.judge.run import judge_record
from orchestrator.model import Status
from orchestrator.record import CellRecord, Environment, RunRecord, Smoke
from orchestrator.rules import METRICS, Choice, Claim, Preference
from tests.unit.judged import cell, failed, make_image, run

BASES, DEPS = ("alpine", "slim", "wolfi"), ("a", "b", "c")
SIZES = st.sampled_from([None, 0.0, 10.0, 10.2, 10.4, 20.0, 40.0])
TIMES = st.sampled_from([None, 0.0, 1.0, 1.02, 1.04, 1.06, 2.0, 4.0])
MIRRORED = {"smaller": "larger", "faster": "slower", "equal": "equal", "fails": "passes"}
MIRRORED |= {mirrored: relation for relation, mirrored in MIRRORED.items()}
COMPARED = [
    ("smaller", "size"),
    ("larger", "packages"),
    ("faster", "build_time"),
    ("slower", "build_time"),
    ("equal", "size"),
    ("equal", "build_time"),
    ("fails", "outcome"),
    ("passes", "outcome"),
]


@st.composite
def cells_at(draw: st.DrawFn, base: str, deps: str) -> CellRecord:
    """Draw how a cell ended, and its figures."""
    status = draw(st.sampled_from([*Status, *[Status.PASSED] * 8]))
    size, time = draw(SIZES), draw(TIMES)
    if status is not Status.PASSED:
        return failed(base, status, draw(st.sampled_from([None, size])), deps=deps, expected=draw(st.booleans()))
    found = cell(base, size, time, deps=deps, packages=draw(st.integers(0, 3)))
    image = replace(make_image(size, draw(st.integers(0, 3))), compressed_estimated=draw(st.booleans()))
    return replace(found, image=image, smoke=draw(st.sampled_from([None, Smoke("skipped"), *[Smoke("passed")] * 6])))


@st.composite
def all_cells(draw: st.DrawFn) -> list[CellRecord]:
    """Draw a matrix of which some cells may be missing."""
    found = [draw(cells_at(base, deps)) for base in BASES for deps in DEPS]
    return [one for one in found if draw(st.integers(0, 9))]


@st.composite
def all_claims(draw: st.DrawFn) -> Claim:
    """Draw a claim of one base against another, or several others."""
    left, *right = draw(st.permutations(BASES))
    relation, metric = draw(st.sampled_from(COMPARED))
    return Claim("c", metric, {"base": (left,)}, {"base": tuple(right[: draw(st.integers(1, 2))])}, relation)


CHOICES = st.builds(
    Choice,
    between=st.sampled_from(["base", "deps"]),
    require=st.sampled_from([(), ("build",), ("smoke",), ("expected",), ("smoke", "expected")]),
    prefer=st.lists(
        st.builds(Preference, st.sampled_from(sorted(set(METRICS) - {"outcome"})), st.sampled_from([0.5, 1.0, 3.0])), max_size=3
    ).map(tuple),
)


@given(cells=all_cells(), claims=st.lists(all_claims(), max_size=3), choice=CHOICES, data=st.data())
def test_a_judgement_does_not_depend_on_the_order_of_cells(
    cells: list[CellRecord], claims: list[Claim], choice: Choice, data: st.DataObject
) -> None:
    """Cells end in any order, and shards are merged in any: the verdicts are the same to the word."""
    shuffled = data.draw(st.permutations(cells))
    first, second = (judge_record(run(*some, claims=tuple(claims), choice=choice)) for some in (cells, shuffled))
    assert (first.claims, first.decision) == (second.claims, second.decision)


@given(cells=all_cells(), claim=all_claims())
def test_a_mirrored_claim_gets_the_mirrored_verdict(cells: list[CellRecord], claim: Claim) -> None:
    """Left smaller than right, and right larger than left, are one statement: one verdict, pair by pair."""
    assert claim.right is not None
    mirror = replace(claim, left=claim.right, right=claim.left, relation=MIRRORED[claim.relation])
    one, other = judge_record(run(*cells, claims=(claim, mirror))).claims
    assert one.verdict == other.verdict
    assert {(pair.left, pair.right, pair.holds) for pair in one.pairs} == {
        (pair.right, pair.left, pair.holds) for pair in other.pairs
    }


@given(cells=all_cells(), claim=all_claims())
def test_a_claim_and_its_opposite_are_never_both_confirmed(cells: list[CellRecord], claim: Claim) -> None:
    """What is smaller is not larger."""
    assume(claim.relation != "equal")
    opposite = replace(claim, relation=MIRRORED[claim.relation])
    verdicts = [one.verdict for one in judge_record(run(*cells, claims=(claim, opposite))).claims]
    assert verdicts != ["confirmed", "confirmed"]


def decided(record: RunRecord) -> tuple[str | None, dict[str, str | None]]:
    """Give the winner, and that of each group."""
    found = judge_record(record).decision
    assert found is not None
    return found.winner, {group.axes["deps"]: group.winner for group in found.per_group}


@given(cells=all_cells(), choice=CHOICES, deps=st.sampled_from(DEPS), data=st.data())
def test_adding_a_worse_cell_never_changes_the_winner(
    cells: list[CellRecord], choice: Choice, deps: str, data: st.DataObject
) -> None:
    """One more candidate that fails, or that the winner beats, leaves every winner where it was."""
    choice = replace(choice, between="base")
    before, groups = decided(run(*cells, choice=choice))
    worse = data.draw(cells_at("worse", deps))
    assume(worse.status not in (Status.SKIPPED, Status.EXCLUDED))
    record = run(*cells, worse, choice=choice)
    group = next(group for group in find_groups(record, choice) if dict(group.place)["deps"] == deps)
    new = next(one for one in group.candidates if one.value == "worse")
    better = [one for one in group.candidates if one.value in (before, groups.get(deps)) and one.fit is Fit.MEETS]
    assume(len({one.value for one in better}) == len({before, groups.get(deps)} - {None}) > 0)
    beaten = all((total(compare(record, preferences_of(choice), one, new)) or 0.0) > 0 for one in better)
    assume(new.fit is not Fit.MEETS or beaten)
    after, groups_after = decided(record)
    if before is not None:
        assert after == before
    if groups.get(deps) is not None:
        assert groups_after == groups


@given(cells=all_cells(), choice=CHOICES)
def test_a_winner_meets_what_is_required_and_is_on_no_other_ground_than_figures(cells: list[CellRecord], choice: Choice) -> None:
    """No verdict names a cell that is not there or does not meet what is required, and every verdict says why."""
    record = replace(run(*cells, choice=choice), environment=Environment(stand_in_bases=()))
    found = judge_record(record).decision
    assert found is not None
    assert found.why
    for group, decided_group in zip(find_groups(record, choice), found.per_group, strict=True):
        fit = {one.value for one in group.fit}
        assert {decided_group.winner, decided_group.runner_up} - {None} <= fit
        assert decided_group.winner is None or decided_group.winner != decided_group.runner_up
        assert decided_group.why
        assert bool(decided_group.front) == bool(group.candidates)
        if found.winner and len(group.candidates) > 1 and fit:
            assert found.winner in fit
