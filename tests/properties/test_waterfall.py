"""One cell's waterfall: its parts add up to its wall time, whatever its trace holds."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.tracing import names
from orchestrator.tracing.names import Part
from orchestrator.tracing.otlp import NotATraceError, dump_lines, load_lines
from orchestrator.tracing.spans import Code, Span, SpanStatus
from orchestrator.tracing.waterfall import COSTS, OTHER, Row, Waterfall, make_waterfall
from tests.unit.traces import BEGAN_NS, TRACE_ID, TraceMaker, make_alpine, make_slim


def row_of(waterfall: Waterfall, name: str) -> Row:
    """Give the only row whose name begins like that."""
    [found] = [row for row in waterfall.rows if row.name.startswith(name)]
    return found


def assert_adds_up(waterfall: Waterfall) -> None:
    """Hold the parts against the wall time, to the nanosecond, in the order in which people read them."""
    assert sum(waterfall.parts.values()) == waterfall.wall_ns
    assert all(cost >= 0 for cost in waterfall.parts.values())
    assert list(waterfall.parts) == [cost for cost in COSTS if cost in waterfall.parts]


def test_every_part_costs_what_the_cell_waited_for() -> None:
    """What went on beside something longer costs nothing, and what nothing accounts for is other."""
    waterfall = make_waterfall(make_alpine())
    assert_adds_up(waterfall)
    assert waterfall.parts_s == {
        "buildx": 0.3,
        "definition": 0.5,
        "pull": 2.5,
        "steps": 51.5,
        "export": 3.9,
        "analyse": 2.0,
        "smoke": 3.1,
        "other": 0.2,
    }
    beside = row_of(waterfall, "[stage-1 2/3] RUN apk add")
    assert (beside.critical_s, beside.is_critical, beside.duration_s) == (0.0, False, 1.59)
    assert row_of(waterfall, "[build 3/3]").critical_s == 42.5


def test_a_part_that_the_cell_has_not_is_not_there() -> None:
    """No load is told from a load that took no time."""
    assert "load" not in make_waterfall(make_alpine()).parts
    trace = TraceMaker(1.0)
    trace.part(trace.root, Part.LOAD, "load", 0.5, 0.5)
    assert make_waterfall(trace.spans).parts == {"load": 0, "other": 10**9}


def test_a_long_call_without_a_part_does_not_hide_what_went_on_meanwhile() -> None:
    """A client that listens until the end takes no time from the steps that it listened to."""
    trace = TraceMaker(10.0)
    trace.add(trace.root, "listening", 0, 10)
    solve = trace.add(trace.root, "solve", 0, 9.9)
    trace.step(solve, "[1/1] RUN x", 0, 9.9)
    waterfall = make_waterfall(trace.spans)
    assert waterfall.parts_s == {"steps": 9.9, "other": 0.1}
    assert row_of(waterfall, "solve").critical_s == 9.9
    assert not row_of(waterfall, "listening").is_critical


def test_of_two_steps_at_once_the_later_one_is_on_the_path_and_none_is_counted_twice() -> None:
    """Eight seconds of two parallel steps in a cell of five are five seconds."""
    trace = TraceMaker(5.0)
    trace.step(trace.root, "[a 1/1] RUN x", 0, 5)
    trace.step(trace.root, "[b 1/1] RUN y", 1, 4)
    waterfall = make_waterfall(trace.spans)
    assert waterfall.parts_s == {"steps": 5.0, "other": 0.0}
    assert [row.critical_s for row in waterfall.steps] == [5.0, 0.0]


@pytest.mark.parametrize("late_s", [-0.009, -0.001, 0.0, 0.001, 0.009])
def test_steps_that_overlap_or_stand_apart_by_a_moment_follow_upon_each_other(late_s: float) -> None:
    """The chain of steps is found though two programs took their times, and not lost to a step that went on beside it."""
    trace = TraceMaker(12.0)
    beside = trace.step(trace.root, "[a 1/1] RUN beside", 0, 10)
    first = trace.step(trace.root, "[b 1/2] RUN first", 0, 4 + late_s)
    second = trace.step(trace.root, "[b 2/2] RUN second", 4, 12)
    critical = {row.span_id: row.critical_s for row in make_waterfall(trace.spans).rows}
    assert critical[second] == 8.0
    assert critical[first] == pytest.approx(4, abs=0.01)
    assert critical[beside] == 0.0


def test_a_gap_in_the_chain_is_given_to_what_went_on_in_it() -> None:
    """A load that reads while the export still writes does not make the export's first second other."""
    trace = TraceMaker(12.0)
    trace.step(trace.root, "[1/1] RUN x", 0, 9)
    trace.part(trace.root, Part.EXPORT, "exporting", 9, 11.5)
    trace.part(trace.root, Part.LOAD, "load", 10, 12)
    assert make_waterfall(trace.spans).parts_s == {"steps": 9.0, "export": 1.0, "load": 2.0, "other": 0.0}


