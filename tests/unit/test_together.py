"""Cells that wait for each other: nobody waits for one that does not come, or for a run that is over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.docker.build import Target
from orchestrator.together import Group
from orchestrator.workshop import CancelledError
from tests.unit.folders import make_files, plan_of

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.model import Cell

NOWHERE = Target(None, None)
UNTRACED: Any = None  # nothing is built, so nothing is traced


@pytest.fixture
def cells(tmp_path: Path) -> tuple[Cell, ...]:
    """Give three cells."""
    return plan_of("axes: {base: [a, b, c]}\n", make_files(tmp_path, "Dockerfile")).cells


def make_group(cells: tuple[Cell, ...], cancel: Event) -> Group:
    """Make a group in a workshop that has no tools: nothing is to be built."""
    shop: Any = SimpleNamespace(cancel=cancel)
    return Group(shop, {cell.id: "sha256:0" for cell in cells}, rows=2)


def test_a_cell_that_is_left_over_is_built_by_itself(cells: tuple[Cell, ...]) -> None:
    """Two of three have ended before they could be built; one may say so twice."""
    group = make_group(cells, Event())
    with ThreadPoolExecutor() as pool:
        left = pool.submit(group.build, cells[0], NOWHERE, UNTRACED)
        for cell in (cells[1], cells[2], cells[2]):
            group.leave(cell)
        assert left.result(timeout=10) is None


def test_a_run_that_is_cancelled_lets_go_of_all_that_wait(cells: tuple[Cell, ...]) -> None:
    """Whoever waits for the others, and whoever waits for the one that builds."""
    cancel = Event()
    group = make_group(cells, cancel)
    with ThreadPoolExecutor() as pool:
        waits = [pool.submit(group.build, cell, NOWHERE, UNTRACED) for cell in cells[:2]]
        cancel.set()
        for wait in waits:
            with pytest.raises(CancelledError):
                wait.result(timeout=10)
