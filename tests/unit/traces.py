"""Traces made by hand: the spans of a cell, in seconds from its start."""

from __future__ import annotations

from orchestrator.tracing import names
from orchestrator.tracing.names import Part
from orchestrator.tracing.spans import Attributes, Code, Span, SpanStatus

BEGAN_NS = 1_795_000_000_000_000_000
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
_OK = SpanStatus()


class TraceMaker:
    """A cell's trace that grows span by span; each span's id is its number."""

    def __init__(self, wall_s: float, trace_id: str = TRACE_ID) -> None:
        """Begin with the root, `cell`, whose id is 1."""
        self._trace_id = trace_id
        self.spans: list[Span] = []
        self.root = self.add("", names.CELL, 0, wall_s)

    def add(
        self, parent: str, name: str, start_s: float, end_s: float, attributes: Attributes | None = None, error: str | None = None
    ) -> str:
        """Add a span of any kind; give its id."""
        status = _OK if error is None else SpanStatus(Code.ERROR, error)
        span_id = f"{len(self.spans) + 1:016x}"
        start, end = (BEGAN_NS + round(moment * 1e9) for moment in (start_s, end_s))
        self.spans.append(Span(self._trace_id, span_id, parent, name, start, end, attributes=attributes or {}, status=status))
        return span_id

    def part(self, parent: str, part: Part, name: str, start_s: float, end_s: float) -> str:
        """Add a span that counts as a part."""
        return self.add(parent, name, start_s, end_s, {names.PART: part})

    def step(
        self, parent: str, text: str, start_s: float, end_s: float, outcome: str = "executed", error: str | None = None
    ) -> str:
        """Add a step from its name, `[build 2/3] RUN x`; `joined:slim` and `cached:slim` say where it ran."""
        place, instruction = text.removeprefix("[").split("] ", 1)
        stage = place.rpartition(" ")[0]
        outcome, _, ran_in = outcome.partition(":")
        attributes = {names.PART: Part.STEP, names.STEP_OUTCOME: outcome, names.STEP_INSTRUCTION: instruction}
        attributes |= {names.STEP_STAGE: stage} if stage else {}
        attributes |= {names.RAN_IN: ran_in} if ran_in else {}
        return self.add(parent, text, start_s, end_s, attributes, error)

    def check(self, parent: str, name: str, start_s: float, end_s: float, error: str | None = None) -> str:
        """Add a smoke check."""
        return self.add(parent, name, start_s, end_s, {names.CHECK_OUTCOME: "passed" if error is None else "failed"}, error)


def make_alpine() -> list[Span]:
    """Make the trace of a cell that compiles, with what the builder tells besides."""
    trace = TraceMaker(64.0)
    build = trace.add(trace.root, "build", 0.1, 58.9)
    trace.part(build, Part.BUILDX, "start buildx", 0.1, 0.4)
    solve = trace.add(build, "moby.buildkit.v1.Control/Solve", 0.4, 58.8)
    trace.add(build, "moby.buildkit.v1.Control/Status", 0.4, 58.9)
    trace.part(solve, Part.DEFINITION, "load build definition from alpine.Dockerfile", 0.4, 0.9)
    pull = trace.part(solve, Part.PULL, "[stage-1 1/3] FROM docker.io/library/python:3.13-alpine", 0.9, 3.4)
    trace.add(pull, "extract sha256:aaaa", 2.0, 3.4)
    trace.step(solve, "[build 1/3] FROM docker.io/library/python:3.13-alpine@sha256:" + "a" * 64, 3.4, 3.41, "cached")
    trace.step(solve, "[build 2/3] RUN apk add --no-cache gcc musl-dev", 3.41, 12.0)
    compiling = trace.step(
        solve, "[build 3/3] RUN --mount=type=cache,target=/root/.cache pip install -r requirements.txt", 12.0, 54.5
    )
    trace.add(compiling, "process", 12.1, 54.4)
    trace.step(solve, "[stage-1 2/3] RUN apk add --no-cache libstdc++", 3.41, 5.0)
    trace.step(solve, "[stage-1 3/3] COPY --from=build /app /app", 54.5, 54.9)
    trace.part(solve, Part.EXPORT, "exporting to image", 54.9, 58.8)
    trace.part(trace.root, Part.ANALYSE, "analyse", 58.9, 60.9)
    smoke = trace.part(trace.root, Part.SMOKE, "smoke", 60.9, 64.0)
    trace.check(smoke, "import json", 60.9, 61.5)
    trace.check(smoke, "probe otlp-grpc", 61.5, 63.9)
    return trace.spans


def make_slim() -> list[Span]:
    """Make the trace of a cell that installs a wheel, joins a step of a third cell, and fails its last check."""
    trace = TraceMaker(12.0, "1" * 32)
    build = trace.add(trace.root, "build", 0.0, 8.0)
    trace.part(build, Part.BUILDX, "start buildx", 0.0, 0.3)
    trace.part(build, Part.DEFINITION, "load build definition from slim.Dockerfile", 0.3, 0.8)
    trace.step(build, "[build 1/2] FROM docker.io/library/python:3.13-slim@sha256:" + "b" * 64, 0.8, 0.8, "cached")
    trace.step(
        build,
        "[build 2/2] RUN --mount=type=cache,target=/root/.cache pip install -r requirements.txt",
        -4.0,
        6.0,
        "joined:slim-3.13-fastapi",
    )
    trace.step(build, "[stage-1 1/2] WORKDIR /app", 0.8, 0.81, "cached:slim-3.12")
    trace.step(build, "[stage-1 2/2] COPY --from=build /app /app", 6.0, 6.5)
    trace.part(build, Part.EXPORT, "exporting to image", 6.5, 8.0)
    trace.part(trace.root, Part.LOAD, "load", 8.0, 10.0)
    smoke = trace.part(trace.root, Part.SMOKE, "smoke", 10.0, 12.0)
    trace.check(smoke, "import grpc", 10.0, 12.0, "Segmentation fault (SIGSEGV), exit 139")
    return trace.spans