def test_time_between_the_spans_inside_a_part_is_the_parts_own() -> None:
    """Smoke is as long as it is, with or without a check at every moment; a pull inside a step is pull."""
    trace = TraceMaker(10.0)
    smoke = trace.part(trace.root, Part.SMOKE, "smoke", 0, 4)
    trace.check(smoke, "import json", 1, 2)
    step = trace.step(trace.root, "[1/1] FROM x", 4, 10)
    detail = trace.add(step, "resolve", 4, 10)
    trace.part(detail, Part.PULL, "pull", 5, 7)
    waterfall = make_waterfall(trace.spans)
    assert waterfall.parts_s == {"pull": 2.0, "steps": 4.0, "smoke": 4.0, "other": 0.0}
    assert [row.critical_s for row in waterfall.rows] == [10.0, 4.0, 1.0, 6.0, 2.0, 2.0]


def test_a_base_that_is_fetched_after_its_step_has_ended_is_a_pull() -> None:
    """The span of `FROM` ends when the base is known; what is fetched later hangs below it all the same."""
    trace = TraceMaker(5.0)
    build = trace.add(trace.root, "build", 0, 5)
    base = trace.part(build, Part.PULL, "[1/2] FROM x", 0, 0.2)
    trace.part(base, Part.PULL, "HTTP GET", 0.2, 3)
    trace.step(build, "[2/2] RUN y", 3, 5)
    assert make_waterfall(trace.spans).parts_s == {"pull": 3.0, "steps": 2.0, OTHER: 0.0}


def test_a_joined_step_counts_from_when_the_cell_could_ask_for_it() -> None:
    """A step that another cell had begun long before takes nothing from this cell's own start and definition."""
    waterfall = make_waterfall(make_slim())
    assert_adds_up(waterfall)
    assert waterfall.parts_s["buildx"] == 0.3
    assert waterfall.parts_s["definition"] == 0.5
    joined = row_of(waterfall, "[build 2/2]")
    assert (joined.outcome, joined.ran_in) == ("joined", "slim-3.13-fastapi")
    assert (joined.start_s, joined.duration_s, joined.whole_s, joined.critical_s) == (0.0, 6.0, 10.0, 5.2)


def test_rows_are_in_tree_order_and_details_are_told_from_what_matters() -> None:
    """Parts and checks are shown below what is shown above them; the builder's own calls are there when asked for."""
    trace = TraceMaker(10.0)
    build = trace.add(trace.root, "build", 0, 9)
    solve = trace.add(build, "solve", 1, 9)
    step = trace.step(solve, "[1/1] RUN x", 2, 9)
    trace.add(step, "process", 3, 9)
    trace.add(build, "list workers", 0, 1)
    trace.add(build, "broken call", 8, 9, error="connection reset")
    waterfall = make_waterfall(trace.spans)
    assert [(row.depth, row.name) for row in waterfall.shown()] == [
        (0, "cell"),
        (1, "build"),
        (2, "[1/1] RUN x"),
    ]
    assert [row.name for row in waterfall.shown(details=True)] == [
        "cell",
        "build",
        "list workers",
        "solve",
        "[1/1] RUN x",
        "process",
        "broken call",
    ]
    assert waterfall.rows[-1].error == "connection reset"


def test_an_error_without_words_is_an_error() -> None:
    """A failed span is marked also when it does not say why."""
    trace = TraceMaker(1.0)
    trace.add(trace.root, "x", 0, 1, error="")
    assert [row.error for row in make_waterfall(trace.spans).rows] == [None, "failed"]


@pytest.mark.parametrize(
    ("name", "parent"),
    [("build", ""), ("cell", "2"), ("build", "1")],
)
def test_a_trace_without_a_cell_is_refused(name: str, parent: str) -> None:
    """A run's trace, or a circle, is not taken for a cell's."""
    spans = [Span("t", "1", parent, name, 0, 1), Span("t", "2", "1", "run", 0, 1)]
    with pytest.raises(NotATraceError, match="it holds no span 'cell' from which the others come"):
        make_waterfall(spans)
    with pytest.raises(NotATraceError):
        make_waterfall([])


