"""Steps that cells share are given to the one that ran them, and times are told apart by who did the work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.measure.periods import covered_s, merge, without
from orchestrator.measure.shared import share_work
from orchestrator.model import Status
from orchestrator.record import Build, CellRecord, Step

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: float) -> datetime:
    """Give a moment."""
    return START + timedelta(seconds=second)


def make_cell(name: str, began: float, wall_s: float, *steps: tuple[str, float, float]) -> CellRecord:
    """Make a cell that saw these steps run, each with its digest, its start and its end; a step of no length was cached."""
    seen = tuple(
        Step(digest, None, digest, at(first), last - first, "executed" if last > first else "cached", digest=digest)
        for digest, first, last in steps
    )
    build = Build("shared", 3, wall_s, steps=seen, started_at=at(began))
    return CellRecord(name, {"kind": name}, Status.PASSED, Status.PASSED, as_expected=True, build=build)


def times(cell: CellRecord) -> tuple[float | None, float | None, float | None]:
    """Give a cell's own, shared and alone times."""
    assert cell.build is not None
    return cell.build.own_s, cell.build.shared_s, cell.build.alone_s


def outcomes(cell: CellRecord) -> list[tuple[str, str | None]]:
    """Give how each step went, and where."""
    assert cell.build is not None
    return [(step.outcome, step.ran_in) for step in cell.build.steps]


def test_a_step_that_three_cells_share_is_the_work_of_one() -> None:
    """Who joined it has its full time as shared, though it waited for less, and would have taken as long alone."""
    cells = [
        make_cell("a", 0, 4, ("common", 0.5, 3.5), ("own-a", 3.5, 4)),
        make_cell("b", 1, 3, ("common", 0.5, 3.5), ("own-b", 3.5, 4)),
        make_cell("c", 3, 1, ("common", 0.5, 3.5), ("own-c", 3.5, 4)),
    ]
    a, b, c = share_work(cells, {})
    assert [outcomes(cell)[0] for cell in (a, b, c)] == [("executed", None), ("joined", "a"), ("joined", "a")]
    assert times(a) == (4, 0, 4)
    assert times(b) == (0.5, 3, 3.5)
    assert times(c) == (0.5, 3, 3.5)


def test_a_step_that_is_over_between_two_clocks_is_the_work_of_one() -> None:
    """As a builder told it of three cells: each build has a clock of its own, and a COPY takes less than they are apart."""
    copies = [("a", 20.473845, 0.003268), ("b", 20.477164, 0.003269), ("c", 20.467338, 0.003269)]
    cells = [make_cell(name, 17.9, 4.1, ("common", first, first + took_s)) for name, first, took_s in copies]
    found = share_work(cells, {"common": "c"})
    assert [outcomes(cell) for cell in found] == [[("joined", "c")], [("joined", "c")], [("executed", None)]]
    later = [*cells[:2], make_cell("c", 17.9, 4.1, ("common", 25.467338, 25.470607))]
    found = share_work(later, {"common": "c"})
    assert [outcomes(cell) for cell in found] == [[("executed", None)], [("joined", "a")], [("executed", None)]]


def test_the_same_step_in_two_pods_is_the_work_of_both() -> None:
    """As two pods told it of four cells: who joined has its runner's duration to the microsecond, by another clock."""
    cells = [
        make_cell("b", 30.696192, 10.192, ("common", 31.296592, 31.296592 + 5.645776)),
        make_cell("d", 31.286620, 9.696, ("common", 31.306831, 31.306831 + 5.645777)),
        make_cell("e", 30.432611, 10.381, ("common", 31.281576, 31.281576 + 5.647358)),
        make_cell("f", 30.818823, 10.243, ("common", 31.281670, 31.281670 + 5.647358)),
    ]
    found = share_work(cells, {"common": "b"}, of_pods=True)
    assert [outcomes(cell)[0] for cell in found] == [("executed", None), ("joined", "b"), ("executed", None), ("joined", "e")]
    assert [times(cell)[0] for cell in found] == [10.192, 4.05, 10.381, 4.596]
    in_one = share_work(cells, {"common": "b"})
    assert [outcomes(cell)[0] for cell in in_one] == [("executed", None), ("joined", "b"), ("joined", "b"), ("joined", "b")]


def test_what_the_builders_spans_tell_stands_before_what_is_likely() -> None:
    """Unless the cell that they name did not see the step at that time: then it ran twice."""
    cells = [make_cell("a", 0, 4, ("common", 1, 3)), make_cell("b", 0.5, 3, ("common", 1, 3))]
    a, b = share_work(cells, {"common": "b"})
    assert (outcomes(a), outcomes(b)) == ([("joined", "b")], [("executed", None)])
    a, b = share_work(cells, {"common": "gone"})
    assert (outcomes(a), outcomes(b)) == ([("executed", None)], [("joined", "a")])


def test_the_same_step_at_another_time_is_work_done_again() -> None:
    """And what the cache held is nobody's work."""
    cells = [make_cell("a", 0, 2, ("step", 0, 2)), make_cell("b", 5, 2, ("step", 5, 7)), make_cell("c", 8, 0.5, ("step", 8, 8))]
    assert [outcomes(cell)[0][0] for cell in share_work(cells, {"step": "a"})] == ["executed", "executed", "cached"]
    assert [times(cell) for cell in share_work(cells, {})] == [(2, 0, 2), (2, 0, 2), (0.5, 0, 0.5)]


def test_waiting_while_working_is_no_waiting() -> None:
    """Beside a step of its own, another's costs a cell only what comes on top."""
    a, b = share_work([make_cell("a", 0, 4, ("common", 0, 4)), make_cell("b", 0, 4, ("common", 0, 4), ("own", 1, 3))], {})
    assert times(a) == (4, 0, 4)
    assert times(b) == (2, 2, 4)


def test_a_cell_whose_times_are_unknown_stays_as_it_is() -> None:
    """A record of an older version says nothing of its start."""
    cell = CellRecord("x", {}, Status.PASSED, Status.PASSED, as_expected=True, build=Build("shared", 1, 3.0))
    assert share_work([cell], {}) == (cell,)


PERIODS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: (at(min(pair)), at(max(pair)))), max_size=8)


@given(PERIODS, PERIODS)
def test_what_is_left_and_what_is_taken_add_up(
    some: list[tuple[datetime, datetime]], others: list[tuple[datetime, datetime]]
) -> None:
    """Second by second, a period is left where it is and no other one is."""

    def seconds(periods: list[tuple[datetime, datetime]]) -> set[int]:
        return {second for second in range(30) if any(first <= at(second) < last for first, last in periods)}

    left = without(some, others)
    assert seconds(left) == seconds(some) - seconds(others)
    assert covered_s(left) == pytest.approx(len(seconds(left)))
    assert merge(left) == left


@given(st.permutations(["a", "b", "c", "d"]), st.floats(0, 5), st.floats(0.1, 5))
def test_own_work_is_counted_once_in_any_order(order: list[str], first: float, length: float) -> None:
    """The sum of what cells did themselves does not depend on the order, nor on how many joined."""
    cells = {name: make_cell(name, 0.1 * at, 6, ("common", first, first + length)) for at, name in enumerate("abcd")}
    shared = share_work([cells[name] for name in order], {})
    assert sum(outcome == ("executed", None) for cell in shared for outcome in outcomes(cell)) == 1
    assert {cell.id for cell in shared if outcomes(cell)[0][1] is None} == {"a"}
