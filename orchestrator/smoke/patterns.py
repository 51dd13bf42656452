"""Regular expressions against what an image says, in a process that can be ended.

A pattern that goes back and forth may take hours on a text made for it, and
Python cannot stop it from within, nor does it let anything else go on meanwhile;
so another Python does it, within a limit.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.docker import process
from orchestrator.smoke.words import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.docker.process import Signal

Problem = tuple[str, str]  # an outcome, and the reason for it

_PATIENCE_S = 10.0
_LEAST_S = 1.0  # to start a process at all, however little time is left
_SCRIPT = """
import json, re, sys
asked = json.load(sys.stdin)
answers = []
for pattern, at in asked["patterns"]:
    try:
        answers.append(bool(re.search(pattern, asked["texts"][at], asked["flags"])))
    except (re.error, RecursionError, OverflowError) as error:
        answers.append(str(error))
json.dump(answers, sys.stdout)
"""
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_PARTS = re.compile(r"\\.|\[:\^?\w+:\]|\[\^?\]?|\]", re.DOTALL)
_CHOICE = re.compile(r"[*+?{|]")
_QUICK_TRIES = 1_000_000


class UndecidedError(Exception):
    """Whether a pattern matches was not found out: that is the outcome of the check."""

    def __init__(self, outcome: str, reason: str) -> None:
        """Know the outcome and the reason."""
        self.outcome = outcome
        super().__init__(reason)


class Searcher(Struct, frozen=True):
    """Looks for patterns of Python's in what an image says, while there is time."""

    until: float
    cancel: Signal

    def finds(self, pattern: str, text: str) -> bool:
        """Tell whether a pattern matches; one that may go back and forth for long is tried in a process."""
        if is_quick(pattern, text):
            return re.search(pattern, text) is not None
        (found,) = _try_patterns([(pattern, text)], 0, self.until - time.monotonic(), self.cancel)
        if isinstance(found, str):
            raise UndecidedError("error", f"'{pattern}' cannot be tried: {found}")
        return found


def is_quick(pattern: str, text: str) -> bool:
    """Tell whether a pattern cannot take long on a text, whatever the text is.

    Each place at which a pattern has a choice, and the place at which it
    begins, may be tried with all that the text has; only a group that is
    repeated may be tried more often. What is escaped is counted as well.
    """
    choices = len(_CHOICE.findall(pattern))
    return not (choices and "(" in pattern) and (len(text) + 2) ** (choices + 1) <= _QUICK_TRIES


class Expectation(Struct, frozen=True):
    """A pattern that a text is to hold, or not to hold."""

    where: str
    text: str
    pattern: str
    wanted: bool = True
    whole: bool = True


def make_pattern(text: str) -> str:
    """Write a pattern of Go's in Python's words, where the two differ."""
    inside = False  # a set of characters

    def translate(part: re.Match[str]) -> str:
        nonlocal inside
        if part[0] == r"\z":
            return r"\Z"
        if inside and part[0].startswith("[:"):
            name = part[0][2:-2]
            return _CLASSES.get(name, rf"\p{{{name}}}")  # which Python refuses: better than a match that means something else
        if not part[0].startswith("\\"):
            inside = part[0][0] == "[" and part[0][-2:] != ":]"
        return part[0]

    return _PARTS.sub(translate, text)


def judge_patterns(expectations: Sequence[Expectation], timeout_s: float) -> list[Problem]:
    """Say which expectations a text does not meet."""
    if not expectations:
        return []
    try:
        matches = _try_patterns([(make_pattern(one.pattern), one.text) for one in expectations], re.ASCII, timeout_s)
    except UndecidedError as error:
        return [(error.outcome, str(error))]
    return explain_matches(expectations, matches)


def _try_patterns(pairs: Sequence[tuple[str, str]], flags: int, timeout_s: float, cancel: Signal | None = None) -> list[bool | str]:
    """Try each pattern on its text, in a process; an answer may be the reason why there is none."""
    texts = list(dict.fromkeys(text for _, text in pairs))
    places = {text: at for at, text in enumerate(texts)}
    patterns = [(pattern, places[text]) for pattern, text in pairs]
    asked = json.dumps({"patterns": patterns, "texts": texts, "flags": flags}).encode()
    limit_s = min(_PATIENCE_S, max(_LEAST_S, timeout_s))
    answer = process.run([sys.executable, "-I", "-S", "-W", "ignore", "-c", _SCRIPT], stdin=asked, timeout_s=limit_s, cancel=cancel)
    if answer.exit.cancelled:
        raise UndecidedError("error", "cancelled")
    if answer.exit.timed_out:
        raise UndecidedError("timeout", f"its patterns are still at work after {limit_s:.0f} s; simplify them")
    if not answer.ok:
        raise UndecidedError("error", shorten(f"its patterns cannot be tried: {answer.stderr}"))
    answers: list[bool | str] = json.loads(answer.stdout)
    return answers


def explain_matches(expectations: Sequence[Expectation], matches: Sequence[bool | str]) -> list[Problem]:
    """Put what does not match, or must not, in words; a match may be the reason why none could be tried."""
    problems: list[Problem] = []
    for one, match in zip(expectations, matches, strict=True):
        if isinstance(match, str):
            problems.append(("error", f"'{one.pattern}' is not a pattern that Python can read: {match}"))
        elif not match and not one.whole:
            problems.append(("error", f"{one.where} is too long; '{one.pattern}' does not match the part that was kept"))
        elif match is not one.wanted and one.wanted:
            problems.append(("failed", f"{one.where} does not match '{one.pattern}': {shorten(one.text, 100) or 'it is empty'}"))
        elif match is not one.wanted:
            problems.append(("failed", f"{one.where} matches '{one.pattern}', which it must not"))
    return problems
