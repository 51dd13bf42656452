"""The order of isolated measurements: every cell once a round, each round shuffled by a seed that is recorded."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

SCENARIOS = ("cold", "cached", "code", "deps")


class Sample(Struct, frozen=True):
    """One build to be timed."""

    number: int
    cell: str
    scenario: str
    is_control: bool = False  # of the cell that is measured as if it were two


def make_schedule(cells: Sequence[str], scenarios: Sequence[str], rounds: int, control: str, seed: int) -> list[Sample]:
    """Give all samples in the order in which they are taken, so that what drifts hits all cells alike."""
    once = [(cell, scenario, is_control) for scenario in scenarios for cell, is_control in _arms(cells, control)]
    order: list[tuple[str, str, bool]] = []
    lot = random.Random(seed)  # noqa: S311  # it has to be the same again, not secret
    for _ in range(rounds):
        order += lot.sample(once, len(once))
    return [Sample(number, *one) for number, one in enumerate(order, start=1)]


def _arms(cells: Sequence[str], control: str) -> list[tuple[str, bool]]:
    return [*((cell, False) for cell in cells), (control, True)]
