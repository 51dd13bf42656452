"""What holds for every plan that the scheduler's simulation is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.simulate import Model, Work, simulate, solve_cores

SECONDS = st.floats(0.0, 60.0)
CORES = st.floats(0.0, 2.0)
BUILT = st.lists(st.builds(Work, SECONDS, CORES), max_size=3)
TESTED = st.lists(st.builds(Work, SECONDS, CORES, after_build=st.just(True)), max_size=2)  # noqa: FBT003  # a value to draw
OWN = st.tuples(BUILT, TESTED).map(lambda pieces: (*pieces[0], *pieces[1]))
CELLS = st.lists(OWN, max_size=12)
PREFIX = st.builds(Work, SECONDS, CORES, st.just("prefix"))
CPUS = 2.0
JOBS = st.integers(1, 16)
TOLERANCE = 1e-6


@given(CELLS, JOBS)
def test_no_run_is_quicker_than_its_work_or_slower_than_one_by_one(cells: list[tuple[Work, ...]], jobs: int) -> None:
    """Processors cannot do more than they can, no cell is quicker than alone, and one by one nobody is in the way."""
    wall_s = simulate(cells, jobs=jobs, cpus=CPUS)
    busy_s = sum(piece.seconds * piece.cores for cell in cells for piece in cell)
    longest_s = max((sum(piece.seconds for piece in cell) for cell in cells), default=0.0)
    total_s = sum(piece.seconds for cell in cells for piece in cell)
    assert wall_s >= max(busy_s / CPUS, longest_s) - TOLERANCE
    assert wall_s <= total_s + TOLERANCE
    assert simulate(cells, jobs=1, cpus=CPUS) == pytest.approx(total_s, abs=TOLERANCE)


@given(CELLS, OWN, PREFIX, JOBS)
def test_one_more_cell_never_makes_a_run_quicker(
    cells: list[tuple[Work, ...]], more: tuple[Work, ...], prefix: Work, jobs: int
) -> None:
    """Neither with a common prefix nor without: it begins last and can only be in the way."""
    for first in ((), (prefix,)):
        built = [(*first, *cell) for cell in (*cells, more)]
        assert simulate(built, jobs=jobs, cpus=CPUS) >= simulate(built[:-1], jobs=jobs, cpus=CPUS) - TOLERANCE


@given(CELLS, JOBS, st.floats(1.0, 4.0))
def test_more_processors_never_make_one_cell_slower(cells: list[tuple[Work, ...]], jobs: int, times: float) -> None:
    """Of many cells this need not be so, since others may begin in another order; of as many as run at once it is."""
    few = cells[:jobs]
    assert simulate(few, jobs=jobs, cpus=CPUS * times) <= simulate(few, jobs=jobs, cpus=CPUS) + TOLERANCE


@given(CELLS, PREFIX, JOBS)
def test_a_common_prefix_costs_once(cells: list[tuple[Work, ...]], prefix: Work, jobs: int) -> None:
    """All of it is waited for by everybody, and then the run is what it would have been without."""
    built = [(prefix, *cell) for cell in cells]
    expected = simulate(cells, jobs=jobs, cpus=CPUS) + (prefix.seconds if cells else 0.0)
    assert simulate(built, jobs=jobs, cpus=CPUS) == pytest.approx(expected, abs=TOLERANCE)


@given(st.floats(0.05, 1.95), st.integers(2, 8), st.integers(2, 4))
def test_how_busy_the_machine_is_follows_from_how_long_it_took(cores: float, count: int, jobs: int) -> None:
    """What is solved for gives the very time that it was solved from."""
    model = Model(1.0, 0.5, 0.1, 2.0, (("buildx", 0.4), ("smoke", 0.8)), cores)
    wall_s = model.wall_s(count, jobs=jobs, cpus=CPUS)
    found = solve_cores(model, wall_s=wall_s, count=count, jobs=jobs, cpus=CPUS)
    again = Model(1.0, 0.5, 0.1, 2.0, model.cell, found)
    assert again.wall_s(count, jobs=jobs, cpus=CPUS) == pytest.approx(wall_s, rel=1e-6)
