"""A builder that goes away under a run: looked for before anything is tried again, and given up when it stays away."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from orchestrator.errors import EngineError
from orchestrator.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.events import Emit

_MOST_TRIES = 2  # in vain, with nothing built in between


class Healer:
    """Sees that the builder is there; of cells that want it at once, one asks for all."""

    def __init__(self, ensure: Callable[[], object], emit: Emit) -> None:
        """Know how to bring the builder back."""
        self._ensure = ensure
        self._emit = emit
        self._lock = Lock()
        self._tried_at = float("-inf")
        self._in_vain = 0
        self._problem: str | None = None

    @property
    def given_up(self) -> str | None:
        """Say why nothing more is tried, where that is so."""
        return self._problem if self._in_vain >= _MOST_TRIES else None

    def heal(self) -> str | None:
        """Bring the builder back; say why that cannot be done."""
        asked_at = time.monotonic()
        with self._lock:
            if self._tried_at < asked_at and not self.given_up:
                self._try()
            return self._problem

    def note_success(self) -> None:
        """Know that something was built: what went away is back, or is a node that others can do without."""
        self._in_vain = 0

    def _try(self) -> None:
        try:
            self._ensure()
            self._problem, self._in_vain = None, 0
        except EngineError as error:
            if self._problem is None:
                self._emit(Event("warning", None, {"text": str(error)}))
            self._problem = str(error)
            self._in_vain += 1
        self._tried_at = time.monotonic()
