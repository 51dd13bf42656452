"""All that cells share while they are built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import BoundedSemaphore
    from threading import Event as Signal

    from orchestrator.contexts import Contexts
    from orchestrator.docker.bases import BaseReader
    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Engine
    from orchestrator.docker.images import ImageStore
    from orchestrator.events import Emit
    from orchestrator.scanners import Scanner
    from orchestrator.store import RunFolder
    from orchestrator.tracing.collect import Traces


@dataclass(frozen=True, slots=True)
class Workshop:
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
    bench: BoundedSemaphore  # a cell is on it while it is built, and leaves it to the next one when it is tested
    smoke: bool
    keep: bool
    emit: Emit
    cancel: Signal
    heal: Callable[[], None]
    contexts: Contexts
    scanner: Scanner | None = None
    runner: str = "auto"


class CancelledError(Exception):
    """The run was interrupted; the cell has no result."""
