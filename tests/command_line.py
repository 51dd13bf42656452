"""The command line within a test's own process, where its doors can be watched."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli import main

if TYPE_CHECKING:
    from collections.abc import Sequence


def end_of(monkeypatch: pytest.MonkeyPatch, *argv: str) -> int:
    """Run the command line to its end; give its exit code."""
    monkeypatch.setattr(sys, "argv", ["matrix", *argv])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def assert_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: Sequence[str], code: int, words: str
) -> None:
    """See that a command ends with words on standard error and nothing else: no result, and never a traceback."""
    assert end_of(monkeypatch, *argv) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "Traceback" not in err
