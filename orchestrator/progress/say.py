"""Streams that somebody else may have closed, or closes meanwhile; words on standard error for as long as somebody listens."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import IO, Any

from orchestrator.smoke.words import safe

_GONE = (errno.EPIPE, errno.EIO)


class Lasting:
    """A stream whose terminal may be closed, or whose pipe be left: from then on what is written is dropped."""

    def __init__(self, stream: IO[str]) -> None:
        """Stand before a stream."""
        self._stream = stream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # all else is the stream's own
        """Do as the stream does."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write and flush; nobody who listens must not end a run."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            if error.errno not in _GONE:
                raise
            with suppress(OSError, ValueError):  # a stream need not be a file
                let_go(self._stream.fileno())
        return len(text)

    def flush(self) -> None:
        """Have nothing left to do."""


def say(text: str) -> None:
    """Write to standard error; whatever file, log or image the words came from, a terminal is not rewritten."""
    with suppress(OSError):  # a log on a full disk must not end a run either
        Lasting(sys.stderr).write(safe(text))


def say_at_once(text: str) -> None:
    """Write to standard error from a signal's handler, which may have interrupted somebody who was writing there."""
    with suppress(OSError):
        os.write(2, text.encode())


def open_closed() -> None:
    """Let streams that the caller has closed lead to nowhere; a file that was opened later would have their numbers else."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere == number:
                os.set_inheritable(number, True)  # noqa: FBT003  # it takes no names
            else:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def let_go(*descriptors: int) -> None:
    """Send what is still written there to nowhere: nobody holds the other end any more."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
