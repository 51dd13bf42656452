"""The nouns of a comparison: what differs between two runs, and what it is charged to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.model import Status

SCHEMA = 1


class Cause(Struct, frozen=True):
    """Something that changed, and the unpacked bytes that it is charged with; None where no bytes are its own."""

    kind: str  # base, packages, dockerfile, context, requirements, args, options, inputs, environment, unexplained, checks
    title: str
    bytes: int | None = None
    evidence: tuple[str, ...] = ()


class Difference(Struct, frozen=True):
    """A figure of a cell in two runs; `is_real` is unknown where nobody knows how much of it is chance."""

    metric: str
    unit: str  # bytes or s
    old: float | None
    new: float | None
    noise: float | None = None  # in the figure's unit: smaller differences are none
    is_real: bool | None = None
    note: str | None = None
    estimated: tuple[bool, bool] = (False, False)  # the old figure, and the new one

    @property
    def amount(self) -> float | None:
        """Give how much more the new run has."""
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def share(self) -> float | None:
        """Give the same as a share of the old figure."""
        return self.amount / self.old if self.old and self.amount is not None else None


class CellChange(Struct, frozen=True):
    """A cell that both runs have."""

    id: str
    axes: Mapping[str, str]
    old_status: Status
    new_status: Status
    outcome_changed: bool
    reason: str | None = None
    sizes: tuple[Difference, ...] = ()
    times: tuple[Difference, ...] = ()
    causes: tuple[Cause, ...] = ()
    unfelt: tuple[str, ...] = ()  # what changed although no figure differs by more than chance

    @property
    def differs(self) -> bool:
        """Tell whether it ended otherwise, or a figure differs by more than chance."""
        return self.outcome_changed or any(one.is_real for one in (*self.sizes, *self.times))


class CellSeen(Struct, frozen=True):
    """A cell that only one of two runs has."""

    id: str
    axes: Mapping[str, str]
    status: Status


class RunSeen(Struct, frozen=True):
    """One side of a comparison."""

    id: str
    name: str
    started_at: str
    git_commit: str | None = None


class Comparison(Struct, frozen=True):
    """All that differs between two runs."""

    schema: int
    old: RunSeen
    new: RunSeen
    added: tuple[CellSeen, ...] = ()
    removed: tuple[CellSeen, ...] = ()
    not_asked: tuple[CellSeen, ...] = ()  # that only one run has, since the other was made for some cells
    cells: tuple[CellChange, ...] = ()
    environment: tuple[str, ...] = ()  # what differs of the machine and the tools
    times_refused: tuple[str, ...] = ()  # why times are not compared
    notes: tuple[str, ...] = ()
