"""A build's spans told apart, and the steps put in that ran elsewhere or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.measure.progress import Vertex
from orchestrator.tracing import names
from orchestrator.tracing.complete import Ran, complete_build, find_ran, lacks_link, link_step, part_of, split_by_build
from orchestrator.tracing.names import Part
from orchestrator.tracing.spans import Code, Link, Span
from orchestrator.tracing.trace import Clock, Trace, read_traceparent, write_traceparent

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TRACE = "a" * 32


def at(seconds: float) -> int:
    """Give a moment in nanoseconds."""
    return round((START + timedelta(seconds=seconds)).timestamp() * 1e6) * 1000


def make_span(name: str, span_id: str, parent_id: str, start: float, end: float, vertex: str | None = None) -> Span:
    """Make one of BuildKit's own spans."""
    attributes = {"vertex": vertex} if vertex else {}
    return Span(TRACE, span_id, parent_id, name, at(start), at(end), attributes=attributes)


def make_vertex(name: str, digest: str, start: float, end: float, *, cached: bool = False, error: str | None = None) -> Vertex:
    """Make a step as progress tells it."""
    begun, ended = (START + timedelta(seconds=seconds) for seconds in (start, end))
    return Vertex(digest, name, 0, (), begun, ended, cached, error, announced=True)


BUILD = make_span("build", "b", "cell", 0, 10)
CLIENT = make_span("build .", "c", "b", 0.3, 9.8)
SOLVE = make_span("moby.buildkit.v1.Control/Solve", "s", "c", 0.4, 9.7)
STEP = make_span("[2/3] RUN make", "m", "s", 1, 4, vertex="sha256:make")
ASKED = make_span("load cache: [1/3] FROM x", "l", "s", 0.9, 0.9, vertex="sha256:from")
OWN = [CLIENT, SOLVE, STEP, ASKED]
VERTICES = [
    make_vertex("[1/3] FROM x", "sha256:from", 0.9, 0.9, cached=True),
    make_vertex("[2/3] RUN make", "sha256:make", 1, 4),
    make_vertex("[3/3] RUN common", "sha256:common", 4, 9),
]


def by_name(spans: list[Span]) -> dict[str, Span]:
    """Give spans by name; each is there once."""
    found = {span.name: span for span in spans}
    assert len(found) == len(spans)
    return found


def test_own_steps_are_executed_and_the_others_are_put_in_with_their_true_times() -> None:
    """Beside BuildKit's own steps, with a link to where they really ran."""
    ran = {"sha256:common": Ran("other", "f" * 32, "e" * 16)}
    spans = by_name(complete_build(BUILD, OWN, VERTICES, ran))
    assert spans["[2/3] RUN make"].attributes[names.STEP_OUTCOME] == "executed"
    assert spans["[2/3] RUN make"].attributes[names.PART] == Part.STEP
    joined = spans["[3/3] RUN common"]
    assert (joined.attributes[names.STEP_OUTCOME], joined.attributes[names.RAN_IN]) == ("joined", "other")
    assert (joined.start_ns, joined.end_ns, joined.parent_id) == (at(4), at(9), "s")
    assert joined.links == (Link("f" * 32, "e" * 16),)
    cached = spans["[1/3] FROM x"]
    assert (cached.attributes[names.STEP_OUTCOME], cached.attributes[names.PART]) == ("cached", Part.PULL)
    assert names.PART not in spans["load cache: [1/3] FROM x"].attributes, "asking the cache is not the step"


def test_the_time_before_and_after_buildxs_own_spans_is_accounted_for() -> None:
    """Starting a process takes time that the process cannot see."""
    spans = by_name(complete_build(BUILD, OWN, VERTICES, {}))
    edges = [(spans[name].start_ns, spans[name].end_ns) for name in ("start buildx", "end buildx")]
    assert edges == [(at(0), at(0.3)), (at(9.8), at(10))]
    assert spans["build ."].attributes[names.PART] == Part.BUILDX


def test_a_step_that_ran_in_a_cell_that_has_not_ended_is_linked_later() -> None:
    """Whoever ran it hands its trace in after those that waited for it."""
    joined = by_name(complete_build(BUILD, OWN, VERTICES, {}))["[3/3] RUN common"]
    assert lacks_link(joined)
    ran = find_ran("other", [make_span("[3/3] RUN common", "9" * 16, "s", 4, 9, vertex="sha256:common")])
    linked = link_step(joined, ran)
    assert (linked.links, linked.attributes[names.RAN_IN]) == ((Link(TRACE, "9" * 16),), "other")
    assert link_step(STEP, ran) == STEP
    assert find_ran("x", [ASKED]) == {}, "asking the cache for a step is not running it"


