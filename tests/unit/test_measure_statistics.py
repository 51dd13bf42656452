"""What repeated measurements say, and in which order they are taken."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.measure.schedule import make_schedule
from orchestrator.measure.statistics import median_of, noise_of, outliers_of, spread_of

TIMES = st.lists(st.floats(0.01, 1000), min_size=1, max_size=4)


def test_a_few_samples_say_what_they_can() -> None:
    """Nothing is unknown and not zero, one has no spread, three spread all over, more by their middle half."""
    assert (median_of([]), spread_of([])) == (None, None)
    assert (median_of([2.0]), spread_of([2.0])) == (2.0, None)
    assert (median_of([1, 2, 9]), spread_of([1, 2, 9])) == (2, 8)
    assert (median_of([1, 2, 3, 4, 99]), spread_of([1, 2, 3, 4, 99])) == (3, 2)


def test_what_is_far_from_the_others_stands_out() -> None:
    """Not what is merely the largest, nor anything among three."""
    assert outliers_of([10, 10.1, 10.2, 9.9, 14]) == [14]
    assert outliers_of([10, 10.1, 10.2, 9.9, 10.3]) == []
    assert outliers_of([1, 1, 9]) == []


def test_noise_is_at_least_what_the_control_showed() -> None:
    """Even where both halves agree by luck, what another deal could have shown counts."""
    assert noise_of([10, 10, 10], [12, 12, 12], 1) == pytest.approx(2 / 11)
    by_luck = noise_of([9, 10, 11], [9, 10, 11], 1)
    assert by_luck is not None
    assert by_luck > 0.05
    assert noise_of([10], [10], 1) == 0
    assert noise_of([], [10], 1) is None


@given(TIMES, TIMES, st.integers(0, 2**32))
def test_noise_does_not_depend_on_which_is_which(a: list[float], b: list[float], seed: int) -> None:
    """And is a share of the middle: of times ten times as long it is the same."""
    noise = noise_of(a, b, seed)
    assert noise is not None
    assert noise >= 0
    if len(a) == len(b):
        assert noise_of([10 * one for one in a], [10 * one for one in b], seed) == pytest.approx(noise)


def test_every_cell_is_measured_once_a_round_in_an_order_that_a_seed_gives() -> None:
    """The control comes twice, rounds differ, and the same seed gives the same order again."""
    samples = make_schedule(["a", "b", "c"], ["cold", "cached"], 4, "a", 7)
    rounds = [samples[at : at + 8] for at in range(0, 32, 8)]
    assert [sample.number for sample in samples] == list(range(1, 33))
    for one in rounds:
        found = Counter((sample.cell, sample.scenario, sample.is_control) for sample in one)
        assert set(found.values()) == {1}
        assert sum(sample.is_control for sample in one) == 2
    assert len({tuple((sample.cell, sample.scenario) for sample in one) for one in rounds}) > 1
    assert make_schedule(["a", "b", "c"], ["cold", "cached"], 4, "a", 7) == samples
    assert make_schedule(["a", "b", "c"], ["cold", "cached"], 4, "a", 8) != samples
