"""Two cells' steps side by side: what belongs together stands together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tracing.compare import Comparison, compare
from orchestrator.tracing.waterfall import Waterfall, make_waterfall
from tests.unit.traces import TraceMaker, make_alpine, make_slim


def cell_of(*steps: str) -> Waterfall:
    """Make a cell whose first step takes one second, its second two, and so on."""
    trace = TraceMaker(1000.0)
    at = 0.0
    for seconds, step in enumerate(steps, 1):
        trace.step(trace.root, step, at, at + seconds)
        at += seconds
    return make_waterfall(trace.spans)


def names_of(comparison: Comparison) -> list[tuple[str | None, str | None]]:
    """Give the names of each pair."""
    return [(pair.left.name if pair.left else None, pair.right.name if pair.right else None) for pair in comparison.steps]


def test_the_same_instruction_stands_beside_itself_wherever_it_is() -> None:
    """A step more in one Dockerfile does not push all that follow it out of line."""
    left = cell_of("[1/3] FROM a", "[2/3] RUN apk add gcc", "[3/3] RUN pip install x")
    right = cell_of("[1/2] FROM a", "[2/2] RUN pip install x")
    both = compare(left, right)
    assert names_of(both) == [
        ("[1/3] FROM a", "[1/2] FROM a"),
        ("[2/3] RUN apk add gcc", None),
        ("[3/3] RUN pip install x", "[2/2] RUN pip install x"),
    ]
    assert [pair.difference_ns / 1e9 for pair in both.steps] == [0, 2, 1]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("[1/2] FROM a@sha256:" + "a" * 64, "[1/2] FROM a@sha256:" + "b" * 64),
        ("[build 2/3] RUN make", "[2/2] RUN make"),
        ("[build 2/3] RUN --mount=type=cache,target=/x pip install a", "[build 2/3] RUN --network=none pip install a b"),
        ("[build 2/3] RUN pip install a", "[builder 2/3] RUN pip install a b"),
        ("[2/3] RUN apk add gcc", "[2/3] RUN apt-get install gcc"),
        ("[1/2] FROM alpine", "[1/2] from slim"),
    ],
)
def test_steps_that_are_alike_are_a_pair(left: str, right: str) -> None:
    """Another digest, stage, flag, package manager or base does not tear a step from its like."""
    assert names_of(compare(cell_of(left), cell_of(right))) == [(left, right)]


@pytest.mark.parametrize(
    ("left", "right"),
    [("[2/3] RUN make", "[2/3] COPY x /x"), ("[a 2/3] RUN make", "[b 2/3] RUN pip install x"), ("[1/1] RUN", "[1/1] FROM")],
)
def test_steps_that_are_nothing_alike_stand_alone(left: str, right: str) -> None:
    """A step is not compared with one that does something else in another place."""
    assert names_of(compare(cell_of(left), cell_of(right))) == [(None, right), (left, None)]


def test_the_surer_likeness_goes_first() -> None:
    """The first RUN of one stage is not given the partner that a later one fits better."""
    left = cell_of("[1/2] RUN apk add gcc", "[2/2] RUN pip install a")
    right = cell_of("[1/2] RUN pip install b", "[2/2] RUN pip install a")
    assert names_of(compare(left, right)) == [
        ("[1/2] RUN apk add gcc", "[1/2] RUN pip install b"),
        ("[2/2] RUN pip install a", "[2/2] RUN pip install a"),
    ]


def test_what_only_one_has_stands_where_it_belongs() -> None:
    """A step without a partner follows the step that it follows in its own Dockerfile."""
    left = cell_of("[1/2] FROM a", "[2/2] RUN make")
    right = cell_of("[1/4] LABEL x", "[2/4] FROM a", "[3/4] COPY y /y", "[4/4] RUN make", "[4/4] USER z")
    assert [pair[1] for pair in names_of(compare(left, right))] == [
        "[1/4] LABEL x",
        "[2/4] FROM a",
        "[3/4] COPY y /y",
        "[4/4] RUN make",
        "[4/4] USER z",
    ]


def test_parts_that_only_one_cell_has_are_told_from_those_that_took_no_time() -> None:
    """A cell that was not loaded has no load, not one of zero seconds."""
    parts = compare(make_waterfall(make_alpine()), make_waterfall(make_slim())).parts
    assert parts["load"] == (None, 2 * 10**9)
    assert parts["other"] == (200_000_000, 0)
    assert list(parts) == ["buildx", "definition", "pull", "steps", "export", "load", "analyse", "smoke", "other"]


STEPS = st.lists(st.sampled_from(["[1/9] FROM a", "[b 2/9] RUN x", "[c 2/9] RUN x", "[3/9] RUN y z", "[4/9] COPY a b"]), max_size=8)


@given(STEPS, STEPS)
def test_every_step_of_both_is_shown_once(left: list[str], right: list[str]) -> None:
    """However two Dockerfiles differ, no step is lost or doubled, and the left one keeps its order."""
    cells = cell_of(*left), cell_of(*right)
    pairs = compare(*cells).steps
    assert [pair.left for pair in pairs if pair.left] == list(cells[0].steps)
    assert sorted(pair.right.span_id for pair in pairs if pair.right) == sorted(step.span_id for step in cells[1].steps)
    assert not [pair for pair in pairs if pair.left is None and pair.right is None]
    seconds = [sum(range(len(steps) + 1)) for steps in (left, right)]
    assert sum(pair.difference_ns for pair in pairs) == (seconds[0] - seconds[1]) * 10**9
