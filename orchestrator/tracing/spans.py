"""The nouns of a trace: spans as plain values, with the ids that OpenTelemetry gives them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct, field

Scalar = str | bool | int | float
Value = Scalar | tuple[Scalar, ...]
Attributes = Mapping[str, Value]
_TRACE_ID = re.compile("[0-9a-f]{32}")


class Kind(IntEnum):
    """What a span stands for, numbered as OTLP numbers it."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Code(IntEnum):
    """How a span's work went, numbered as OTLP numbers it."""

    UNSET = 0
    OK = 1
    ERROR = 2


class SpanStatus(Struct, frozen=True):
    """How a span's work went, and why when it failed."""

    code: Code = Code.UNSET
    message: str = ""


class Link(Struct, frozen=True):
    """A span of another trace, or of the same one, that belongs to this one."""

    trace_id: str
    span_id: str
    attributes: Attributes = field(default_factory=dict)


class SpanEvent(Struct, frozen=True):
    """A moment within a span."""

    name: str
    at_ns: int
    attributes: Attributes = field(default_factory=dict)


class Scope(Struct, frozen=True):
    """The library that made a span."""

    name: str = ""
    version: str = ""


class Span(Struct, frozen=True):
    """A piece of work with a beginning and an end; ids are lower-case hex, times nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    kind: Kind = Kind.INTERNAL
    attributes: Attributes = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    links: tuple[Link, ...] = ()
    status: SpanStatus = SpanStatus()
    resource: Attributes = field(default_factory=dict)
    scope: Scope = Scope()

    @property
    def duration_s(self) -> float:
        """Give how long it took, in seconds."""
        return (self.end_ns - self.start_ns) / 1e9


def new_trace_id() -> str:
    """Make the id of a trace."""
    return secrets.token_hex(16)


def is_trace_id(text: str) -> bool:
    """Tell whether a text is the id of a trace."""
    return _TRACE_ID.fullmatch(text) is not None


def new_span_id() -> str:
    """Make the id of a span."""
    return secrets.token_hex(8)