def test_circles_orphans_and_doubles_have_one_place_each() -> None:
    """Spans whose parents are not there, or each other, hang from the cell; a span that comes twice is one."""
    trace = TraceMaker(10.0)
    step = {names.PART: Part.STEP}
    broken = [
        Span(TRACE_ID, "a", "b", "first of a circle", BEGAN_NS, BEGAN_NS + 10**9, attributes=step),
        Span(TRACE_ID, "b", "a", "second of a circle", BEGAN_NS + 1, BEGAN_NS + 10**9),
        Span(TRACE_ID, "c", "c", "its own parent", BEGAN_NS + 2, BEGAN_NS),
        Span(TRACE_ID, "d", "gone", "orphan", BEGAN_NS + 3, BEGAN_NS + 10**9),
        Span(TRACE_ID, "d", "gone", "double", BEGAN_NS + 3, BEGAN_NS + 10**9),
        Span("other", "e", trace.root, "of another trace", BEGAN_NS + 4, BEGAN_NS + 10**9),
    ]
    waterfall = make_waterfall([*trace.spans, *broken])
    assert_adds_up(waterfall)
    assert [(row.depth, row.name) for row in waterfall.rows] == [
        (0, "cell"),
        (1, "first of a circle"),
        (2, "second of a circle"),
        (1, "its own parent"),
        (1, "orphan"),
        (1, "of another trace"),
    ]
    assert row_of(waterfall, "its own parent").duration_ns == 0
    assert waterfall.parts == {"steps": 10**9, OTHER: 9 * 10**9}


@pytest.mark.parametrize("value", ["unheard-of", "", 7, True, ("step",)])
def test_a_part_that_nobody_knows_is_none(value: str | int | tuple[str, ...]) -> None:
    """A newer or a hostile trace is shown, and its unknown parts are other."""
    trace = TraceMaker(1.0)
    trace.add(trace.root, "x", 0, 1, {names.PART: value, names.RAN_IN: value, names.STEP_INSTRUCTION: 1})
    waterfall = make_waterfall(trace.spans)
    assert waterfall.parts == {OTHER: 10**9}
    assert waterfall.rows[1].part is None


MOMENTS = st.integers(-20, 120).map(lambda tenth: BEGAN_NS + tenth * 10**8) | st.integers(0, 2**64 - 1)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        names.PART: st.sampled_from([*Part, "nonsense"]),
        names.STEP_OUTCOME: st.sampled_from(["executed", "cached", "joined"]),
        names.CHECK_OUTCOME: st.just("passed"),
    },
)
SPANS = st.lists(
    st.builds(
        Span,
        trace_id=st.just(TRACE_ID),
        span_id=st.integers(0, 30).map(str),
        parent_id=st.integers(0, 30).map(str),
        name=st.sampled_from(["cell", "x"]),
        start_ns=MOMENTS,
        end_ns=MOMENTS,
        attributes=ATTRIBUTES,
        status=st.sampled_from([SpanStatus(), SpanStatus(Code.ERROR, "why")]),
    ),
    max_size=40,
)
ROOT = Span(TRACE_ID, "root", "", "cell", BEGAN_NS, BEGAN_NS + 10**10)


@given(SPANS, MOMENTS, MOMENTS)
@example([], BEGAN_NS + 1, BEGAN_NS)
def test_the_parts_of_any_tree_add_up_to_its_wall_time(spans: list[Span], start_ns: int, end_ns: int) -> None:
    """The sum rule holds for every trace: overlaps, gaps, circles, orphans, clocks that run backwards."""
    waterfall = make_waterfall([replace(ROOT, start_ns=start_ns, end_ns=end_ns), *spans])
    assert_adds_up(waterfall)
    assert len(waterfall.rows) == len({span.span_id for span in spans}) + 1
    for row in waterfall.rows:
        assert 0 <= row.start_ns <= row.start_ns + row.duration_ns <= waterfall.wall_ns
        assert 0 <= row.critical_ns <= waterfall.wall_ns
        assert row.part is None or row.depth == 0 or row.critical_ns <= row.duration_ns


@given(SPANS)
def test_a_part_costs_no_more_than_the_time_in_which_it_went_on(spans: list[Span]) -> None:
    """No second is charged to a part of which nothing was going on."""
    waterfall = make_waterfall([ROOT, *spans])
    for part, cost in waterfall.parts.items():
        if part in (OTHER, "smoke"):
            continue
        covered, end = 0, 0
        for row in sorted((row for row in waterfall.rows[1:] if row.part == part.removesuffix("s")), key=lambda row: row.start_ns):
            covered += max(0, row.start_ns + row.duration_ns - max(row.start_ns, end))
            end = max(end, row.start_ns + row.duration_ns)
        assert cost <= covered


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x1e"])
def test_a_name_with_a_line_end_in_it_does_not_damage_a_trace(end: str) -> None:
    """What ends a line for Unicode does not end one of trace.json."""
    trace = TraceMaker(1.0)
    trace.add(trace.root, f"RUN echo {end} x", 0, 1)
    assert load_lines(dump_lines(trace.spans)) == trace.spans


@pytest.mark.parametrize("moment", ["-1", "18446744073709551616", "Infinity", "1e400", '"x"', '"' + "9" * 5000 + '"'])
def test_a_time_that_cannot_be_is_refused_by_line(moment: str) -> None:
    """A trace with times beyond 64 bits is damaged, and does not break what reads it."""
    line = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"a","spanId":"b","endTimeUnixNano":%s}]}]}]}'
    with pytest.raises(NotATraceError, match="line 2 is not an OTLP/JSON document"):
        load_lines("\n" + line % moment)
