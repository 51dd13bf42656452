"""Raw progress of buildx 0.13, which lays each message out over many lines, put back to a line for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_BYTES = 16 * 1024**2  # of a message


class Unfolder:
    """Hands lines on; those from a brace to the brace that ends it as one."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        """Hand all on to this."""
        self._take = take
        self._open: list[bytes] = []
        self._size = 0

    def feed(self, line: bytes) -> None:
        """Take the next line."""
        if not self._open and line != b"{":
            self._take(line)
            return
        self._open.append(line)
        self._size += len(line)
        if line == b"}":
            message = b"".join(map(bytes.strip, self._open))
            self._open, self._size = [], 0
            self._take(message)
        elif self._size > _MOST_BYTES or not line.startswith((b" ", b"{")):
            self.close()

    def close(self) -> None:
        """Hand on, as it came, what turned out to be no message."""
        lines, self._open, self._size = self._open, [], 0
        for line in lines:
            self._take(line)
