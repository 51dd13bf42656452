"""Things that happen in a run, in the order in which they do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Callable


class Event(Struct, frozen=True):
    """One thing that happened, to a cell or to the run as a whole."""

    kind: str
    cell: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


if TYPE_CHECKING:
    Emit = Callable[[Event], None]
