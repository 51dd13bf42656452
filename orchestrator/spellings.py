"""How secrets are spelt where they turn up, whole or cut."""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from orchestrator.cuts import CUT
from orchestrator.smoke.words import inert, one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

HIDDEN = "***"
_SHORTEST = 6  # a shorter value would blacken words that have nothing to do with it
_LONGEST = 4096  # a longer one is looked for in pieces
_MOST = 128 * 1024  # of one value, as much as a variable may have
_DEPTH = 3  # letters by which many texts are told apart
_GO_ESCAPES = re.compile(r"[&<>\u2028\u2029]")
_TO_ADDRESSES = str.maketrans("+/", "-_")


def spell_all(values: Iterable[str]) -> set[str]:
    """Give secrets in every spelling: as printed, in base64, in addresses, in JSON, in quotes, and in JSON that holds quotes."""
    pieces = {value[at : at + _LONGEST] for value in values if value.strip() for at in range(0, min(len(value), _MOST), _LONGEST)}
    wanted = {spelling for piece in pieces if len(piece) >= _SHORTEST for spelling in _spell(piece)}
    for _ in range(2):
        wanted |= {spelling for value in wanted for spelling in _spell_in_json(value)}
    return {spelling for spelling in wanted if len(spelling) >= _SHORTEST}


def _spell(value: str) -> set[str]:
    """Write a value as it may be printed: without what a terminal obeys, on one line, for an address, and in base64."""
    data = value.encode("utf-8", "surrogateescape")
    in_base64 = {_within_base64(data, before) for before in range(3)}
    in_addresses = {quote(data, safe=""), quote(data), quote_plus(data)}
    printed = {value, data.decode("utf-8", "replace"), inert(value), one_line(value)}
    return printed | in_addresses | in_base64 | {text.translate(_TO_ADDRESSES) for text in in_base64}


def _within_base64(data: bytes, before: int) -> str:
    """Give the letters of base64 that are these bytes' alone, where so many bytes stand before them in a group of three."""
    letters = base64.b64encode(bytes(before) + data).decode()
    return letters[-(-8 * before // 6) : 8 * (before + len(data)) // 6]


def _spell_in_json(value: str) -> tuple[str, str, str]:
    """Write a value as Python's JSON has it, with and without ASCII alone, and as Go's has it, which buildx speaks."""
    plain = json.dumps(value, ensure_ascii=False)[1:-1]
    return json.dumps(value)[1:-1], plain, _GO_ESCAPES.sub(lambda found: f"\\u{ord(found[0]):04x}", plain)


def one_of(texts: Iterable[str], depth: int = _DEPTH) -> str:
    """Make a pattern for any of these texts, the longest first; many are looked for by their first letters."""
    if depth == 0:
        return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    by_first: dict[str, list[str]] = {}
    for text in sorted(texts, key=len, reverse=True):
        by_first.setdefault(text[:1], []).append(text[1:])
    return "|".join(f"{re.escape(first)}(?:{one_of(rest, depth - 1)})" if first else "" for first, rest in by_first.items())


class Cuts:
    """Finds what is left of a secret where a text was cut: its begin before the mark of that, or its end behind it."""

    def __init__(self, wanted: Collection[str]) -> None:
        """Take all spellings."""
        self._begins, self._ends = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for text in wanted:
            self._begins[text[:_SHORTEST]].append(text)
            self._ends[text[-_SHORTEST:]].append(text)
        self._begin = re.compile(f"(?=({one_of(self._begins)}))")
        self._end = re.compile(f"(?=({one_of(self._ends)}))")
        self._longest = max(map(len, wanted))

    def hide(self, text: str) -> str:
        """Hide what is left of secrets in a text."""
        if CUT not in text:
            return text
        first, *rest = text.split(CUT)
        parts = [first, *map(self._hide_end, rest)]
        return CUT.join([*map(self._hide_begin, parts[:-1]), parts[-1]])

    def _hide_begin(self, text: str) -> str:
        """Hide the begin of a secret with which a text ends."""
        start = max(0, len(text) - self._longest)
        for found in self._begin.finditer(text, start):
            left = text[found.start() :]
            if any(whole.startswith(left) for whole in self._begins[found[1]]):
                return text[: found.start()] + HIDDEN
        return text

    def _hide_end(self, text: str) -> str:
        """Hide the end of a secret with which a text begins."""
        for found in reversed([*self._end.finditer(text, 0, self._longest)]):
            left = text[: found.end(1)]
            if any(whole.endswith(left) for whole in self._ends[found[1]]):
                return HIDDEN + text[len(left) :]
        return text
