"""BuildKit's raw progress, line by line, to steps with times."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections import defaultdict
from datetime import UTC, datetime
from functools import partial
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.digests import DIGEST
from orchestrator.measure.periods import covered_s
from orchestrator.measure.twins import Node, find_twins
from orchestrator.record import Base, Step
from orchestrator.strict import items_of, parse_json

_STEP = re.compile(r"^\[(?:(?P<stage>[^\]]{0,300}?) {1,9})?(?P<at>\d{1,9})/(?P<of>\d{1,9})\] (?P<instruction>.*)$", re.DOTALL)
_FETCHED = re.compile(r"FROM (?P<image>\S+)|\[context (?P<context>[^\]\s]+)\] (?:OCI load from client|(?P<instead>\S+))")
_FETCHES = ("FROM ", "[context ")
_RESOLVED = re.compile(rf"FROM (?:docker\.io/(?:library/)?)?(?P<ref>\S+)@(?P<digest>{DIGEST})")
_OF_BUILDX = ("[internal] booting buildkit", "loading policies ")  # what it does itself, and tells by the clock of its own machine
_EXPORT = re.compile(r"exporting (?!cache)")
_FRACTION = re.compile(r"\.(\d{1,6})\d*")
_STDERR = 2
BEHIND_A_COMMAND = "did not complete successfully: "  # which is quoted before, and may hold the same words
_PULL = ("pulling", "extracting", "resolve", "sha256:")


class Vertex(Struct):
    """One node of the build as far as it has gone."""

    digest: str
    name: str
    order: int
    inputs: tuple[str, ...] = ()
    started: datetime | None = None
    completed: datetime | None = None
    cached: bool = False
    error: str | None = None
    announced: bool = False  # of this build's own plan; another's step may show up in its place
    moved: tuple[datetime, datetime] | None = None  # first and last moment at which bytes moved or were unpacked

    @property
    def said(self) -> str:
        """Give what BuildKit says of a step's failure, without the command that it quotes before: that may say anything."""
        return (self.error or "").rpartition(BEHIND_A_COMMAND)[2]

    @property
    def cancelled(self) -> bool:
        """Tell whether it was stopped and has not failed by itself."""
        return "context canceled" in self.said


class LogLine(Struct, frozen=True):
    """Something that a step printed: its bytes, and those as text, in which no character is cut where a piece ends."""

    vertex: str
    name: str
    text: str
    at: datetime | None = None
    is_error: bool = False  # printed to standard error
    data: bytes = b""


def _make_decoders() -> dict[tuple[str, bool], codecs.IncrementalDecoder]:
    """Make a decoder for each stream that is asked for, since a character may begin in one piece and end in the next."""
    return defaultdict(partial(codecs.getincrementaldecoder("utf-8"), "replace"))


