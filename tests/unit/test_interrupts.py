"""Interruptions, and terminals that go away: what counts as one, and what is only the kernel saying it twice."""

from __future__ import annotations

import errno
import io
import os
import signal
from threading import Event

import pytest

from orchestrator.interrupts import interrupts
from orchestrator.progress.say import Lasting


def test_a_terminal_that_hangs_up_twice_is_waited_for(request: pytest.FixtureRequest) -> None:
    """The kernel tells the first process of a session twice; that is no impatience."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(signal.SIGHUP, before))
    cancel, interrupted = Event(), Event()
    with interrupts(cancel, interrupted):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert cancel.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_the_caller_switched_off_stays_off() -> None:
    """`nohup matrix run` goes on when its terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        cancel = Event()
        with interrupts(cancel, Event()):
            signal.raise_signal(signal.SIGHUP)
        assert not cancel.is_set()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


class Refusing(io.StringIO):
    """A stream that refuses what is written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, _text: str) -> int:
        """Refuse."""
        raise OSError(self._number, os.strerror(self._number))


def test_a_listener_that_went_away_ends_nothing_and_a_full_disk_is_said() -> None:
    """A closed terminal or pipe is nobody's error; a result that is not written is."""
    for gone in (errno.EIO, errno.EPIPE):
        assert Lasting(Refusing(gone)).write("words") == 5
    with pytest.raises(OSError, match="No space left"):
        Lasting(Refusing(errno.ENOSPC)).write("words")
