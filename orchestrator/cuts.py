"""Texts of bounded length, with a mark where something is missing: what is left of a secret there is known by it."""

from __future__ import annotations

CUT = "…"
_LENGTH = 4000


def cut(text: str, length: int = _LENGTH) -> str:
    """Give the begin of a text."""
    return text if len(text) <= length else text[: length - 1] + CUT


def cut_begin(text: str, length: int = _LENGTH) -> str:
    """Give the end of a text."""
    return text if len(text) <= length else CUT + text[1 - length :]
