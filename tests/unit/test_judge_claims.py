"""A claim is confirmed, refuted, mixed or unknown, and its pairs say why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.judge.claims import judge_claims
from orchestrator.judge.decision import decide
from orchestrator.judge.run import judge_record
from orchestrator.measure.statistics import median_of, spread_of
from orchestrator.model import Status
from orchestrator.record import Build, CellRecord, Environment, Scenario, Smoke
from orchestrator.rules import Choice, Preference
from orchestrator.verdicts import Verdict
from tests.unit.judged import MB, cell, claim, failed, make_image, run

if TYPE_CHECKING:
    import pytest

    from orchestrator.rules import Claim

EQUAL = "of cells that are equal on all other axes"


def judged(one: Claim, *cells: CellRecord, noise: float | None = 0.03) -> Verdict:
    """Put one claim to the test."""
    (verdict,) = judge_claims(run(*cells, claims=(one,), noise=noise))
    return verdict


def pairs_of(verdict: Verdict) -> list[tuple[str, str, bool | None]]:
    """Give what was compared, and what it said."""
    return [(pair.left, pair.right, pair.holds) for pair in verdict.pairs]


def test_a_claim_that_holds_everywhere_is_confirmed_with_its_pairs() -> None:
    """Each pair is evidence, as figures and as a sentence."""
    cells = (cell("alpine", 20), cell("slim", 50), cell("alpine", 60, deps="otel"), cell("slim", 75, deps="otel"))
    verdict = judged(replace(claim(by=0.1), must=True), *cells)
    assert (verdict.verdict, verdict.must, verdict.metric, verdict.say) == ("confirmed", True, "size", "a claim")
    assert verdict.evidence == (
        f"It holds in 2 of 2 pairs {EQUAL}.",
        "alpine-none 20.0 MB, slim-none 50.0 MB: 60.0% smaller.",
        "alpine-otel 60.0 MB, slim-otel 75.0 MB: 20.0% smaller.",
    )
    assert (verdict.pairs[0].left_value, verdict.pairs[0].right_value) == (20 * MB, 50 * MB)


def test_a_claim_that_holds_nowhere_is_refuted() -> None:
    """A difference smaller than claimed is not the one that was claimed."""
    verdict = judged(claim(by=0.5), cell("alpine", 40), cell("slim", 50))
    assert (verdict.verdict, verdict.evidence[0]) == ("refuted", f"It holds in 0 of 1 pair {EQUAL}.")
    assert verdict.evidence[1] == "alpine-none 40.0 MB, slim-none 50.0 MB: 20.0% smaller."


def test_a_mixed_claim_says_where_it_holds_and_where_it_does_not() -> None:
    """The axis that tells the two apart is named, and what speaks against the claim comes first."""
    cells = [
        cell(base, size, deps=deps)
        for base, size, deps in [("alpine", 1, "a"), ("slim", 2, "a"), ("alpine", 3, "b"), ("slim", 2, "b")]
    ]
    verdict = judged(claim(), *cells)
    assert (verdict.verdict, verdict.evidence) == (
        "mixed",
        (
            f"It holds in 1 of 2 pairs {EQUAL}.",
            "It holds where deps is a; it does not where deps is b.",
            "alpine-b 3.0 MB, slim-b 2.0 MB: 50.0% larger.",
            "alpine-a 1.0 MB, slim-a 2.0 MB: 50.0% smaller.",
        ),
    )


def test_a_mixed_claim_without_such_an_axis_names_the_cells() -> None:
    """Two right sides that say different things have nothing in common that tells them apart."""
    wide = replace(claim(), right={"base": ("slim", "wolfi")})
    verdict = judged(wide, cell("alpine", 20), cell("slim", 50), cell("wolfi", 10))
    assert verdict.verdict == "mixed"
    assert verdict.evidence[1:3] == (
        "It holds for alpine-none with slim-none.",
        "It does not hold for alpine-none with wolfi-none.",
    )


def test_cells_that_cannot_be_compared_leave_a_claim_unknown_and_say_why() -> None:
    """A failed, a skipped and a missing cell are told; an excluded one is no counterpart at all."""
    cells = (
        failed("alpine", Status.BUILD_FAILED, deps="a"),
        cell("slim", 1, deps="a"),
        cell("alpine", 1, deps="b"),
        failed("slim", Status.SKIPPED, deps="b"),
        cell("alpine", 1, deps="c"),
        failed("slim", Status.EXCLUDED, deps="c"),
    )
    verdict = judged(claim(), *cells)
    assert verdict.verdict == "unknown"
    assert verdict.evidence == (
        "Nothing is known of any of 2 pairs.",
        "Unknown in 1 pair: alpine-a ended in build-failed, which was not expected: no wheel.",
        "Unknown in 1 pair: slim-b was skipped: no wheel.",
        "1 cell has no counterpart on the other side.",
    )


def test_a_run_without_such_cells_says_so() -> None:
    """An empty matrix, and one of one side only, know nothing of the claim."""
    nothing = "No two cells of this run differ in what the claim names and in nothing else."
    assert judged(claim()).evidence == (nothing,)
    assert judged(claim(), cell("slim", 1)).evidence == (nothing, "1 cell has no counterpart on the other side.")
    assert judged(replace(claim(), right={"os": ("x",)}), cell("alpine", 1)).verdict == "unknown"


def test_a_claim_about_each_cell_by_itself_speaks_of_no_pairs() -> None:
    """With a value, or `fails` alone, nothing is compared: what is missing is the cell."""
    for one in (claim("equal", value=20.0 * MB), replace(claim("fails"), right=None)):
        assert judged(one, cell("slim", 1)).evidence == ("This run has no cell that the claim names.",)


def test_a_difference_within_the_noise_confirms_and_refutes_nothing() -> None:
    """Times that chance may have turned say nothing, whichever is the lesser."""
    for alpine in (99.0, 101.0):
        verdict = judged(claim("faster", "build_time"), cell("alpine", 1, alpine), cell("slim", 1, 100.0))
        assert (verdict.verdict, verdict.pairs[0].holds) == ("unknown", None)
        assert verdict.evidence[0] == f"It holds in 0 of 1 pair {EQUAL}; in 1 the difference is within the noise."
        assert verdict.evidence[1].endswith("too near to tell (differences up to 3.0% are chance).")
    assert judged(claim("faster", "build_time"), cell("alpine", 1, 90), cell("slim", 1, 100)).verdict == "confirmed"
    assert judged(claim("faster", "build_time", 0.09), cell("alpine", 1, 90), cell("slim", 1, 100)).verdict == "unknown"


def test_samples_that_lie_far_apart_decide_no_time_whatever_the_control_was_like() -> None:
    """Of three builds one took twice the time: a median of those is faster than another by chance. The control was another cell."""

    def timed(base: str, *samples: float) -> CellRecord:
        scenario = Scenario("cold", samples, median_of(samples), spread_of(samples))
        return replace(cell(base, 1), build=Build("isolated", 2, 9.9, scenarios=(scenario,)))

    alpine, slim = timed("alpine", 12.467, 30.348, 14.193), timed("slim", 22.031, 13.37, 22.272)
    verdict = judged(claim("faster", "build_time"), alpine, slim, noise=0.49)
    assert verdict.verdict == "unknown"
    assert verdict.evidence[1].endswith("too near to tell (differences up to 126.0% are chance).")
    steady = timed("alpine", 12.5, 12.4, 12.6), timed("slim", 22.0, 22.1, 21.9)
    assert judged(claim("faster", "build_time"), *steady).verdict == "confirmed"
    found = decide(run(alpine, slim, choice=Choice("base", ("smoke",), (Preference("build_time"),)), noise=0.49))
    assert found is not None
    assert found.winner is None


def test_most_pairs_within_the_noise_leave_a_claim_unknown() -> None:
    """One lucky pair among many that show no difference confirms nothing."""
    cells = [
        cell(base, 1, time, deps=deps)
        for deps, alpine in (("a", 1.0), ("b", 1.0), ("c", 0.5))
        for base, time in (("alpine", alpine), ("slim", 1.0))
    ]
    assert judged(claim("faster", "build_time"), *cells).verdict == "unknown"
    assert judged(claim("faster", "build_time"), *cells[2:]).verdict == "confirmed"


def test_shared_wall_times_are_never_compared() -> None:
    """The evidence names the option that would have measured."""
    verdict = judged(claim("slower", "build_time"), cell("alpine", 1), cell("slim", 1))
    assert verdict.evidence == (
        "Nothing is known of the only pair.",
        "Unknown in 1 pair: each of alpine-none and slim-none was not timed by itself: `matrix run --measure 5` does that.",
    )


def test_unknown_noise_decides_no_time() -> None:
    """Without a control no time is better than another, however far apart they are."""
    verdict = judged(claim("faster", "build_time"), cell("alpine", 1, 1), cell("slim", 1, 100), noise=None)
    assert verdict.evidence[1] == "Unknown in 1 pair: the noise of cold builds was not measured."


def test_sizes_of_cells_that_failed_are_compared_and_told() -> None:
    """What does not work has a size, and the evidence says that it does not work."""
    verdict = judged(claim(), failed("alpine", Status.SMOKE_FAILED, 20), cell("slim", 50))
    assert verdict.verdict == "confirmed"
    assert verdict.evidence[1] == (
        "alpine-none 20.0 MB, slim-none 50.0 MB: 60.0% smaller "
        "(alpine-none ended in smoke-failed, which was not expected: no wheel)."
    )


def test_an_estimate_must_be_further_away_from_an_exact_size() -> None:
    """What gzip estimates is within 5% of what a registry stores."""
    estimated = replace(cell("alpine", 1), image=make_image(96, estimated=True))
    assert judged(claim(), estimated, cell("slim", 100)).verdict == "unknown"
    assert judged(claim(), replace(estimated, image=make_image(94, estimated=True)), cell("slim", 100)).verdict == "confirmed"


def test_an_axis_that_one_side_names_only_says_where_to_look() -> None:
    """`left: {base: alpine, deps: a}, right: {base: slim}` compares the two bases with the dependencies a."""
    cells = [cell(base, size, deps=deps) for base, size in (("alpine", 2), ("slim", 1)) for deps in ("a", "b")]
    one_sided = replace(claim(), left={"base": ("alpine",), "deps": ("a",)})
    assert pairs_of(judged(one_sided, *cells)) == [("alpine-a", "slim-a", False)]
    both = replace(one_sided, right={"base": ("slim",), "deps": ("a",)})
    assert pairs_of(judged(both, *cells)) == [("alpine-a", "slim-a", False)]
    across = replace(one_sided, right={"base": ("slim",), "deps": ("b",)})
    assert pairs_of(judged(across, *cells)) == [("alpine-a", "slim-b", False)]


def test_a_claim_against_a_value_looks_at_each_cell_by_itself() -> None:
    """`value: 240MB` stands in the place of other cells."""
    verdict = judged(claim("equal", by=0.1, value=240 * MB), cell("alpine", 230), cell("alpine", 180, deps="b"))
    assert (verdict.verdict, pairs_of(verdict)) == ("mixed", [("alpine-b", "", False), ("alpine-none", "", True)])
    assert verdict.evidence == (
        "It holds in 1 of 2 cells.",
        "It holds where deps is none; it does not where deps is b.",
        "alpine-b 180.0 MB, claimed 240.0 MB: 25.0% smaller.",
        "alpine-none 230.0 MB, claimed 240.0 MB: 4.2% smaller.",
    )


def test_a_base_fails_where_the_other_passes() -> None:
    """Where both fail, the base is not what makes them fail."""
    passing, failing = cell("slim", 1), failed("alpine", Status.BUILD_FAILED, expected=True)
    verdict = judged(claim("fails"), failing, passing)
    assert (verdict.verdict, verdict.metric, verdict.pairs[0].left_value) == ("confirmed", "outcome", None)
    assert verdict.evidence[1] == "alpine-none ended in build-failed, as expected: no wheel; slim-none passed."
    assert judged(claim("fails"), cell("alpine", 1), passing).verdict == "refuted"
    both = judged(claim("fails"), failing, failed("slim", Status.SMOKE_FAILED, 1))
    assert both.verdict == "unknown"
    assert both.evidence[1] == ("Unknown in 1 pair: slim-none fails as well, so what they differ in is not what makes them fail.")


def test_a_cell_whose_checks_were_not_run_has_not_passed() -> None:
    """It may yet fail, so only a build that failed beside it says something."""
    built = replace(cell("alpine", 1), smoke=Smoke("skipped"))
    verdict = judged(claim("fails"), built, cell("slim", 1))
    assert verdict.evidence[1] == "Unknown in 1 pair: alpine-none was built, and its checks were not run."
    failing = failed("alpine", Status.BUILD_FAILED)
    assert judged(claim("fails"), failing, replace(cell("slim", 1), smoke=Smoke("skipped"))).verdict == "confirmed"


def test_a_claim_without_a_right_side_is_about_each_cell() -> None:
    """`slim passes` needs nothing that fails beside it."""
    alone = replace(claim("passes"), left={"base": ("slim",)}, right=None)
    assert judged(alone, cell("slim", 1), cell("slim", 1, deps="b"), failed("alpine", Status.TIMEOUT)).verdict == "confirmed"
    assert judged(alone, cell("slim", 1), failed("slim", Status.TIMEOUT, deps="b")).verdict == "mixed"
    assert judged(replace(alone, relation="fails"), cell("slim", 1)).verdict == "refuted"


def test_stand_in_bases_are_said_first() -> None:
    """A verdict on stand-ins must not be quoted as one on the real bases."""
    record = replace(run(cell("alpine", 1), cell("slim", 2), claims=(claim(),)), environment=Environment(stand_in_bases=("x",)))
    assert judge_claims(record)[0].evidence[0] == "On stand-in bases: this says nothing about the real ones."


def test_a_run_without_rules_keeps_what_it_was_told() -> None:
    """An older run.json has no rules to be judged by anew; one with rules is judged again from its cells alone."""
    told = (Verdict("x", "confirmed"),)
    assert judge_record(replace(run(), rules=None, claims=told)).claims == told
    assert judge_record(replace(run(), claims=told)).claims == ()


def test_rules_of_another_matrix_are_unknown_and_break_nothing() -> None:
    """A stored run may hold a metric or a relation that this matrix does not know."""
    assert judged(claim("prettier"), cell("alpine", 1), cell("slim", 2)).verdict == "unknown"
    assert judged(claim(metric="beauty"), cell("alpine", 1), cell("slim", 2)).verdict == "unknown"
    assert judged(replace(claim(), right=None), cell("alpine", 1)).verdict == "unknown"


def test_many_pairs_are_quoted_in_part() -> None:
    """The first twenty are quoted, all are there as pairs."""
    cells = [cell(base, 1, deps=f"{at:02}") for base in ("alpine", "slim") for at in range(25)]
    verdict = judged(claim(), *cells)
    assert (len(verdict.pairs), len(verdict.evidence), verdict.evidence[-1]) == (25, 22, "And 5 more.")


def test_pairs_and_reasons_beyond_all_bounds_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wide sides of one axis are not multiplied out for ever, and many different reasons are not all told."""
    monkeypatch.setattr("orchestrator.judge.pairs.MOST_PAIRS", 6)
    wide = replace(claim(), left={"base": ("a*",)}, right={"base": ("b*",)})
    cells = [cell(f"{side}{at}", 1) for side in "ab" for at in range(3)]
    verdict = judged(wide, *cells)
    assert (len(verdict.pairs), verdict.evidence[1]) == (6, "3 or more further pairs were not looked at.")
    alone = replace(claim("passes"), left={}, right=None)
    skipped = [replace(failed("slim", Status.SKIPPED, deps=f"{at}"), reason=f"reason {at}") for at in range(8)]
    monkeypatch.undo()
    assert judged(alone, *skipped).evidence[-1] == "And 2 further reasons."
