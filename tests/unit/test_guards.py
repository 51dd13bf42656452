"""The guards of the unit tests themselves."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.paths import cache_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_a_unit_test_cannot_start_a_process() -> None:
    """A unit test that starts a process is stopped, in words that say where it belongs."""
    with pytest.raises(AssertionError, match="a unit test must not start a process; move it to tests/integration"):
        subprocess.run(["true"], check=True)
    with pytest.raises(AssertionError, match="a unit test must not start a process"):
        os.system("true")  # noqa: S605  # it must not start  # it must not start


def test_a_unit_test_cannot_open_a_connection() -> None:
    """A unit test that reaches for a network is stopped, even if it is its own machine."""
    with socket.socket() as plug, pytest.raises(AssertionError, match="a unit test must not open a connection"):
        plug.connect(("127.0.0.1", 9))
    with pytest.raises(AssertionError, match="a unit test must not look up a name"):
        socket.create_connection(("example.org", 80))


def test_a_unit_test_has_a_cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    """The cache of a unit test lies in pytest's temporary folder and starts empty."""
    folder = cache_folder("layers")
    assert folder.is_relative_to(tmp_path_factory.getbasetemp())
    assert not folder.is_relative_to(tmp_path)
    assert list(folder.iterdir()) == []
