"""A waterfall laid out for a page: bars that add up, and the rows that say most where not all have room."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from orchestrator.report.bars import UNITS, make_chart
from orchestrator.tracing.names import Part
from orchestrator.tracing.waterfall import make_waterfall
from tests.unit.traces import TraceMaker, make_alpine, make_slim

if TYPE_CHECKING:
    from orchestrator.tracing.spans import Span


@pytest.mark.parametrize("spans", [make_alpine(), make_slim()])
def test_parts_fill_the_whole_and_name_the_largest(spans: list[Span]) -> None:
    """The costs lie side by side from the beginning to the end, and the one that cost most is marked."""
    costs = make_chart(make_waterfall(spans), 100).costs
    for cost, following in pairwise(costs):
        assert abs(cost.x + cost.width - following.x) <= 1
    assert UNITS - 1 <= costs[-1].x + costs[-1].width <= UNITS
    assert [cost.part for cost in costs if cost.most] == ["steps"]


def test_a_bar_lies_where_its_span_was() -> None:
    """A bar's place and width are its share of the cell's time, and what took no time can still be seen."""
    chart = make_chart(make_waterfall(make_alpine()), 100)
    places = {bar.name: (bar.x, bar.x + bar.width) for bar in chart.bars}
    assert places["cell"] == (0, UNITS)
    assert places["smoke"] == (round(60.9 / 64 * UNITS), UNITS)
    trace = TraceMaker(10.0)
    trace.step(trace.root, "[1/1] RUN true", 10.0, 10.0)
    last = make_chart(make_waterfall(trace.spans), 100).bars[-1]
    assert (last.x, last.width) == (UNITS, 1)
    assert chart.ticks == ("0.0 s", "16.0 s", "32.0 s", "48.0 s", "64.0 s")


def test_how_a_step_came_about_is_said_in_words_and_drawn() -> None:
    """Cached, joined, failed and critical rows differ by word as well as by look, and say where they ran."""
    bars = {bar.name: bar for bar in make_chart(make_waterfall(make_slim()), 100).bars}
    joined = bars["[build 2/2] RUN pip install -r requirements.txt"]
    assert (joined.marks, joined.where) == (("joined",), "ran in slim-3.13-fastapi, 10.00 s in all")
    assert {"joined", "critical"} <= set(joined.classes.split())
    failed = bars["import grpc"]
    assert (failed.marks, failed.why) == (("✗ failed",), "Segmentation fault (SIGSEGV), exit 139")
    assert "failed" in failed.classes.split()
    assert bars["[stage-1 1/2] WORKDIR /app"].marks == ("cached",)
    assert "--mount=type=cache,target=/root/.cache" in joined.tip


def test_a_reason_is_said_once_where_it_came_from() -> None:
    """A failed step fails its build and its cell; the reason stands at the step, and each of them is marked."""
    trace = TraceMaker(3.0)
    build = trace.add(trace.root, "build", 0, 3, error="exit 1")
    trace.step(build, "[1/1] RUN false", 1, 3, error="exit 1")
    bars = make_chart(make_waterfall(trace.spans), 100).bars
    assert [bar.why for bar in bars] == [None, None, "exit 1"]
    assert [bar.marks for bar in bars[1:]] == [("✗ failed",)] * 2
    assert "exit 1" in bars[1].tip


def test_a_huge_trace_is_cut_to_what_says_most() -> None:
    """Errors and long steps stay, each under what it belongs to, and what is left out is counted."""
    trace = TraceMaker(1000.0)
    build = trace.add(trace.root, "build", 0, 1000)
    solve = trace.add(build, "solve", 0, 1000)
    for number in range(2000):
        step = trace.step(solve, f"[{number}/2000] RUN {number}", number / 2, number / 2 + (0.4 if number != 700 else 0.49))
        trace.add(step, "process", number / 2, number / 2 + 0.3)
    failing = trace.step(solve, "[2001/2001] RUN false", 999.9, 1000, error="exit 1")
    trace.add(failing, "process", 999.9, 1000)
    chart = make_chart(make_waterfall(trace.spans), 50)
    names = [bar.name for bar in chart.bars]
    assert len(names) == 50
    assert chart.left_out == len(trace.spans) - 50
    assert {"cell", "build", "solve", "[700/2000] RUN 700", "[2001/2001] RUN false"} <= set(names)
    assert "process" not in names
    assert names[:3] == ["cell", "build", "solve"]


def test_a_deep_trace_is_laid_out_in_no_time() -> None:
    """A chain of spans as deep as an attacker likes neither recurses nor takes long, and is drawn only so deep."""
    trace = TraceMaker(10.0)
    parent = trace.root
    for _ in range(3000):
        parent = trace.add(parent, "deeper", 0, 10)
    trace.part(parent, Part.PULL, "[1/1] FROM x", 0, 10)
    chart = make_chart(make_waterfall(trace.spans), 20)
    assert len(chart.bars) <= 20
    assert {name for bar in chart.bars for name in bar.classes.split() if name.startswith("d")} <= {
        f"d{depth}" for depth in range(10)
    } | {"detail"}


def test_a_cell_that_took_no_time_has_a_waterfall() -> None:
    """Nothing is divided by a wall time of zero."""
    trace = TraceMaker(0.0)
    trace.step(trace.root, "[1/1] RUN true", 0, 0, "cached")
    chart = make_chart(make_waterfall(trace.spans), 20)
    assert [bar.seconds for bar in chart.bars] == ["0.00", "0.00"]
    assert {cost.share for cost in chart.costs} == {"–"}
