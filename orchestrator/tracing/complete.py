"""A build's own spans, told apart by what they stand for, with every step in place that ran elsewhere or not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.measure.progress import split_step
from orchestrator.tracing.names import PART, RAN_IN, SOURCE, STEP_INSTRUCTION, STEP_OUTCOME, STEP_STAGE, Part
from orchestrator.tracing.spans import Code, Link, Span, SpanStatus, new_span_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from orchestrator.measure.progress import Vertex
    from orchestrator.tracing.spans import Value
    from orchestrator.tracing.trace import OpenSpan

VERTEX = "vertex"  # BuildKit's attribute: the digest of the step that a span is about
_PARTS = (
    (re.compile(r"\[internal\] |\[auth\] |importing cache|resolve image config"), Part.DEFINITION),
    (re.compile(r"exporting |sending tarball"), Part.EXPORT),
)
_PULL = re.compile(r"extract(ing)?\b|pulling |HTTP (GET|HEAD)\b|remotes\.docker\.")
_SOLVE = "moby.buildkit.v1.Control/Solve"


class Ran(Struct, frozen=True):
    """Where a step really ran."""

    cell: str
    trace_id: str
    span_id: str


def part_of(name: str) -> Part | None:
    """Tell what a step of BuildKit's is part of, by its name."""
    if step := split_step(name):
        return Part.PULL if step.instruction.startswith("FROM ") else Part.STEP
    return next((part for pattern, part in _PARTS if pattern.match(name)), None)


def find_ran(cell: str, spans: Iterable[Span]) -> dict[str, Ran]:
    """Give where each step of a build's own spans ran: in this cell."""
    return {str(span.attributes[VERTEX]): Ran(cell, span.trace_id, span.span_id) for span in spans if _is_run(span)}


def _is_run(span: Span) -> bool:
    """Tell a step's own span from those that only asked the cache for it."""
    return VERTEX in span.attributes and not span.name.startswith(("cache request: ", "load cache: "))


def split_by_build(own: Sequence[Span], builds: Sequence[OpenSpan]) -> dict[str, list[Span]]:
    """Tell apart the builder's spans of a cell that was built more than once; what hangs in the air is the last one's."""
    parents = {span.span_id: span.parent_id for span in own}
    found: dict[str, list[Span]] = {build.span_id: [] for build in builds}
    for span in own:
        root, seen = span.parent_id, set[str]()
        while root in parents and root not in seen:
            seen.add(root)
            root = parents[root]
        found[root if root in found else builds[-1].span_id].append(span)
    return found


def complete_build(build: Span, own: Sequence[Span], vertices: Sequence[Vertex], ran: Mapping[str, Ran]) -> list[Span]:
    """Give a build's spans, and a child for each step that another cell ran or that the cache held."""
    if not own:
        return [_from_progress(build, build.span_id, vertex, "executed", None) for vertex in _timed(vertices)]
    known = {span.span_id for span in own} | {build.span_id}
    placed = [span if span.parent_id in known else replace(span, parent_id=build.span_id) for span in own]
    parents = {span.span_id: span for span in placed}
    found = [_classify(span, build, parents) for span in placed]
    here, named = set(find_ran("", own)), {span.name for span in own}
    parent_id = _place_of_steps(placed, build)
    for vertex in _timed(vertices):
        if vertex.digest in here or (vertex.name in named and not split_step(vertex.name)):
            continue
        nothing_moved = part_of(vertex.name) is Part.PULL and vertex.moved is None
        found.append(_from_progress(build, parent_id, vertex, "cached" if nothing_moved else "joined", ran.get(vertex.digest)))
    return [*found, *_edges(build, placed)]


def _timed(vertices: Iterable[Vertex]) -> list[Vertex]:
    return [vertex for vertex in vertices if vertex.started and vertex.completed and part_of(vertex.name)]


