"""Which value is taken, by which figures, what comes second, what would change it, and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.judge.decision import decide
from orchestrator.model import Status
from orchestrator.record import CellRecord, Environment, RunRecord, Smoke
from orchestrator.rules import Choice, Preference
from tests.unit.judged import CHOICE, cell, failed, make_build, make_image, run

if TYPE_CHECKING:
    from orchestrator.verdicts import Decision, GroupDecision


def decided(*cells: CellRecord, choice: Choice = CHOICE, noise: float | None = 0.03) -> Decision:
    """Decide a run."""
    found = decide(run(*cells, choice=choice, noise=noise))
    assert found is not None
    return found


def group_of(*cells: CellRecord, choice: Choice = CHOICE, noise: float | None = 0.03) -> GroupDecision:
    """Decide a run of one group."""
    (group,) = decided(*cells, choice=choice, noise=noise).per_group
    return group


def test_a_run_without_a_rule_decides_nothing() -> None:
    """No `decide` in matrix.yaml, or an old run.json: there is no verdict to show."""
    assert decide(run(cell("slim", 1))) is None
    assert decide(replace(run(cell("slim", 1)), rules=None)) is None


def test_the_better_figures_win_by_their_weights_and_are_quoted() -> None:
    """Half the size at weight 2 outweighs three times the time at weight 1, and what would change that is said."""
    group = group_of(cell("alpine", 50, 30.0), cell("slim", 100, 10.0))
    assert (group.winner, group.runner_up, group.front) == ("alpine", "slim", ("alpine", "slim"))
    assert group.why == (
        "alpine is ahead of slim by a factor of 1.10, all preferred figures weighed.",
        "size: alpine 50.0 MB, slim 100.0 MB: 50.0% smaller (weight 2).",
        "build_time: alpine 30.00 s, slim 10.00 s: 3.00 times as long (weight 1).",
    )
    assert group.would_change == (
        "slim would be taken if size weighed less than 1.58 (now 2).",
        "slim would be taken if build_time weighed more than 1.26 (now 1).",
        "slim would be taken if its size were below 86.6 MB (now 100.0 MB).",
        "slim would be taken if its build_time were below 7.50 s (now 10.00 s).",
    )
    assert group.unknown == ()


def test_what_would_change_a_verdict_does_change_it() -> None:
    """The weights and figures that are named are the ones at which the verdict turns."""
    alpine, slim = cell("alpine", 50, 30.0), cell("slim", 100, 10.0)

    def weighed(size: float, time: float) -> Choice:
        return Choice("base", ("smoke",), (Preference("size", size), Preference("build_time", time)))

    assert [group_of(alpine, slim, choice=weighed(size, 1)).winner for size in (1.59, 1.58)] == ["alpine", "slim"]
    assert [group_of(alpine, slim, choice=weighed(2, time)).winner for time in (1.26, 1.27)] == ["alpine", "slim"]
    assert [group_of(alpine, cell("slim", size, 10.0)).winner for size in (86.7, 86.5)] == ["alpine", "slim"]
    assert [group_of(alpine, cell("slim", 100, time)).winner for time in (7.51, 7.49)] == ["alpine", "slim"]


def test_figures_that_differ_are_never_written_alike() -> None:
    """Rounded as usual they would contradict the sentence that they stand in."""
    by_size = Choice("base", (), (Preference("size"),))
    small = decided(cell("alpine", 2.1), cell("slim", 2.12), choice=by_size)
    assert small.per_group[0].why[1:] == ("size: alpine 2.10 MB, slim 2.12 MB: 0.9% smaller (weight 1).",)
    assert small.per_group[0].would_change == ("slim would be taken if its size were below 2.10 MB (now 2.12 MB).",)
    near = decided(cell("alpine", 100), cell("slim", 100.3), choice=by_size)
    assert near.per_group[0].why[0] == "alpine is ahead of slim by a factor of 1.003, all preferred figures weighed."
    assert near.why[1:] == (
        "All preferred figures weighed, alpine is ahead of slim by a factor of 1.003.",
        "size: alpine 100.0 MB, slim 100.3 MB; on average alpine has 0.997 of what slim has (weight 1).",
    )
    assert near.would_change == ("slim would be taken if its size were below 99.7% of what it is in every group.",)
    assert small.why[2].startswith("size: alpine 2.10 MB, slim 2.12 MB; on average")
    weighed = Choice("base", (), (Preference("size"), Preference("build_time")))
    level = decided(cell("alpine", 50, 20.0), cell("slim", 100, 10.01), choice=weighed)
    assert level.would_change[1] == "slim would be taken if build_time weighed more than 1.001 (now 1)."


def test_a_difference_within_the_noise_decides_nothing() -> None:
    """Equal sizes, and times that chance may have turned: the two are level, and no winner is named."""
    group = group_of(cell("alpine", 50, 10.0), cell("slim", 50, 10.2))
    assert (group.winner, group.runner_up) == (None, None)
    assert group.why == ("alpine and slim are level: no preferred figure tells them apart.",)
    smaller = group_of(cell("alpine", 49.9, 10.2), cell("slim", 50, 10.0))
    assert smaller.winner == "alpine"
    assert smaller.why[2] == "build_time: alpine 10.20 s, slim 10.00 s: within the noise of 3.0%, decides nothing (weight 1)."
    assert "slim would be taken if its build_time were below 9.90 s (now 10.00 s)." in smaller.would_change


def test_bytes_by_which_a_repeated_build_differs_decide_nothing() -> None:
    """Two installers leave the same packages: a few hundred bytes of times and logs make neither the better one."""
    by_size = replace(CHOICE, prefer=(Preference("size"),))
    assert group_of(cell("uv", 54.503115), cell("poetry", 54.502800), choice=by_size).winner is None
    assert group_of(cell("uv", 54.503115), cell("poetry", 54.4), choice=by_size).winner == "poetry"


def test_times_that_were_not_measured_decide_nothing_and_are_named() -> None:
    """Wall times of builds side by side rank nobody; how much faster the second would have to be is known."""
    group = group_of(cell("alpine", 50), cell("slim", 100))
    assert group.winner == "alpine"
    assert group.unknown == (
        "build_time decided nothing: alpine-none was not timed by itself: `matrix run --measure 5` does that.",
    )
    assert group.would_change[-1] == (
        "build_time is not known: slim would be taken if it built more than 4.00 times as fast as alpine."
    )


def test_one_missing_figure_is_told_and_the_rest_decides() -> None:
    """A cell whose timed builds failed is compared by what is known of it, and that is said."""
    group = group_of(cell("alpine", 50), cell("slim", 100, 10.0), cell("wolfi", 80, 10.0))
    assert (group.winner, group.runner_up) == ("alpine", "wolfi")
    assert group.unknown == ("build_time: alpine-none was not timed by itself: `matrix run --measure 5` does that.",)


def test_a_cell_that_failed_cannot_win_and_is_in_the_story() -> None:
    """The smallest image fails its checks: it is told why it is out, what its size would be, and that it would have won."""
    group = group_of(failed("alpine", Status.SMOKE_FAILED, 10, expected=True), cell("slim", 50), cell("wolfi", 60))
    assert (group.winner, group.runner_up, group.front) == ("slim", "wolfi", ("alpine", "slim"))
    assert group.why[-1] == (
        "alpine cannot be taken: alpine-none ended in smoke-failed, as expected: no wheel. Its size would be 10.0 MB."
    )
    assert group.would_change[-1] == "alpine would be taken if alpine-none met what is required."


def test_a_failed_build_is_on_no_front() -> None:
    """There is no image that could be better in anything."""
    group = group_of(failed("alpine", Status.BUILD_FAILED), cell("slim", 50))
    assert (group.winner, group.front) == ("slim", ("slim",))
    assert group.why == (
        "slim is the only one that meets smoke: no figure had to decide.",
        "alpine cannot be taken: alpine-none ended in build-failed, which was not expected: no wheel.",
    )


def test_where_nobody_meets_what_is_required_nobody_is_taken() -> None:
    """All fail, or nothing was tried: that is the verdict."""
    nobody = group_of(failed("alpine", Status.BUILD_FAILED), failed("slim", Status.TIMEOUT))
    assert (nobody.winner, nobody.why[0]) == (None, "No value of base meets smoke.")
    untried = group_of(failed("alpine", Status.SKIPPED), failed("slim", Status.EXCLUDED))
    assert (untried.winner, untried.why, untried.front) == (None, ("Nothing was tried here.",), ())
    assert untried.unknown == (
        "alpine was not tried: alpine-none was skipped: no wheel.",
        "slim was not tried: slim-none is excluded: no wheel.",
    )


def test_cells_of_which_nobody_knows_whether_they_work_are_not_taken() -> None:
    """An error of the world around, and checks that were not run, are no failure and no success."""
    untested = replace(cell("alpine", 1), smoke=Smoke("skipped"))
    group = group_of(untested, failed("slim", Status.ERROR))
    assert (group.winner, group.why[1:]) == (
        None,
        (
            "alpine cannot be taken: alpine-none was built, and its checks were not run. Its size would be 1.0 MB.",
            "slim cannot be taken: slim-none ended in error, which was not expected: no wheel.",
        ),
    )
    assert group_of(untested, choice=replace(CHOICE, require=())).winner == "alpine"


@pytest.mark.parametrize(
    ("require", "winner"),
    [((), "alpine"), (("build",), "alpine"), (("smoke",), "slim"), (("expected",), "slim"), (("smoke", "beauty"), None)],
)
def test_requirements_say_what_can_be_taken_at_all(require: tuple[str, ...], winner: str | None) -> None:
    """Without one an image is enough; one that this matrix does not know is met by nobody."""
    choice = Choice("base", require, (Preference("size"),))
    assert group_of(failed("alpine", Status.SMOKE_FAILED, 10), cell("slim", 50), choice=choice).winner == winner


def test_one_candidate_is_taken_without_a_contest() -> None:
    """Where there is nothing to compare with, that is what is said."""
    found = decided(cell("slim", 50))
    assert (found.winner, found.runner_up) == ("slim", None)
    assert found.per_group[0].why == ("slim is the only one that was tried: no figure had to decide.",)
    assert found.why == ("slim is the only value of base that meets smoke in the only group.",)


def test_weights_that_cancel_out_leave_both_level() -> None:
    """Twice the size against half the time at equal weights is no lead for anybody."""
    equal = Choice("base", ("smoke",), (Preference("size"), Preference("build_time")))
    group = group_of(cell("alpine", 50, 20.0), cell("slim", 100, 10.0), choice=equal)
    assert (group.winner, group.front) == (None, ("alpine", "slim"))


def test_a_second_place_may_be_shared() -> None:
    """Nobody is called the second best who is not."""
    group = group_of(cell("alpine", 10), cell("slim", 50), cell("wolfi", 50))
    assert (group.winner, group.runner_up) == ("alpine", None)
    assert group.why == ("alpine is ahead of slim and wolfi, which are level.",)


def test_without_preferences_the_size_decides() -> None:
    """A rule that names no figure, or weights that weigh nothing, is about size."""
    for prefer in ((), (Preference("build_time", 0.0), Preference("size", float("nan")))):
        assert group_of(cell("alpine", 10), cell("slim", 50), choice=Choice("base", (), prefer)).winner == "alpine"


def test_figures_of_nothing_are_no_infinite_lead() -> None:
    """No package against one, and no wasted byte against a few, are small differences."""
    choice = Choice("base", (), (Preference("packages"), Preference("size"), Preference("wasted", 3)))
    wasteful = replace(cell("slim", 10, packages=1), image=replace(make_image(10, 1), wasted_bytes=1000))
    assert group_of(cell("alpine", 40, packages=0), wasteful, choice=choice).winner == "slim"
    nothing = replace(cell("slim", 0), build=make_build(0.0))
    assert group_of(cell("alpine", 40, 1.0), nothing).winner == "slim"


def test_figures_that_may_be_none_are_no_shares_of_each_other_overall() -> None:
    """2 MB wasted are 0.4 of 5 MB, and the verdict weighs them as 3 against 6: so it speaks of its factor, and asks no share."""
    choice = Choice("base", (), (Preference("wasted"),))
    cells = [
        replace(cell(base, 10, deps=deps), image=replace(make_image(10), wasted_bytes=size))
        for base, size in (("alpine", 5_000_000), ("slim", 2_000_000))
        for deps in "ab"
    ]
    found = decide(run(*cells, choice=choice))
    assert found
    assert found.why[-1] == "wasted: slim 2.0 MB, alpine 5.0 MB; on average slim is ahead by a factor of 2.00 (weight 1)."
    assert found.would_change == ()
    assert found.per_group[0].would_change == ("alpine would be taken if its wasted were below 2.0 MB (now 5.0 MB).",)


def test_a_group_says_which_figure_its_noise_made_useless() -> None:
    """Both times are there, and nobody knows what of them is chance."""
    cells = (cell("alpine", 10, 1.0), cell("slim", 50, 9.0))
    found = decide(run(*cells, choice=Choice("base", (), (Preference("size"), Preference("build_time"))), noise=None))
    assert found
    assert found.per_group[0].unknown == ("build_time decided nothing: the noise of cold builds was not measured.",)


def test_the_front_holds_whoever_is_best_in_something() -> None:
    """Outcome, size, time and packages: what another beats in all of them, beyond the noise, is not on it."""
    found = group_of(
        cell("alpine", 50, 30.0, packages=20),
        cell("slim", 100, 10.0, packages=100),
        cell("wolfi", 100, 10.1, packages=100),
        cell("fat", 120, 31.0, packages=100),
        cell("untimed", 120, packages=100),
    )
    assert found.front == ("alpine", "slim", "untimed", "wolfi")


OVERALL = (
    cell("alpine", 50, deps="a"), cell("slim", 60, deps="a"), cell("wolfi", 90, deps="a"),
    cell("alpine", 90, deps="b"), cell("slim", 60, deps="b"), cell("wolfi", 90, deps="b"),
)  # fmt: skip


def test_the_overall_winner_is_ahead_on_average_and_no_group_is_hidden() -> None:
    """The verdict quotes the spans and the average, and names the group that would choose otherwise."""
    found = decided(*OVERALL)
    assert (found.winner, found.runner_up, found.between) == ("slim", "alpine", "base")
    assert found.why == (
        "slim meets smoke in all 2 groups and is ahead of alpine.",
        "All preferred figures weighed, slim is ahead of alpine by a factor of 1.12.",
        "size: slim 60.0 MB, alpine 50.0 MB to 90.0 MB; on average slim has 0.89 of what alpine has (weight 2).",
        "alpine is taken in deps a.",
    )
    assert found.would_change == (
        "alpine would be taken if its size were below 89% of what it is in every group.",
        "build_time is not known: alpine would be taken if it built more than 1.25 times as fast as slim.",
    )
    assert found.unknown == ("build_time decided nothing: slim-a was not timed by itself: `matrix run --measure 5` does that.",)
    assert found.noise is not None
    assert found.noise.startswith("Differences of times up to the noise, or within the middle half of a cell's samples, ")


def test_a_value_that_fails_in_a_group_does_not_win_overall() -> None:
    """It may be ahead wherever it works; what stands in its way is named, and that it would have won."""
    found = decided(
        cell("alpine", 10, deps="a"), cell("slim", 60, deps="a"),
        failed("alpine", Status.BUILD_FAILED, deps="b", expected=True), cell("slim", 60, deps="b"),
    )  # fmt: skip
    assert found.winner == "slim"
    assert found.why[-2:] == (
        "alpine is taken in deps a.",
        "alpine cannot be taken in 1 of 2 groups: alpine-b ended in build-failed, as expected: no wheel.",
    )
    assert found.would_change == (
        "alpine could be taken if it met what is required in 1 more group: where it does, it is ahead of slim.",
    )


def test_where_every_value_fails_somewhere_there_is_one_per_group_only() -> None:
    """No overall winner is made up."""
    found = decided(
        cell("alpine", 10, deps="a"), failed("slim", Status.TIMEOUT, deps="a"),
        failed("alpine", Status.BUILD_FAILED, deps="b"), cell("slim", 60, deps="b"),
    )  # fmt: skip
    assert (found.winner, found.runner_up, [group.winner for group in found.per_group]) == (None, None, ["alpine", "slim"])
    assert found.why[0] == "No value of base meets smoke in all 2 groups that can be compared: take one per group."


def test_a_value_that_was_not_tried_everywhere_does_not_win_overall() -> None:
    """A base that was excluded where it is weak cannot be recommended for everything."""
    found = decided(*OVERALL, cell("debug", 1, deps="a"), failed("debug", Status.EXCLUDED, deps="b"))
    assert (found.winner, found.per_group[0].winner) == ("slim", "debug")
    assert found.why[-1] == "debug cannot be taken in 1 of 2 groups: it was not tried in deps b."


def test_groups_that_tell_no_values_apart_are_left_aside_and_named() -> None:
    """One in which all fail, one in which one value was tried, and one in which none was."""
    found = decided(
        *OVERALL,
        *(failed(base, Status.BUILD_FAILED, deps="hopeless") for base in ("alpine", "slim", "wolfi")),
        cell("slim", 1, deps="lonely"),
        cell("wolfi", 1, deps="rare"),
        failed("slim", Status.SKIPPED, deps="untried"),
    )
    assert found.winner == "slim"
    assert found.unknown[1:] == (
        "Nothing was tried in deps untried.",
        "No value can be taken in deps hopeless: left aside.",
        "Only one value was tried in deps lonely and deps rare: left aside.",
    )


def test_stand_ins_and_missing_cells_are_what_a_verdict_does_not_know() -> None:
    """A verdict on stand-ins, or on half a run, says so."""
    record = replace(run(*OVERALL, choice=CHOICE), complete=False, environment=Environment(stand_in_bases=("x",)))
    found = decide(record)
    assert found is not None
    assert found.unknown[:2] == (
        "The bases are stand-ins: which value is better on the real ones is not known.",
        "The run is not complete: cells without a result are not in this verdict.",
    )


def test_an_empty_run_and_one_without_the_axis_decide_nothing() -> None:
    """A killed run may hold no cell, and a damaged one cells of another matrix."""
    for record in (run(choice=CHOICE), run(cell("slim", 1), choice=replace(CHOICE, between="os"))):
        found = decide(record)
        assert found is not None
        assert (found.winner, found.per_group, found.why) == (None, (), ("Nothing was tried: there is nothing to decide.",))


def test_metrics_of_another_matrix_break_nothing() -> None:
    """A stored rule may prefer a figure that this matrix does not know."""
    choice = Choice("base", ("smoke",), (Preference("beauty", 2.0), Preference("size")))
    assert decided(*OVERALL, choice=choice).winner == "slim"
    only = Choice("base", ("smoke",), (Preference("beauty", 2.0),))
    assert decided(*OVERALL, choice=only).winner is None


def test_a_matrix_of_one_axis_is_one_group() -> None:
    """There are no other axes to be equal on."""

    def alone(one: CellRecord) -> CellRecord:
        return replace(one, axes={"base": one.axes["base"]})

    record: RunRecord = replace(run(alone(cell("alpine", 1)), alone(cell("slim", 2)), choice=CHOICE), axes=("base",))
    found = decide(record)
    assert found is not None
    assert (found.winner, found.per_group[0].axes, found.why[0]) == (
        "alpine",
        {},
        "alpine meets smoke in the only group and is ahead of slim.",
    )
