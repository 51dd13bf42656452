"""What steps print, which comes in pieces of several steps and of two streams each, to whole lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.measure.progress import LogLine

_LONGEST = 64 * 1024  # of a line that is waited for: progress bars may never end theirs


class Lines(Struct):
    """Lines that have begun and not ended; feed it every piece, and ask for the rest when nothing more comes."""

    begun: dict[tuple[str, bool], LogLine] = field(default_factory=dict)

    def feed(self, piece: LogLine) -> Iterator[LogLine]:
        """Take a piece; give the lines that end in it, each with the moment of its end.

        A program that writes to both streams may end a line of the one between two pieces of the other's.
        """
        key = piece.vertex, piece.is_error
        earlier = self.begun.pop(key, None)
        *lines, rest = f"{earlier.text if earlier else ''}{piece.text}".split("\n")
        yield from (replace(piece, text=f"{line}\n", data=b"") for line in lines)
        if len(rest) > _LONGEST:
            yield replace(piece, text=f"{rest}\n", data=b"")
        elif rest:
            self.begun[key] = replace(piece, text=rest, data=b"")

    def end(self) -> Iterator[LogLine]:
        """Give the lines that nothing has ended."""
        yield from (replace(line, text=f"{line.text}\n") for line in self.begun.values())
        self.begun.clear()