class Progress(Struct):
    """A build as its progress tells it; feed it every line."""

    vertices: dict[str, Vertex] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    current: str | None = None
    decoders: dict[tuple[str, bool], codecs.IncrementalDecoder] = field(default_factory=_make_decoders)  # of what steps print

    def feed(self, line: bytes) -> list[LogLine]:
        """Take one line; give what a step printed in it. What is not progress is a message."""
        if not line.startswith(b"{"):
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self.messages.append(text)
            return []
        try:
            data = parse_json(line)
        except ValueError:
            self.messages.append(line[:200].decode("utf-8", "replace"))
            return []
        for raw in items_of(data, "vertexes"):
            self._take_vertex(raw)
        for raw in items_of(data, "statuses"):
            self._take_status(raw)
        for raw in items_of(data, "warnings"):
            self.warnings.append(_bytes_of(raw.get("short")).decode("utf-8", "replace"))
        return [self._make_log(raw) for raw in items_of(data, "logs")]

    def _take_vertex(self, raw: dict[str, Any]) -> None:
        digest = str(raw.get("digest", ""))
        vertex = self.vertices.get(digest)
        if vertex is None:
            vertex = self.vertices[digest] = Vertex(digest, str(raw.get("name", "")), len(self.vertices))
            vertex.announced = not raw.get("started")
        vertex.name = str(raw.get("name") or vertex.name)
        inputs = raw.get("inputs")
        vertex.inputs = tuple(map(str, inputs)) if isinstance(inputs, list) else vertex.inputs
        started, completed = parse_time(raw.get("started")), parse_time(raw.get("completed"))
        if started and (vertex.started is None or started < vertex.started):
            vertex.started = started
        if completed:
            vertex.completed = max(completed, vertex.completed or completed)
        vertex.cached = vertex.cached or bool(raw.get("cached"))
        vertex.error = str(raw["error"]) if raw.get("error") else vertex.error
        if started and not completed:
            self.current = vertex.name

    def _take_status(self, raw: dict[str, Any]) -> None:
        vertex = self.vertices.get(str(raw.get("vertex", "")))
        moment = parse_time(raw.get("completed")) or parse_time(raw.get("timestamp"))
        if vertex is None or moment is None or not str(raw.get("id", "")).startswith(_PULL):
            return
        first = parse_time(raw.get("started")) or moment
        earlier = vertex.moved or (first, moment)
        vertex.moved = (min(first, earlier[0]), max(moment, earlier[1]))

    def _make_log(self, raw: dict[str, Any]) -> LogLine:
        digest = str(raw.get("vertex", ""))
        vertex = self.vertices.get(digest)
        name, at = vertex.name if vertex else "", parse_time(raw.get("timestamp"))
        data, is_error = _bytes_of(raw.get("data")), raw.get("stream") == _STDERR
        return LogLine(digest, name, self.decoders[digest, is_error].decode(data), at, is_error, data)

    @property
    def begun(self) -> datetime | None:
        """Give when the builder began with this build, by its own clock: with reading the Dockerfile.

        No other build does that for it, unless it comes from a repository.
        """
        told = (vertex for vertex in self.vertices.values() if not vertex.name.startswith(_OF_BUILDX))
        return next((vertex.started for vertex in told if vertex.started), None)

    @property
    def told(self) -> list[Vertex]:
        """Give what the build is made of, each step once.

        Where two builds have a step in common, BuildKit tells the one of the
        other's, under its own name: that says nothing new when it was cached,
        and it is the real one when it ran. What this build had announced under
        that name is then cached afterwards, or is never started. Either is
        broken off, and says nothing, where BuildKit drops it for the other while
        it is looked for in the cache. What the other had done before this build
        began was there, as from the cache.
        """
        nodes = {digest: Node(instruction_of(vertex), vertex.inputs) for digest, vertex in self.vertices.items()}
        twins = find_twins(nodes, [digest for digest, vertex in self.vertices.items() if not vertex.announced])
        others = defaultdict[str, list[Vertex]](list)
        for other, own in twins.items():
            others[own].append(self.vertices[other])

        def says_nothing(vertex: Vertex) -> bool:
            own = self.vertices[twins.get(vertex.digest, vertex.digest)]
            is_begun = own.started is not None and not own.cancelled
            if own is not vertex:
                return (vertex.cached or vertex.cancelled) and is_begun
            theirs = others[vertex.digest]
            ran_elsewhere = any(not (other.cached or other.cancelled) for other in theirs)
            return (vertex.cached and ran_elsewhere) or (not is_begun and bool(theirs))

        return [_as_of(self.begun, vertex) for vertex in self.vertices.values() if not says_nothing(vertex)]

    @property
    def failed_step(self) -> Vertex | None:
        """Give the step that failed, if one did; cancelled ones are not it."""
        failed = [vertex for vertex in self.vertices.values() if vertex.error and not vertex.cancelled]
        return failed[0] if failed else None


def _as_of(begun: datetime | None, vertex: Vertex) -> Vertex:
    """Give a step as a build found it that began at this time: while another goes on, BuildKit tells what that one has done."""
    if not begun or not vertex.completed or vertex.completed >= begun or vertex.error:
        return vertex
    return replace(vertex, started=begun, completed=begun, cached=True)