def test_a_base_of_which_nothing_had_to_be_moved_was_there() -> None:
    """BuildKit has no span for it, and nobody else pulled it for this cell."""
    base = make_vertex("[1/3] FROM x", "sha256:from", 0.5, 0.52)
    spans = by_name(complete_build(BUILD, OWN, [base, *VERTICES[1:]], {}))
    assert spans["[1/3] FROM x"].attributes[names.STEP_OUTCOME] == "cached"
    base.moved = (START, START)
    spans = by_name(complete_build(BUILD, OWN, [base, *VERTICES[1:]], {}))
    assert spans["[1/3] FROM x"].attributes[names.STEP_OUTCOME] == "joined"


def test_without_the_builders_spans_progress_tells_what_it_can() -> None:
    """Marked as such, failed steps with their reason."""
    vertices = [*VERTICES[:2], make_vertex("[3/3] RUN false", "sha256:f", 4, 5, error="exit code: 1")]
    spans = by_name(complete_build(BUILD, [], vertices, {}))
    assert {span.parent_id for span in spans.values()} == {"b"}
    assert {span.attributes[names.SOURCE] for span in spans.values()} == {"progress"}
    assert spans["[2/3] RUN make"].attributes[names.STEP_OUTCOME] == "executed"
    assert (spans["[3/3] RUN false"].status.code, spans["[3/3] RUN false"].status.message) == (Code.ERROR, "exit code: 1")


def test_spans_that_hang_in_the_air_are_put_below_the_build() -> None:
    """Their parent may not have been exported."""
    lost = make_span("lost", "x", "nowhere", 1, 2)
    assert by_name(complete_build(BUILD, [*OWN, lost], VERTICES, {}))["lost"].parent_id == "b"


def test_a_pull_below_a_step_is_a_pull() -> None:
    """Bytes that move are no work of the step's own."""
    pulls = [
        make_span("extract sha256:ab", "x", "m", 1, 2),
        make_span("HTTP GET", "h", "x", 1, 2),
        make_span("HTTP GET", "g", "c", 1, 2),
    ]
    spans = {span.span_id: span for span in complete_build(BUILD, [*OWN, *pulls], VERTICES, {})}
    assert [spans[span_id].attributes.get(names.PART) for span_id in "xhg"] == [Part.PULL, Part.PULL, None]


def test_two_builds_of_a_cell_keep_their_spans_apart() -> None:
    """BuildKit exports all of a trace with each build of it."""
    clock = Clock()
    trace = Trace(clock, {})
    builds = []
    for _ in range(2):
        with trace.span("build") as span:
            builds.append(span)
    first, second = (span.span_id for span in builds)
    own = [make_span("one", "1", first, 0, 1), make_span("below", "2", "1", 0, 1), make_span("two", "3", second, 1, 2)]
    circle = [make_span("x", "x", "y", 0, 1), make_span("y", "y", "x", 0, 1)]
    found = split_by_build([*own, *circle], builds)
    assert [span.name for span in found[first]] == ["one", "below"]
    assert [span.name for span in found[second]] == ["two", "x", "y"]


def test_what_a_step_is_part_of_is_told_by_its_name() -> None:
    """As BuildKit writes them."""
    assert [
        part_of(name)
        for name in (
            "[internal] load build context",
            "[auth] library/python:pull token for registry-1.docker.io",
            "[builder 1/4] FROM docker.io/library/python:3.13-alpine@sha256:ab",
            "[stage-1 3/4] RUN pip install x",
            "exporting to oci image format",
            "moby.buildkit.v1.Control/Solve",
        )
    ] == [Part.DEFINITION, Part.DEFINITION, Part.PULL, Part.STEP, Part.EXPORT, None]


def test_a_job_that_names_itself_becomes_the_parent() -> None:
    """As the W3C writes it; what is not that is as good as none."""
    assert read_traceparent(f"00-{'a' * 32}-{'b' * 16}-01") == ("a" * 32, "b" * 16)
    assert read_traceparent(f"01-{'A' * 32}-{'b' * 16}-00-more") == ("a" * 32, "b" * 16)
    for text in (
        None,
        "",
        "00-a-b-01",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'g' * 32}-{'b' * 16}-01",
    ):
        assert read_traceparent(text) == ("", "")


def test_spans_nest_and_an_exception_is_their_error() -> None:
    """The block's own exception goes on."""
    trace = Trace(Clock(), {"service.name": "matrix"}, trace_id="a" * 32, parent_id="b" * 16)
    with pytest.raises(ValueError, match="broken"), trace.span("outer", Part.SMOKE) as outer, trace.span("inner"):
        int("broken")
    inner, closed = trace.spans
    assert (inner.parent_id, closed.parent_id) == (outer.span_id, "b" * 16)
    assert closed.start_ns <= inner.start_ns <= inner.end_ns <= closed.end_ns
    assert [(span.status.code, span.status.message, span.attributes["error.type"]) for span in trace.spans] == [
        (Code.ERROR, "invalid literal for int() with base 10: 'broken'", "ValueError")
    ] * 2
    assert write_traceparent(outer) == f"00-{'a' * 32}-{outer.span_id}-01"
    assert closed.resource == {"service.name": "matrix"}
