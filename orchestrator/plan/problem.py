"""Something wrong with a matrix.yaml: where, in words, and what may be all that is behind it."""

from __future__ import annotations

from msgspec import Struct

Where = tuple[str | int, ...]


class Problem(Struct, frozen=True):
    """A problem that the schema cannot see.

    `after` names the parts of the file that it is about. Where the schema has
    refused one of them, the problem only follows from that: one mistake is one
    error. A value of an axis is named as itself, not by its place in the list.
    `covers` says that all that the schema has refused inside of `where` follows from this one.
    """

    where: Where
    words: str
    after: tuple[Where, ...] = ()
    covers: bool = False
