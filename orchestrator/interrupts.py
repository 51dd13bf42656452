"""Ctrl-C and its relatives: once to cancel what is under way, twice to stop waiting for it."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.progress.say import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event as Signal


@contextmanager
def interrupts(cancel: Signal, interrupted: Signal) -> Iterator[None]:
    """Let the first interruption cancel the cells under way; a second one is not waited for."""

    def interrupt(number: int, _frame: object) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        say(f"\nmatrix: {signal.Signals(number).name}: cancelling the cells under way; what is finished is kept\n")
        interrupted.set()
        cancel.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
