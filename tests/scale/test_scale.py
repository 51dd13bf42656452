"""What is large is planned and laid out in time and space."""

from __future__ import annotations

import resource
import sys
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.tracing.spans import Span
from orchestrator.tracing.waterfall import make_waterfall
from tests.pace import slowness
from tests.properties.test_waterfall import assert_adds_up
from tests.unit.folders import make_files, plan_of
from tests.unit.traces import BEGAN_NS, TRACE_ID, TraceMaker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.model import Plan


def planned(text: str, folder: Path) -> tuple[float, Plan]:
    """Plan a matrix; give the seconds that it took, and the plan."""
    before_s = time.process_time()
    plan = plan_of(text, folder)
    return time.process_time() - before_s, plan


def test_a_hundred_thousand_cells_are_planned_in_time_and_space(tmp_path: Path) -> None:
    """100,000 cells with a rule, settings and placeholders take under 2 s and under 500 MB."""
    axes = ", ".join(f"{axis}: [{', '.join(f'{axis}{value}' for value in range(10))}]" for axis in "abcde")
    text = f"axes: {{{axes}}}\ndefaults: {{args: {{A: '{{a}}-{{b}}'}}}}\nsettings: {{c: {{c1: {{target: t}}}}}}\n"
    text += "exclude: [{a: a0, b: b0, c: c0}]\n"
    before_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    took_s, plan = planned(text, make_files(tmp_path, "Dockerfile"))
    watched = sys.gettrace() is not None or sys.getprofile() is not None  # coverage takes longer than what it watches
    assert watched or took_s < 2.0 or planned(text, tmp_path)[0] < 2.0 * slowness()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before_bytes < 500_000_000
    assert (len(plan.cells), len(plan.excluded)) == (99_900, 100)


def _deep(count: int) -> list[Span]:
    trace = TraceMaker(10.0)
    parent = trace.root
    for at in range(count):
        parent = trace.step(parent, f"[1/1] RUN {at}", at / count, 10 - at / count)
    return trace.spans


def _comb(count: int) -> list[Span]:
    trace = TraceMaker(100.0)
    beside = trace.step(trace.root, "[1/1] RUN beside", 0, 100)
    for at in range(count // 2):
        trace.step(trace.root, "[1/1] RUN x", at * 100 / count, at * 100 / count + 0.001)
        trace.step(beside, "[1/1] RUN y", 0, 100 - at / count)
    trace.step(trace.root, "[1/1] RUN last", 50, 100)
    return trace.spans


def _circle(count: int) -> list[Span]:
    circle = [Span(TRACE_ID, f"c{at}", f"c{(at + 1) % count}", "x", BEGAN_NS, BEGAN_NS + at) for at in range(count)]
    return [*TraceMaker(10.0).spans, *circle]


@pytest.mark.parametrize("make", [_deep, _comb, _circle])
def test_ten_thousand_spans_are_laid_out_in_seconds(make: Callable[[int], list[Span]]) -> None:
    """A trace that is deep, wide or one circle costs time in proportion, and no stack."""
    spans = make(10_000)
    began = time.process_time()
    waterfall = make_waterfall(spans)
    assert time.process_time() - began < 20 * slowness()
    assert_adds_up(waterfall)
    assert len(waterfall.rows) == len(spans)
