"""A bounded queue that a daemon thread empties into a backend: putting something in never waits, closing has a limit."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Sent_contra = TypeVar("Sent_contra", contravariant=True)

_BATCH = 512
_BATCH_BYTES = 1024 * 1024  # receivers take 4 MiB at most, unless told otherwise
_POLL_S = 0.05
_STOP_S = 0.2


class NotSentError(Exception):
    """A batch has not arrived, for a reason that the outbox has been told."""


class Wire(Protocol[Sent_contra]):
    """An open way to a backend; what it notices on the way goes to the outbox's `note`."""

    def send(self, batch: Sequence[Sent_contra]) -> int:
        """Send a batch, and give how many of it have arrived; raise NotSentError when the backend did not take it."""

    def stop(self) -> None:
        """Give up what is under way, and close; called from any thread, and perhaps twice."""


class Outbox(Generic[Item]):
    """What is on its way to one backend."""

    def __init__(
        self, connect: Callable[[Callable[[str], None]], Wire[Item]], *, weigh: Callable[[Item], int], most: int | None
    ) -> None:
        """Start the thread; it connects by itself, since even that takes time."""
        self._connect = connect
        self._weigh = weigh
        self._most = most
        self._queue: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._wire: Wire[Item] | None = None
        self._noted: deque[str] = deque(maxlen=20)  # what went wrong with the batch that is under way
        self._failure: tuple[str, ...] | None = None  # what went wrong with the last one that failed
        self._is_failing = self._is_given_up = False
        self.put_in = self.sent = self.left_out = 0
        self._done = threading.Event()
        threading.Thread(target=self._work, name="matrix-outbox", daemon=True).start()

    def put(self, items: Sequence[Item]) -> None:
        """Put something in; what there is no room for is counted and left out."""
        with self._changed:
            self.put_in += len(items)
            room = len(items) if self._most is None else max(self._most - len(self._queue), 0)
            self.left_out += max(len(items) - room, 0)
            self._queue.extend(items[:room])
            self._changed.notify()

    def close(self) -> None:
        """Say that nothing more comes; the first batch that fails from now on is the last."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def wait(self, deadline: float, failing_deadline: float) -> None:
        """Wait until all is sent or given up, or for a time.monotonic(): an earlier one for a backend that is failing."""
        while not self._done.wait(_POLL_S):
            now = time.monotonic()
            if now >= deadline or ((self._is_failing or self._noted) and now >= failing_deadline):
                break
        if not self._done.is_set():
            self._is_given_up = True
            self._hang_up()
            self._done.wait(_STOP_S)

    @property
    def lost(self) -> int:
        """Give how many have not arrived, as far as is known."""
        return self.put_in - self.sent

    @property
    def evidence(self) -> tuple[str, ...]:
        """Give what is known about why; empty for a backend that has said nothing."""
        return tuple(self._noted) or self._failure or ()

    def _work(self) -> None:
        try:
            self._wire = self._connect(self._noted.append)
            while not self._is_given_up and (batch := self._next_batch()):
                is_last_try = self._closing
                if not self._deliver(self._wire, batch) and is_last_try:
                    break
        except Exception as error:  # noqa: BLE001  # said when the outbox is closed; it ends no run
            self._noted.append(f"{type(error).__name__}: {error}")
        finally:
            self._done.set()
            self._hang_up()

    def _hang_up(self) -> None:
        """Let go of the backend; that it cannot even be left in peace is said with the rest, and ends no run."""
        if self._wire is None:
            return
        try:
            self._wire.stop()
        except Exception as error:  # noqa: BLE001  # as above
            self._noted.append(f"{type(error).__name__}: {error}")

    def _deliver(self, wire: Wire[Item], batch: Sequence[Item]) -> bool:
        """Send one batch; what is wrong with one must not keep the next from being tried."""
        try:
            arrived = wire.send(batch)
        except NotSentError:
            arrived = None
        except Exception as error:  # noqa: BLE001  # as above
            self._noted.append(f"{type(error).__name__}: {error}")
            arrived = None
        self.sent += arrived or 0
        if arrived != len(batch):
            self._failure = tuple(self._noted) or self._failure
        self._is_failing = arrived is None
        self._noted.clear()
        return not self._is_failing

    def _next_batch(self) -> list[Item]:
        """Take what fits into one request; nothing once all is sent and nothing more comes."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            batch: list[Item] = []
            weight = 0
            while self._queue and len(batch) < _BATCH:
                weight += self._weigh(self._queue[0])
                if batch and weight > _BATCH_BYTES:
                    break
                batch.append(self._queue.popleft())
            return batch
