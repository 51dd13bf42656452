"""One cell's trace as a waterfall: its spans as rows, what lies on the critical path, and what each part of the time cost."""

from __future__ import annotations

import re
from bisect import bisect_right
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.tracing import names
from orchestrator.tracing.critical import TOUCH_NS, Piece, find_critical_path
from orchestrator.tracing.names import Part
from orchestrator.tracing.spans import Code
from orchestrator.tracing.tree import Tree, make_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.tracing.spans import Span

OTHER = "other"  # what no part accounts for
COSTS = ("buildx", "definition", "pull", "steps", "export", "load", "analyse", "smoke", "tidy", OTHER)  # as people read them
_LONGEST = 3
_MOUNT = re.compile(r"(?<= )--mount=\S+ ")
_COST_OF = {part: "steps" if part is Part.STEP else part.value for part in Part}


def brief_name(name: str) -> str:
    """Leave out what would fill the place before the command comes: where caches and secrets are mounted."""
    return _MOUNT.sub("", name)


class StepOutcome(StrEnum):
    """How a step came by its result."""

    EXECUTED = "executed"
    CACHED = "cached"
    JOINED = "joined"


class Row(Struct, frozen=True):
    """One span. Its start and duration are what lies between the cell's start and end; names are as hostile as they came."""

    depth: int
    span_id: str
    name: str
    part: Part | None
    start_ns: int  # since the cell began
    duration_ns: int
    whole_ns: int  # how long it took in all: a joined step may have begun before the cell did
    critical_ns: int  # how much of it lies on the critical path
    detail: bool  # neither a part, a check or an error, nor above one
    outcome: str | None = None  # a StepOutcome, or how a check ended
    stage: str | None = None
    instruction: str | None = None
    ran_in: str | None = None
    error: str | None = None

    @property
    def start_s(self) -> float:
        """Give the seconds from the cell's start."""
        return self.start_ns / 1e9

    @property
    def duration_s(self) -> float:
        """Give the seconds that it took of the cell's time."""
        return self.duration_ns / 1e9

    @property
    def whole_s(self) -> float:
        """Give the seconds that it took in all."""
        return self.whole_ns / 1e9

    @property
    def critical_s(self) -> float:
        """Give the seconds of it that lie on the critical path."""
        return self.critical_ns / 1e9

    @property
    def is_critical(self) -> bool:
        """Tell whether the cell would have ended sooner without it, as far as its trace shows."""
        return self.critical_ns > 0

    @property
    def is_step(self) -> bool:
        """Tell whether it is a step of the Dockerfile."""
        return self.part is Part.STEP or self.instruction is not None


class Waterfall(Struct, frozen=True):
    """All of a cell's time; `parts` holds the costs of the parts that it has, in the order of COSTS, and adds up to `wall_ns`."""

    trace_id: str
    wall_ns: int
    rows: tuple[Row, ...]
    parts: Mapping[str, int]
    from_progress: bool = False  # there is no trace by the builder, so the build's spans were made from its progress

    @property
    def wall_s(self) -> float:
        """Give the seconds from the cell's start to its end."""
        return self.wall_ns / 1e9

    @property
    def parts_s(self) -> dict[str, float]:
        """Give the seconds that each part cost."""
        return {part: cost / 1e9 for part, cost in self.parts.items()}

    @property
    def steps(self) -> tuple[Row, ...]:
        """Give the steps of the Dockerfile, in tree order."""
        return tuple(row for row in self.rows if row.is_step)

    @property
    def longest_steps(self) -> tuple[Row, ...]:
        """Give the few steps that took most of the cell's time."""
        return tuple(sorted(self.steps, key=lambda step: -step.duration_ns)[:_LONGEST])

    def shown(self, *, details: bool = False) -> tuple[Row, ...]:
        """Give the rows to show: all of them, or those that say where the time went, as deep as those above them."""
        if details:
            return self.rows
        found: list[Row] = []
        above: list[int] = []  # depths in the tree of the rows that are shown above this one
        for row in self.rows:
            while above and above[-1] >= row.depth:
                above.pop()
            if not row.detail:
                found.append(replace(row, depth=len(above)))
                above.append(row.depth)
        return tuple(found)


class _Clock(Struct, frozen=True):
    """Time as the cell had it: nothing is before its start or after its end."""

    start_ns: int
    wall_ns: int

    def cut(self, moment_ns: int) -> int:
        return min(max(moment_ns - self.start_ns, 0), self.wall_ns)


