"""Patterns against what an image says, in processes that are really started."""

from __future__ import annotations

import time
from threading import Event

import pytest

from orchestrator.smoke.patterns import Expectation, Searcher, UndecidedError, judge_patterns

TRAP = "a" * 40 + "!"


def test_a_pattern_is_tried_in_a_process_as_it_would_be_here() -> None:
    """With all characters that an output can hold."""
    searcher = Searcher(time.monotonic() + 60, Event())
    assert searcher.finds(r"^(\w|\W)+$", "ä\x00\n\ud800" * 1000)
    assert not searcher.finds(r"^(b|c)+$", "a" * 100_000)
    assert judge_patterns([Expectation("its output", "ä", r"^(\w)+$")], 60.0) == [
        ("failed", r"its output does not match '^(\w)+$': ä")
    ]


def test_a_pattern_meets_a_whole_output_at_once() -> None:
    """A line is no text of its own, as docs/matrix-yaml.md says."""
    searcher = Searcher(time.monotonic() + 60, Event())
    found = {pattern: searcher.finds(pattern, "a\nx\nb") for pattern in ("x", "^x$", "(?m)^x$")}
    assert found == {"x": True, "^x$": False, "(?m)^x$": True}


def test_a_pattern_that_goes_back_and_forth_is_ended() -> None:
    """An image may print what keeps a harmless pattern busy for years."""
    began = time.monotonic()
    with pytest.raises(UndecidedError, match="its patterns are still at work after 1 s; simplify them"):
        Searcher(began + 1, Event()).finds("^(a+)+$", TRAP)
    assert time.monotonic() - began < 60


def test_a_run_that_is_cancelled_waits_for_no_pattern() -> None:
    """A Ctrl-C is heard at once."""
    cancel = Event()
    cancel.set()
    with pytest.raises(UndecidedError, match="cancelled"):
        Searcher(time.monotonic() + 60, cancel).finds("^(a+)+$", TRAP)
