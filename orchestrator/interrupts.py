"""Ctrl-C and its relatives: once to cancel what is under way, twice to stop waiting for it."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.progress.say import let_go, say_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event as Signal

_STANDARD = (0, 1, 2)
_OF_A_RUN = "cancelling the cells under way; what is finished is kept"


@contextmanager
def interrupts(cancel: Signal, interrupted: Signal, words: str = _OF_A_RUN) -> Iterator[None]:
    """Let the first interruption cancel what is under way, and say in these words what that means; a second one is not waited for.

    What the caller has switched off, as `nohup` does with a closed terminal, stays off.
    """
    terminals = [number for number in _STANDARD if os.isatty(number)]

    def interrupt(number: int, _frame: object) -> None:
        if number == signal.SIGHUP:
            let_go(*(terminal for terminal in terminals if not os.isatty(terminal)))
            if interrupted.is_set():  # the kernel tells the first process of a session twice
                return
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        cancel.set()
        say_at_once(f"\nmatrix: {signal.Signals(number).name}: {words}\n")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    wanted = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
