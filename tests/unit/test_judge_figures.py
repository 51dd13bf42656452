"""One place turns a record and a metric's name into a figure, and says what it is worth."""

from __future__ import annotations

from typing import get_args

import pytest
from msgspec.structs import replace

from orchestrator.inside import Package, Packages, Vulnerabilities
from orchestrator.judge.figures import BUILT, FAILS, PASSES, figure_of
from orchestrator.judge.noise import Floor, floor_between, render_noise
from orchestrator.judge.words import join_some, join_words, render_amount, render_difference
from orchestrator.model import Status
from orchestrator.record import CellRecord, Image, Smoke, Step
from orchestrator.rules import METRICS, Metric
from orchestrator.units import UNKNOWN, megabytes
from tests.unit.judged import MB, cell, failed, make_build, make_image, run
from tests.unit.records import make_record


def of(image: Image) -> CellRecord:
    """Make a cell with an image."""
    return replace(cell("slim", 1), image=image)


def test_every_metric_that_matrix_yaml_may_name_has_a_figure() -> None:
    """The names of the schema, their units and what reads them are one list."""
    assert set(get_args(Metric)) == set(METRICS)
    for one in make_record().cells:
        for metric in METRICS:
            figure = figure_of(one, metric)
            assert (figure.value is not None) or figure.note, f"{metric} of {one.id} is unknown, and nobody says why"


@pytest.mark.parametrize(
    ("metric", "value"),
    [("size", 45), ("uncompressed", 135), ("base", 45), ("over_base", 90), ("wasted", 0)],
)
def test_sizes_are_bytes_of_the_image(metric: str, value: float) -> None:
    """What the base holds is what is not over it."""
    figure = figure_of(cell("slim", 45), metric)
    assert (figure.value, figure.unit, figure.ranked, figure.how) == (value * MB, "bytes", True, "layers")


def test_a_wall_time_of_builds_side_by_side_is_never_a_figure() -> None:
    """What was not timed by itself is unknown, and the reason names the option that mends it."""
    figure = figure_of(cell("slim", 45), "build_time")
    assert (figure.value, figure.ranked) == (None, False)
    assert figure.note == "was not timed by itself: `matrix run --measure 5` does that"
    assert figure_of(cell("slim", 45), "code").note == "was not timed by itself: `matrix run --measure 5 --scenario code` does that"


def test_a_time_is_the_median_of_isolated_builds() -> None:
    """A median is ranked, and that of a cell that failed unexpectedly is known and not ranked."""
    timed = cell("slim", 45, 12.5)
    figure = figure_of(timed, "build_time")
    assert (figure.value, figure.unit, figure.how, figure.ranked) == (12.5, "s", "median of isolated builds", True)
    unexpected = figure_of(replace(timed, status=Status.SMOKE_FAILED, as_expected=False, reason="no"), "build_time")
    assert (unexpected.value, unexpected.ranked) == (12.5, False)
    assert unexpected.note == "ended in smoke-failed, which was not expected: no; how fast it failed is nothing to compare"


def test_the_size_of_a_cell_that_failed_is_known_but_told() -> None:
    """An image that does not pass its checks has a size all the same, and nobody is left to think that it works."""
    figure = figure_of(failed("slim", Status.SMOKE_FAILED, 45), "size")
    assert (figure.value, figure.ranked) == (45 * MB, True)
    assert figure.note == "ended in smoke-failed, which was not expected: no wheel"
    assert figure_of(failed("slim", Status.SMOKE_FAILED, 45, expected=True), "size").note is None


@pytest.mark.parametrize(
    ("status", "note"),
    [
        (Status.SKIPPED, "was skipped: no wheel"),
        (Status.EXCLUDED, "is excluded: no wheel"),
        (Status.ERROR, "ended in error, which was not expected: no wheel"),
        (Status.BUILD_FAILED, "ended in build-failed, which was not expected: no wheel"),
    ],
)
def test_a_cell_without_an_image_says_how_it_ended(status: Status, note: str) -> None:
    """Nothing is 0 because it is not there."""
    figure = figure_of(failed("slim", status), "size")
    assert (figure.value, figure.ranked, figure.note) == (None, False, note)


def test_outcomes_tell_a_cell_that_passed_from_one_that_was_only_built() -> None:
    """Without its checks a cell may yet fail."""
    passed = cell("slim", 45)
    assert figure_of(passed, "outcome").value == PASSES
    assert figure_of(replace(passed, smoke=Smoke("skipped")), "outcome").value == BUILT
    assert figure_of(failed("slim", Status.TIMEOUT), "outcome").value == FAILS
    assert figure_of(failed("slim", Status.ERROR), "outcome").value is None


