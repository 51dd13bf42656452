"""Whether the pod that builds is still there: an older buildx waits for one that is gone as long as the build may take."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.docker.dial import dial
from orchestrator.errors import EngineError
from orchestrator.model import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Engine
    from orchestrator.docker.process import Signal

    Look = Callable[[str | None], str]

_WORKERS = "/moby.buildkit.v1.Control/ListWorkers"
_FIRST_S = 2.0  # most builds of which nothing has changed are over by then
_LOOK_S = 15.0
GONE = "the pod that built it is gone, for which buildx would have waited on"
_MOST_MISSES = 4  # in a row: a cluster's own server may be away for a while


def open_pulse(engine: Engine, builder: Builder) -> Pulse | None:
    """Give what watches over a builder of single pods; of several nobody can be asked who they all are."""
    if builder.driver != "kubernetes" or builder.pods is not None:
        return None
    return Pulse(lambda platform: find_worker(engine, builder, platform))


def find_worker(engine: Engine, builder: Builder, platform: str | None) -> str:
    """Name who builds for a platform: a BuildKit has an id of its own in each container."""
    with dial(engine, builder, Route(platform)) as line:
        return " ".join(worker.id for answer in line.ask(_WORKERS, "Nothing", "Workers") for worker in answer.record)


class _Vigil(Struct):
    """A look now and then at who builds for a platform, as long as somebody is built for it."""

    look: Callable[[], str]
    known: str = ""
    builds: int = 0
    losses: int = 0
    over: Event = field(default_factory=Event)

    def keep(self) -> None:
        """Count how often who builds is gone."""
        misses, wait_s = 0, _FIRST_S
        while not self.over.wait(wait_s):
            wait_s = _LOOK_S
            try:
                seen, misses = self.look(), 0
            except (EngineError, OSError):
                seen, misses = self.known, misses + 1
            if misses == _MOST_MISSES or (self.known and seen != self.known):
                self.losses += 1
            self.known = seen

    def is_another(self) -> bool:
        """Look once more, and tell whether who was known is not there."""
        known = self.known
        try:
            return bool(known) and self.look() != known
        except (EngineError, OSError):
            return True


class Pulse:
    """Knows of the builds under way whether the pod that they were sent to is still there."""

    def __init__(self, look: Look) -> None:
        """Look when something is built, and not before."""
        self._look = look
        self._vigils: dict[str | None, _Vigil] = {}
        self._lock = Lock()

    @contextmanager
    def watch(self, platform: str | None, cancel: Signal) -> Iterator[Watched]:
        """Give what ends a build: that the run is cancelled, or that the pod is gone."""
        with self._lock:
            vigil = self._vigils.get(platform)
            if vigil is None:
                vigil = self._vigils[platform] = _Vigil(lambda: self._look(platform))
                Thread(target=vigil.keep, name="pulse", daemon=True).start()
            vigil.builds += 1
        try:
            yield Watched(cancel, vigil, vigil.losses)
        finally:
            with self._lock:
                vigil.builds -= 1
                if not vigil.builds:
                    vigil.over.set()
                    del self._vigils[platform]


class Watched(Struct):
    """The signal of one build."""

    cancel: Signal
    vigil: _Vigil
    before: int

    def is_set(self) -> bool:
        """Tell whether to end it now."""
        return self.cancel.is_set() or self.vigil.losses > self.before

    def is_lost(self) -> bool:
        """Tell whether the pod is gone, by one more look: what takes too long may have nobody that does it."""
        if self.vigil.losses == self.before and self.vigil.is_another():
            self.vigil.losses += 1
            self.vigil.known = ""  # whoever is there next is nobody's loss
        return self.vigil.losses > self.before
