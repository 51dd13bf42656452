"""Regular expressions against what an image says, in a process that can be ended.

A pattern that goes back and forth may take hours on a text made for it, and
Python cannot stop it from within; so another Python does it, within a limit.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.docker import process
from orchestrator.smoke.words import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

Problem = tuple[str, str]  # an outcome, and the reason for it

_PATIENCE_S = 10.0
_SCRIPT = """
import json, re, sys
asked = json.load(sys.stdin)
answers = []
for pattern, at in asked["patterns"]:
    try:
        answers.append(bool(re.search(pattern, asked["texts"][at], re.ASCII)))
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
    texts = list(dict.fromkeys(one.text for one in expectations))
    places = {text: at for at, text in enumerate(texts)}
    patterns = [(make_pattern(one.pattern), places[one.text]) for one in expectations]
    asked = json.dumps({"patterns": patterns, "texts": texts}).encode()
    limit_s = min(_PATIENCE_S, timeout_s)
    argv = [sys.executable, "-I", "-W", "ignore", "-c", _SCRIPT]
    answer = process.run(argv, stdin=asked, timeout_s=limit_s)
    if answer.exit.timed_out:
        return [("timeout", f"its patterns are still at work after {limit_s:.0f} s; simplify them")]
    if not answer.ok:
        return [("error", shorten(f"its patterns cannot be tried: {answer.stderr}"))]
    return explain_matches(expectations, json.loads(answer.stdout))


def explain_matches(expectations: Sequence[Expectation], matches: Sequence[bool | str]) -> list[Problem]:
    """Put what does not match, or must not, in words; a match may be the reason why none could be tried."""
    problems: list[Problem] = []
    for one, match in zip(expectations, matches, strict=True):
        if isinstance(match, str):
            problems.append(("error", f"'{one.pattern}' is not a pattern that Python can read: {match}"))
        elif not match and not one.whole:
            problems.append(("error", f"{one.where} is too long; '{one.pattern}' does not match the part that was kept"))
        elif match is not one.wanted and one.wanted:
            problems.append(("failed", f"{one.where} does not match '{one.pattern}': {shorten(one.text)[:100] or 'it is empty'}"))
        elif match is not one.wanted:
            problems.append(("failed", f"{one.where} matches '{one.pattern}', which it must not"))
    return problems