@pytest.mark.parametrize("damaged", [float("nan"), float("inf"), -1.0])
def test_what_a_damaged_record_holds_is_no_figure(damaged: float) -> None:
    """A stored run may have been edited: what cannot be a time is unknown."""
    assert figure_of(cell("slim", 1, damaged), "build_time").value is None
    assert figure_of(of(replace(make_image(1), over_base_bytes=10 * MB)), "base").value is None
    assert figure_of(of(replace(make_image(1), over_base_bytes=None)), "base").note == "has a base whose layers are not known"


def test_a_metric_of_a_newer_matrix_is_unknown() -> None:
    """A stored rule may name what this matrix does not know."""
    assert figure_of(cell("slim", 1), "sise").note == "has no figure 'sise': matrix knows no such metric"


def test_packages_are_counted_and_vulnerabilities_name_their_source() -> None:
    """No scanner is no figure, rather than none found."""
    packages = Packages((Package("musl", "1"),), (Package("a", "1"), Package("b", "1")))
    image = replace(make_image(1), packages=packages)
    assert [figure_of(of(image), metric).value for metric in ("packages", "os_packages", "python_packages")] == [3, 1, 2]
    assert (
        figure_of(of(image), "vulnerabilities").note
        == "was looked at by no scanner; one is asked where `grype` or `trivy` is on the PATH"
    )
    scanned = replace(image, vulnerabilities=Vulnerabilities("grype", "2026-11-20", 1, 2, 3, 4, 5))
    assert (figure_of(of(scanned), "vulnerabilities").value, figure_of(of(scanned), "vulnerabilities").how) == (
        15,
        "grype, database of 2026-11-20",
    )
    assert figure_of(of(replace(image, packages=None)), "os_packages").note == "has layers that could not be read"


@pytest.mark.parametrize(
    ("packages", "value"),
    [
        ((), 0),
        ((Package("a", "1", None, native=False),), 0),
        ((Package("a", "1", "wheel", native=True),), 0),
        ((Package("a", "1", "sdist", native=True), Package("b", "1", "sdist", native=False)), 1),
        ((Package("a", "1", "sdist", native=True), Package("b", "1", None, native=True)), None),
        ((Package("a", "1", "sdist", native=None),), None),
    ],
)
def test_compiled_counts_native_packages_and_guesses_nothing(packages: tuple[Package, ...], value: int | None) -> None:
    """One native package of unknown origin makes the number unknown."""
    assert figure_of(of(replace(make_image(1), packages=Packages((), packages))), "compiled").value == value


def test_the_longest_step_is_a_share_of_all_that_ran() -> None:
    """Steps from the cache took no time, and a build of nothing else has no longest step."""
    steps = tuple(
        Step(f"s{at}", None, "RUN", None, time_s, how)
        for at, (time_s, how) in enumerate([(6.0, "executed"), (2.0, "joined"), (9.0, "cached")])
    )
    some = replace(cell("slim", 1), build=replace(make_build(), steps=steps))
    figure = figure_of(some, "longest_step")
    assert (figure.value, figure.unit, figure.how) == (0.75, "share", "the longest of 2 steps that ran")
    cached = replace(cell("slim", 1), build=replace(make_build(), steps=steps[2:]))
    assert figure_of(cached, "longest_step").note == "ran no step: all came from the cache"
    looked_for = replace(steps[0], instruction="FROM python:3.13-slim@sha256:ab", duration_s=0.02)
    only_base = replace(cached, build=replace(make_build(), steps=(looked_for, steps[2])))
    assert figure_of(only_base, "longest_step").note == "ran no step: all came from the cache"


def floor(metric: str, one: CellRecord, other: CellRecord, noise: float | None = 0.03) -> tuple[float | None, str | None]:
    """Say how far two cells must be apart."""
    found = floor_between(run(one, other, noise=noise), metric, figure_of(one, metric), figure_of(other, metric))
    return found.share, found.why


