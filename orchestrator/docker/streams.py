"""What a container reads and prints, as the engine sends it: in frames, each of one stream."""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from orchestrator.docker.api import talking
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.docker.api import Talk
    from orchestrator.docker.engine import Engine
    from orchestrator.docker.process import Signal

_POLL_S = 0.1
_CHUNK = 64 * 1024
_HEADER = 8  # of a frame: which stream, and how long
_MOST_OF_A_FRAME = 1024 * 1024
_STREAMS = {1: "out", 2: "err"}


class Attached:
    """What a container reads and prints, each stream up to a limit."""

    def __init__(self, talk: Talk, sock: socket.socket, limit: int) -> None:
        """Take the connection to a container that has not been started."""
        self._talk = talk
        self._sock = sock
        self._limit = limit
        self._kept = {name: bytearray() for name in _STREAMS.values()}
        self._rest = bytearray()

    @property
    def stdout(self) -> str:
        """Give the first of what it printed."""
        return self._kept["out"].decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """Give the first of its errors."""
        return self._kept["err"].decode("utf-8", "replace")

    def follow(self, stdin: bytes, latest: float, cancel: Signal) -> None:
        """Send what it is to read and take what it prints, until it has ended, or time is over, or whoever waits gives up."""
        left = memoryview(stdin)
        with selectors.DefaultSelector() as selector, self._talk.heard():
            selector.register(self._sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if left else 0))
            while not cancel.is_set() and time.monotonic() < latest:
                ready = sum(events for _, events in selector.select(_POLL_S))
                if ready & selectors.EVENT_WRITE:
                    left = self._send(left)
                    if not left:
                        selector.modify(self._sock, selectors.EVENT_READ)
                if ready & selectors.EVENT_READ and not self._receive():
                    return

    def _send(self, left: memoryview) -> memoryview:
        """Send a part, and give the rest; nothing is left for a program that has ended without reading it."""
        try:
            left = left[self._sock.send(left[:_CHUNK], socket.MSG_DONTWAIT) :]
            if not left:
                self._sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            return left[:0]
        return left

    def _receive(self) -> bool:
        """Take what has come; tell whether more may come."""
        with suppress(ConnectionResetError):  # it has ended without reading what it was sent
            if chunk := self._sock.recv(_CHUNK):
                self._take(chunk)
                return True
        return False

    def _take(self, chunk: bytes) -> None:
        self._rest += chunk
        while len(self._rest) >= _HEADER:
            size = int.from_bytes(self._rest[4:_HEADER], "big")
            if size > _MOST_OF_A_FRAME:
                message = "the engine does not send a container's output as it should"
                raise EngineError(message)
            if len(self._rest) < _HEADER + size:
                return
            kept = self._kept[_STREAMS.get(self._rest[0], "out")]
            kept += self._rest[_HEADER : _HEADER + size][: self._limit - len(kept)]
            del self._rest[: _HEADER + size]


@contextmanager
def attached(engine: Engine, box: str, limit: int, *, has_input: bool) -> Iterator[Attached]:
    """Be connected with what a container reads and prints."""
    streams = {"stream": 1, "stdin": int(has_input), "stdout": 1, "stderr": 1}
    with talking(engine) as talk:
        yield Attached(talk, talk.upgrade(f"/containers/{box}/attach", "tcp", streams), limit)


def read_frames(data: bytes) -> str:
    """Give what a container printed, output and errors as they came, from the form in which the engine keeps it."""
    found = bytearray()
    while len(data) >= _HEADER:
        end = _HEADER + int.from_bytes(data[4:_HEADER], "big")
        found += data[_HEADER:end]
        data = data[end:]
    return found.decode("utf-8", "replace")