def _classify(span: Span, build: Span, parents: Mapping[str, Span]) -> Span:
    """Say which part of the cell's time a span is, if it is one by itself."""
    attributes: dict[str, Value] = {}
    part = part_of(span.name) if VERTEX in span.attributes or not split_step(span.name) else None
    if span.parent_id == build.span_id:
        attributes[PART] = Part.BUILDX.value
    elif part and not span.name.startswith(("cache request: ", "load cache: ")):
        attributes[PART] = part.value
        attributes |= _step_attributes(span.name, "executed")
    elif _PULL.match(span.name) and _is_below_a_step(span, parents):
        attributes[PART] = Part.PULL.value
    return replace(span, attributes={**span.attributes, **attributes}) if attributes else span


def _step_attributes(name: str, outcome: str) -> dict[str, Value]:
    step = split_step(name)
    if step is None:
        return {}
    return {STEP_OUTCOME: outcome, STEP_STAGE: step.stage or "", STEP_INSTRUCTION: step.instruction}


def _is_below_a_step(span: Span, parents: Mapping[str, Span]) -> bool:
    """Follow the parents; a circle, which no builder should send, ends like a root."""
    seen: set[str] = set()
    while (parent := parents.get(span.parent_id)) is not None and parent.span_id not in seen:
        if part_of(parent.name) in (Part.STEP, Part.PULL):
            return True
        seen.add(parent.span_id)
        span = parent
    return False


def _place_of_steps(own: Sequence[Span], build: Span) -> str:
    """Find the span below which BuildKit's steps are, or would be."""
    steps = [span.parent_id for span in own if _is_run(span) and split_step(span.name)]
    solves = [span for span in own if span.name == _SOLVE and not str(span.resource.get("service.name")).startswith("buildx")]
    if steps:
        return steps[0]
    return max(solves, key=lambda span: span.end_ns - span.start_ns).span_id if solves else build.span_id


def _from_progress(build: Span, parent_id: str, vertex: Vertex, if_it_ran: str, ran: Ran | None) -> Span:
    """Make a span of what progress says of a step that has none in this build."""
    outcome = "cached" if vertex.cached else if_it_ran
    part = part_of(vertex.name)
    attributes: dict[str, Value] = {SOURCE: "progress", VERTEX: vertex.digest, PART: part.value if part else ""}
    attributes |= _step_attributes(vertex.name, outcome)
    if ran is not None and outcome == "joined":
        attributes[RAN_IN] = ran.cell
    failed = vertex.error is not None
    return Span(
        trace_id=build.trace_id,
        span_id=new_span_id(),
        parent_id=parent_id,
        name=vertex.name,
        start_ns=_nanoseconds(vertex.started),
        end_ns=_nanoseconds(vertex.completed),
        attributes={**attributes, "error.type": "step"} if failed else attributes,
        links=(Link(ran.trace_id, ran.span_id),) if ran else (),
        status=SpanStatus(Code.ERROR, vertex.error or "") if failed else SpanStatus(),
        resource=build.resource,
        scope=build.scope,
    )


def lacks_link(span: Span) -> bool:
    """Tell whether a step ran in another cell, and nobody knows yet in which."""
    return span.attributes.get(STEP_OUTCOME) == "joined" and not span.links


def link_step(span: Span, ran: Mapping[str, Ran]) -> Span:
    """Link a joined step to the span of the cell that ran it, once that is known."""
    where = ran.get(str(span.attributes.get(VERTEX)))
    if where is None or not lacks_link(span):
        return span
    return replace(span, links=(Link(where.trace_id, where.span_id),), attributes={**span.attributes, RAN_IN: where.cell})


def _nanoseconds(moment: datetime | None) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000 if moment else 0


def _edges(build: Span, own: Sequence[Span]) -> list[Span]:
    """Fill the time before buildx took its first span, and after its last, with what it was: buildx starting and ending."""
    first, last = min(span.start_ns for span in own), max(span.end_ns for span in own)
    edges = [("start buildx", build.start_ns, min(first, build.end_ns)), ("end buildx", max(last, build.start_ns), build.end_ns)]
    return [
        Span(
            trace_id=build.trace_id,
            span_id=new_span_id(),
            parent_id=build.span_id,
            name=name,
            start_ns=start_ns,
            end_ns=end_ns,
            attributes={PART: Part.BUILDX.value},
            resource=build.resource,
            scope=build.scope,
        )
        for name, start_ns, end_ns in edges
        if end_ns > start_ns
    ]