def make_steps(progress: Progress) -> tuple[Step, ...]:
    """Give the Dockerfile's steps in the order in which they started.

    One that never did is none, as those behind a failure; but the cache held it
    where a step that is built on it is there.
    """
    never = datetime.max.replace(tzinfo=UTC)
    there = _built_on(progress)
    vertices = [one for one in progress.told if split_step(one.name) and (one.started or one.cached or one.digest in there)]
    vertices.sort(key=lambda vertex: (progress.vertices[vertex.digest].started or never, -vertex.order))
    return tuple(_make_step(vertex) for vertex in vertices)


def _built_on(progress: Progress) -> set[str]:
    """Give the digests of all that steps which began, or which the cache held, are built on; another build's may stand for one."""
    found: set[str] = set()
    there = {instruction_of(vertex) for vertex in progress.vertices.values() if vertex.started or vertex.cached}
    left = [vertex for vertex in progress.vertices.values() if instruction_of(vertex) in there]
    while left:
        new = {digest for digest in left.pop().inputs if digest not in found}
        found |= new
        left += [progress.vertices[digest] for digest in new if digest in progress.vertices]
    return found


class StepName(Struct, frozen=True):
    """What BuildKit's name of a step says: `[builder 2/4] RUN make`."""

    stage: str | None
    instruction: str


def split_step(name: str) -> StepName | None:
    """Read the name of a Dockerfile's step, or of an image that is fetched for one; give None when it names something else."""
    if found := _STEP.match(name):
        return StepName(found["stage"] or None, " ".join(found["instruction"].split()))
    if found := _FETCHED.fullmatch(name):
        return StepName(None, f"FROM {found['image'] or found['instead'] or found['context']}")
    return None


def find_bases(progress: Progress) -> tuple[Base, ...] | None:
    """Read the bases off the steps that fetch them, by FROM or as a context; None where one has no digest, or may be no image."""
    told = map(instruction_of, progress.vertices.values())
    steps = [one for one in told if one.startswith(_FETCHES) and "] load metadata for " not in one]
    found = [_RESOLVED.fullmatch(step) for step in steps]
    known = [Base(one["ref"], one["digest"]) for one in found if one]
    return tuple(dict.fromkeys(known)) if len(known) == len(steps) else None


def instruction_of(vertex: Vertex) -> str:
    """Give a step's instruction; of what is no step, its name."""
    step = split_step(vertex.name)
    return step.instruction if step else vertex.name


def _make_step(vertex: Vertex) -> Step:
    name = split_step(vertex.name) or StepName(None, vertex.name)
    return Step(
        name=vertex.name,
        stage=name.stage,
        instruction=name.instruction,
        started_at=vertex.started,
        duration_s=duration_of(vertex),
        outcome="cached" if vertex.cached or vertex.started is None else "executed",
        digest=vertex.digest,
    )


def duration_of(vertex: Vertex) -> float | None:
    """Give the seconds between a vertex's first start and its end."""
    if vertex.started is None or vertex.completed is None:
        return None
    return max(0.0, (vertex.completed - vertex.started).total_seconds())


def pull_seconds(progress: Progress) -> float:
    """Give the time of this build in which bases were fetched and unpacked, by whichever build; 0.0 when all was there."""
    begun = progress.begun
    pulls = [vertex.moved for vertex in progress.vertices.values() if vertex.moved and not vertex.name.startswith("exporting")]
    return covered_s((max(first, begun), last) for first, last in pulls if begun)


def export_seconds(progress: Progress) -> float:
    """Give the time in which the image was written out; a cache that is written besides is none."""
    exports = [vertex for vertex in progress.vertices.values() if _EXPORT.match(vertex.name)]
    return covered_s((vertex.started, vertex.completed) for vertex in exports if vertex.started and vertex.completed)


def parse_time(value: object) -> datetime | None:
    """Read Go's time, which has nanoseconds."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(lambda found: f".{found[1]:0<6}", value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bytes_of(value: object) -> bytes:
    """Give what stands there in base64; what is none is taken as it is."""
    try:
        return base64.b64decode(str(value or ""), validate=True)
    except (binascii.Error, ValueError):
        return str(value).encode("utf-8", "replace")
