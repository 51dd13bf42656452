"""What steps print in pieces, to whole lines."""

from __future__ import annotations

from orchestrator.measure.lines import Lines
from orchestrator.measure.progress import LogLine


def texts(lines: Lines, *pieces: tuple[str, int]) -> list[str]:
    """Feed pieces of one step, each with its stream; give the lines that end in them."""
    return [line.text for text, stream in pieces for line in lines.feed(LogLine("s", "RUN x", text, is_error=stream == 2))]


def test_a_line_that_is_written_in_pieces_is_one() -> None:
    """Uv writes `error`, and what the error is with another call."""
    lines = Lines()
    assert texts(lines, ("one\nerr", 2), ("or: No solution\n  cause: x\n", 2)) == ["one\n", "error: No solution\n", "  cause: x\n"]
    assert list(lines.end()) == []


def test_the_lines_of_two_streams_are_not_mixed() -> None:
    """What apt-get prints where no list was fetched, as it came."""
    pieces = (("Building dependency tree...", 1), ("E:", 2), ("\nReading state information...\n", 1), (" ", 2), ("Unable\n", 2))
    assert texts(Lines(), *pieces) == ["Building dependency tree...\n", "Reading state information...\n", "E: Unable\n"]


def test_what_no_line_ends_is_given_at_the_end() -> None:
    """A question that nobody answers is the last that a step prints; both streams may have one."""
    lines = Lines()
    assert texts(lines, ("Killed", 2), ("really? [y/N] ", 1)) == []
    assert [line.text for line in lines.end()] == ["Killed\n", "really? [y/N] \n"]
    assert list(lines.end()) == []


def test_a_line_that_never_ends_is_not_waited_for() -> None:
    """A progress bar may go on for hours."""
    lines = Lines()
    assert texts(lines, ("#" * 70_000, 1), ("x\n", 1)) == ["#" * 70_000 + "\n", "x\n"]
