"""What an outbox knows about why nothing arrives, with a backend made by hand."""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING

from orchestrator.tracing.outbox import NotSentError, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Refusing:
    """A wire that tries again and again until it is stopped, as OpenTelemetry's exporters do."""

    def __init__(self, note: Callable[[str], None]) -> None:
        """Remember what it is given."""
        self.note = note
        self.batches: list[Sequence[str]] = []
        self.tried, self.tried_twice, self.stopped = Event(), Event(), Event()

    def send(self, batch: Sequence[str]) -> int:
        """Fail, with the cause at the first batch only."""
        self.batches.append(batch)
        if len(self.batches) == 1:
            self.note("connection refused")
        self.tried.set()
        assert self.stopped.wait(30)
        raise NotSentError

    def stop(self) -> None:
        """Give up what is under way."""
        self.stopped.set()


def test_what_waits_behind_the_batch_that_is_given_up_is_not_tried() -> None:
    """A run sends until it ends; what comes after the cause was found must not take its place."""
    made: list[Refusing] = []
    ready = Event()

    def connect(note: Callable[[str], None]) -> Refusing:
        made.append(Refusing(note))
        ready.set()
        return made[0]

    outbox = Outbox[str](connect, weigh=len, most=None)
    outbox.put(["a"])
    assert ready.wait(30)
    assert made[0].tried.wait(30)
    outbox.put(["b"])
    outbox.close()
    now = time.monotonic()
    outbox.wait(now, now)
    assert outbox.evidence == ("connection refused",)
    assert (outbox.lost, made[0].batches) == (2, [["a"]])


class Silent(Refusing):
    """A wire that fails at once, and says why only once."""

    def send(self, batch: Sequence[str]) -> int:
        """Fail."""
        self.stopped.set()
        if self.batches:
            self.tried_twice.set()
        return super().send(batch)


def test_a_failure_without_words_leaves_those_of_the_one_before() -> None:
    """The cause is what was said last, and not that nothing was said after it."""
    made: list[Silent] = []
    ready = Event()

    def connect(note: Callable[[str], None]) -> Silent:
        made.append(Silent(note))
        ready.set()
        return made[0]

    outbox = Outbox[str](connect, weigh=lambda _: 1024**2, most=None)  # each is a batch
    outbox.put(["a", "b"])
    assert ready.wait(30)
    assert made[0].tried_twice.wait(30)
    outbox.close()
    outbox.wait(time.monotonic() + 30, time.monotonic() + 30)
    assert outbox.evidence == ("connection refused",)
