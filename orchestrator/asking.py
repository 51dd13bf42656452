"""Asking beside other work: an answer that does not come keeps nobody from ending."""

from __future__ import annotations

from concurrent.futures import Future, wait
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event as Signal

Said = TypeVar("Said")

_POLL_S = 0.1


def beside(ask: Callable[[], Said]) -> Future[Said]:
    """Ask something beside what the caller does until it needs the answer."""
    asked: Future[Said] = Future()

    def answer() -> None:
        try:
            asked.set_result(ask())
        except BaseException as error:  # noqa: BLE001  # handed to who wants the answer, if anybody does
            asked.set_exception(error)

    Thread(target=answer, daemon=True).start()
    return asked


def answer_of(asked: Future[Said], cancel: Signal) -> Said:
    """Wait for an answer, unless that is interrupted."""
    while not wait([asked], _POLL_S).done:
        if cancel.is_set():
            raise KeyboardInterrupt
    return asked.result()