def make_waterfall(spans: Iterable[Span]) -> Waterfall:
    """Lay out the spans of one cell's trace; NotATraceError when there is no cell among them."""
    tree = make_tree(spans)
    root = tree.spans[0]
    clock = _Clock(root.start_ns, max(0, root.end_ns - root.start_ns))
    places, pieces = _make_pieces(tree, clock)
    path = find_critical_path(_after_preparation(tree, places, pieces), clock.wall_ns, OTHER)
    critical = _carry_up(tree, dict(zip(places, path.pieces_ns, strict=True)), clock.wall_ns)
    details = _find_details(tree)
    rows = (_make_row(tree, clock, place, critical[place], detail=details[place]) for place in range(len(tree.spans)))
    had = {piece.part for piece in pieces} | {OTHER}
    costs = {cost: path.parts_ns.get(cost, 0) for cost in COSTS if cost in had}
    sources = {span.attributes[names.SOURCE] for span in tree.spans if names.SOURCE in span.attributes}
    return Waterfall(root.trace_id, clock.wall_ns, tuple(rows), costs, from_progress=sources == {"progress"})


def _make_pieces(tree: Tree, clock: _Clock) -> tuple[list[int], list[Piece]]:
    """Take the spans whose time counts as something, each within the nearest such span above it that has not ended before it.

    A base is fetched when its first byte is needed: the span of `FROM` has ended by then.
    """
    places: list[int] = []
    pieces: list[Piece] = []
    nearest: list[int | None] = [None]
    for place, span in list(enumerate(tree.spans))[1:]:
        within = nearest[tree.parents[place]]
        cost = _cost_of(span)
        if cost is None:
            nearest.append(within)
            continue
        start = clock.cut(span.start_ns)
        end = max(start, clock.cut(span.end_ns))
        while within is not None and end > pieces[within].end_ns + TOUCH_NS:
            within = pieces[within].within
        nearest.append(len(pieces))
        places.append(place)
        pieces.append(Piece(start, end, cost, within))
    return places, pieces


def _cost_of(span: Span) -> str | None:
    """Say what a span's time counts as; a check is a piece of its own, so that the slow one is seen."""
    part = _part_of(span)
    if part is None and names.CHECK_OUTCOME in span.attributes:
        part = Part.SMOKE
    return None if part is None else _COST_OF[part]


def _after_preparation(tree: Tree, places: Sequence[int], pieces: Sequence[Piece]) -> list[Piece]:
    """Let the wait for a joined step begin when the cell could ask for it, though another cell had begun the step before."""
    ready = sorted(piece.end_ns for piece in pieces if piece.part in (Part.BUILDX, Part.DEFINITION))

    def waited_for(place: int, piece: Piece) -> Piece:
        at = bisect_right(ready, piece.end_ns)
        if at == 0 or tree.spans[place].attributes.get(names.STEP_OUTCOME) != StepOutcome.JOINED:
            return piece
        return replace(piece, start_ns=max(piece.start_ns, ready[at - 1]))

    return [waited_for(place, piece) for place, piece in zip(places, pieces, strict=True)]


def _carry_up(tree: Tree, of_pieces: Mapping[int, int], wall_ns: int) -> list[int]:
    """Give every span its time on the path: its own, or that of the spans below it when it counts as nothing itself."""
    critical = [of_pieces.get(place, 0) for place in range(len(tree.spans))]
    for place in range(len(tree.spans) - 1, 0, -1):
        if tree.parents[place] not in of_pieces:
            critical[tree.parents[place]] += critical[place]
    critical[0] = wall_ns
    return critical


def _find_details(tree: Tree) -> list[bool]:
    """Tell what a reader can do without: what BuildKit does between a build and its steps, and below a step."""
    return [_cost_of(span) is None and depth > 1 for span, depth in zip(tree.spans, tree.depths, strict=True)]


def _make_row(tree: Tree, clock: _Clock, place: int, critical_ns: int, *, detail: bool) -> Row:
    span = tree.spans[place]
    start = clock.cut(span.start_ns)
    return Row(
        depth=tree.depths[place],
        span_id=span.span_id,
        name=span.name,
        part=_part_of(span),
        start_ns=start,
        duration_ns=max(0, clock.cut(span.end_ns) - start),
        whole_ns=max(0, span.end_ns - span.start_ns),
        critical_ns=critical_ns,
        detail=detail,
        outcome=_text_of(span, names.STEP_OUTCOME) or _text_of(span, names.CHECK_OUTCOME),
        stage=_text_of(span, names.STEP_STAGE),
        instruction=_text_of(span, names.STEP_INSTRUCTION),
        ran_in=_text_of(span, names.RAN_IN),
        error=(span.status.message or "failed") if span.status.code is Code.ERROR else None,
    )


def _part_of(span: Span) -> Part | None:
    value = span.attributes.get(names.PART)
    return Part(value) if value in _COST_OF else None


def _text_of(span: Span, key: str) -> str | None:
    value = span.attributes.get(key)
    return value if isinstance(value, str) and value else None
