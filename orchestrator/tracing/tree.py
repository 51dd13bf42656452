"""Spans to one tree: whatever a trace holds, each of its spans has one place in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.tracing import names
from orchestrator.tracing.otlp import NotATraceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.tracing.spans import Span

_Key = tuple[str, str]


class Tree(Struct, frozen=True):
    """Spans in tree order: the root first, and after each span its children, the one that began first before the others."""

    spans: tuple[Span, ...]
    parents: tuple[int, ...]  # the place of each span's parent in `spans`; the root, at 0, is its own
    depths: tuple[int, ...]


def make_tree(spans: Iterable[Span]) -> Tree:
    """Lay out the spans of one cell; spans without a parent, and circles, hang from the root."""
    found: dict[_Key, Span] = {}
    for span in spans:
        found.setdefault(_key(span), span)
    root = _find_root(found)
    children: dict[_Key, list[Span]] = {}
    for key, parent in _find_parents(found, root).items():
        children.setdefault(parent, []).append(found[key])
    ordered: list[Span] = []
    parents: list[int] = []
    depths: list[int] = []
    waiting = [(found[root], 0, 0)]
    while waiting:
        span, parent_at, depth = waiting.pop()
        place = len(ordered)
        ordered.append(span)
        parents.append(parent_at)
        depths.append(depth)
        below = sorted(children.get(_key(span), ()), key=lambda child: (child.start_ns, -child.end_ns, child.span_id), reverse=True)
        waiting += [(child, place, depth + 1) for child in below]
    return Tree(tuple(ordered), tuple(parents), tuple(depths))


def _key(span: Span) -> _Key:
    return span.trace_id, span.span_id


def _find_root(found: Mapping[_Key, Span]) -> _Key:
    """Find the cell itself; of several, the one that began last."""
    roots = [span for span in found.values() if span.name == names.CELL and (span.trace_id, span.parent_id) not in found]
    if not roots:
        message = f"it holds no span '{names.CELL}' from which the others come"
        raise NotATraceError(message)
    return _key(max(roots, key=lambda span: (span.start_ns, span.span_id)))


def _find_parents(found: Mapping[_Key, Span], root: _Key) -> dict[_Key, _Key]:
    """Give each span but the root its parent, such that every way up ends at the root."""
    parents = {key: (span.trace_id, span.parent_id) for key, span in found.items() if key != root}
    parents = {key: parent if parent in found else root for key, parent in parents.items()}
    led_to_root = {root}
    for start in sorted(parents, key=lambda key: (found[key].start_ns, key)):
        way: dict[_Key, None] = {}
        key = start
        while key not in led_to_root:
            if key in way:
                parents[key] = root
                break
            way[key] = None
            key = parents[key]
        led_to_root.update(way)
    return parents
