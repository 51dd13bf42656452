"""Messages over many lines, as buildx 0.13 prints them."""

from __future__ import annotations

import json

import pytest

from orchestrator.measure.unfold import Unfolder

MESSAGE = {"vertexes": [{"digest": "sha256:a", "name": '[1/2] RUN echo "}\n{"', "inputs": [], "error": "  }"}], "logs": []}


def unfold(*lines: bytes) -> list[bytes]:
    """Give what comes out of lines."""
    found: list[bytes] = []
    unfolder = Unfolder(found.append)
    for line in lines:
        unfolder.feed(line)
    unfolder.close()
    return found


def test_a_message_over_many_lines_is_one() -> None:
    """As every later buildx prints it; what is not JSON, and what is one line already, is left as it is."""
    spread = json.dumps(MESSAGE, indent=2).encode().split(b"\n")
    plain = json.dumps(MESSAGE).encode()
    first, second, third, last = unfold(plain, *spread, *spread, b"ERROR: failed to solve: {")
    assert first == plain
    assert json.loads(second) == json.loads(third) == MESSAGE
    assert b"\n" not in second
    assert last == b"ERROR: failed to solve: {"


@pytest.mark.parametrize("lines", [[b"{"], [b"{", b"  a", b"ERROR: x"], [b"{", b"{", b"x"], [b"}"], [b"", b"{", b""]])
def test_what_is_no_message_comes_out_as_it_came(lines: list[bytes]) -> None:
    """Nothing is lost of an error that has a brace on a line of its own."""
    assert unfold(*lines) == lines


def test_a_message_without_end_is_not_kept() -> None:
    """Whoever prints it, memory is bounded."""
    found: list[bytes] = []
    unfolder = Unfolder(found.append)
    unfolder.feed(b"{")
    for _ in range(20):
        unfolder.feed(b" " * 1024**2)
    assert len(found) > 16
