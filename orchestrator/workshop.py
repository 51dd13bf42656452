"""All that cells share while they are built."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path
    from threading import BoundedSemaphore
    from threading import Event as Signal

    from orchestrator.contexts import Contexts
    from orchestrator.docker.bases import BaseReader
    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Engine
    from orchestrator.docker.images import ImageStore
    from orchestrator.docker.process import Signal as AnySignal
    from orchestrator.docker.pulse import Pulse
    from orchestrator.events import Emit
    from orchestrator.healing import Healer
    from orchestrator.scanners import Scanner
    from orchestrator.store import RunFolder
    from orchestrator.tracing.collect import Traces


class Workshop(Struct, frozen=True):
    """The tools, places and signals of one run."""

    engine: Engine
    builder: Builder
    store: ImageStore
    bases: BaseReader
    run: RunFolder
    traces: Traces
    name: str
    folder: Path
    jobs: int
    floor: BoundedSemaphore  # a cell is on it while anything is done for it alone
    bench: BoundedSemaphore  # and on this while it is built, which it leaves to the next one when it is tested
    smoke: bool
    keep: bool
    emit: Emit
    cancel: Signal
    healer: Healer
    contexts: Contexts
    pulse: Pulse | None = None
    scanner: Scanner | None = None
    runner: str = "auto"

    def watch(self, platform: str | None) -> AbstractContextManager[AnySignal]:
        """Give what ends a build for a platform: that the run is cancelled, or that nobody builds any more."""
        return self.pulse.watch(platform, self.cancel) if self.pulse else nullcontext(self.cancel)


class Seat:
    """Where a cell is in the workshop: nowhere, on the floor, or on the floor and at the bench."""

    def __init__(self, shop: Workshop) -> None:
        """Begin outside."""
        self._shop = shop
        self._on_floor = self._at_bench = False

    def enter(self) -> None:
        """Wait for room on the floor."""
        if not self._on_floor:
            self._shop.floor.acquire()
            self._on_floor = True

    def sit_down(self) -> None:
        """Wait for room at the bench."""
        self.enter()
        if not self._at_bench:
            self._shop.bench.acquire()
            self._at_bench = True

    def get_up(self) -> None:
        """Leave the bench to the next cell."""
        if self._at_bench:
            self._shop.bench.release()
            self._at_bench = False

    def leave(self) -> None:
        """Leave the floor."""
        self.get_up()
        if self._on_floor:
            self._shop.floor.release()
            self._on_floor = False


class CancelledError(Exception):
    """The run was interrupted; the cell has no result."""