def test_times_have_the_noise_that_was_measured_and_sizes_that_of_a_build_that_is_repeated() -> None:
    """Where the control gave no noise, no time is better than another."""
    assert floor("build_time", cell("a", 1, 1), cell("b", 1, 2)) == (0.03, None)
    assert floor("build_time", cell("a", 1, 1), cell("b", 1, 2), None) == (None, "the noise of cold builds was not measured")
    assert floor("build_time", cell("a", 1, 1), cell("b", 1, 2), float("nan"))[0] is None
    assert floor("size", cell("a", 1), cell("b", 2)) == (0.0005, None)
    assert floor("packages", cell("a", 1), cell("b", 2)) == (0.0, None)


def test_an_estimated_size_differs_from_an_exact_one_from_5_percent_on() -> None:
    """Two estimates were made alike, so they compare as two exact sizes do."""
    exact, estimate = of(make_image(1)), of(make_image(1, estimated=True))
    assert floor("size", exact, estimate) == (0.05, None)
    assert floor("size", estimate, estimate) == (0.0005, None)


def test_vulnerabilities_compare_only_where_the_same_was_known() -> None:
    """Another scanner, or another day, knows another number."""
    old, new = (of(replace(make_image(1), vulnerabilities=Vulnerabilities("grype", day))) for day in ("1", "2"))
    assert floor("vulnerabilities", old, old)[0] == 0.0
    assert floor("vulnerabilities", old, new) == (
        None,
        "they were counted with different knowledge: grype, database of 1, and grype, database of 2",
    )


def test_the_noise_is_said_in_a_sentence() -> None:
    """Whoever reads a verdict is told which differences decide nothing."""
    sizes = (
        "Sizes differ from 0.05% on, since a build that is repeated differs by its times and logs; "
        "an estimated size differs from an exact one from 5% on."
    )
    times = "Differences of times up to the noise, or within the middle half of a cell's samples, decide nothing (cold 3.0%)."
    assert render_noise(run()) == f"{times} {sizes}"
    assert (
        render_noise(run(noise=None)) == f"No times can be compared: `matrix run --measure 5` times builds by themselves. {sizes}"
    )


@pytest.mark.parametrize("size", [0, 999, 999_999, 1_000_000, 45_449_999])
def test_sentences_round_as_the_tables_do(size: int) -> None:
    """A reader who looks a figure up in the table finds the same digits."""
    assert render_amount(size, "bytes") == f"{megabytes(size)} MB"


@pytest.mark.parametrize(
    ("value", "other", "unit", "words"),
    [
        (50, 100, "bytes", "50.0% smaller"),
        (150, 100, "bytes", "50.0% larger"),
        (250, 100, "bytes", "2.50 times as large"),
        (3, 0, "count", "more"),
        (30, 10, "count", "3.00 times as many"),
        (1, 2, "s", "50.0% less time"),
        (3, 2, "s", "50.0% more time"),
        (5, 2, "s", "2.50 times as long"),
        (0.5, 0.5, "share", "the same"),
        (0.6, 0.5, "share", "20.0% more"),
    ],
)
def test_differences_are_said_as_people_say_them(value: float, other: float, unit: str, words: str) -> None:
    """A difference is a share of the second figure, or how many times it is."""
    assert render_difference(value, other, unit) == words


def test_amounts_and_lists_are_words() -> None:
    """Units stand behind figures, and long lists say how much they leave out."""
    assert [render_amount(*pair) for pair in ((None, "s"), (1.5, "s"), (0.5, "share"), (12, "count"))] == [
        UNKNOWN,
        "1.50 s",
        "50.0%",
        "12",
    ]
    assert (join_words([]), join_words(["a"]), join_words(["a", "b"]), join_words(["a", "b"], "; ")) == (
        "",
        "a",
        "a and b",
        "a; and b",
    )
    assert (join_some("abcd", 2), join_some("ab", 2)) == ("a, b and 2 more", "a and b")


def test_times_of_unlike_machines_are_never_compared() -> None:
    """Parts of a merged run whose machines differ: sizes are compared, times are not."""
    left, right = (replace(cell(base, 10, 1.0), part=f"run-{base}") for base in ("alpine", "slim"))
    record = run(left, right)
    times = [figure_of(one, "build_time") for one in (left, right)]
    floor = floor_between(record, "build_time", *times)
    assert floor == Floor(None, "they were timed on unlike machines, in runs run-alpine and run-slim")
    assert floor_between(record, "size", *[figure_of(one, "size") for one in (left, right)]).share == 0.0005
    together = replace(right, part="run-alpine")
    assert floor_between(record, "build_time", times[0], figure_of(together, "build_time")).share == 0.03
