"""A builder that goes away: looked for once for all that miss it, and given up when it stays away."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal
from types import SimpleNamespace
from typing import TYPE_CHECKING

from orchestrator import healing
from orchestrator.errors import EngineError
from orchestrator.healing import Healer

if TYPE_CHECKING:
    import pytest

    from orchestrator.events import Event


class Door:
    """A builder that is there or not, and counts how often it was looked for."""

    def __init__(self) -> None:
        """Be away."""
        self.is_there = False
        self.tries = 0
        self.may_answer = Signal()
        self.may_answer.set()
        self.events: list[Event] = []
        self.healer = Healer(self.ensure, self.events.append)

    def ensure(self) -> None:
        """Be found, or not."""
        self.tries += 1
        self.may_answer.wait()
        if not self.is_there:
            message = "gone"
            raise EngineError(message)


def test_a_builder_that_is_back_is_found() -> None:
    """And no word is lost about it."""
    door = Door()
    door.is_there = True
    assert (door.healer.heal(), door.healer.given_up, door.events) == (None, None, [])


def test_those_that_wait_for_one_look_share_what_it_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """To find that nothing answers takes buildx 20 s; eight cells that each look for themselves take minutes."""
    door = Door()
    door.may_answer.clear()
    moments: list[float] = []

    def tell() -> float:
        moments.append(float(len(moments)))
        return moments[-1]

    monkeypatch.setattr(healing, "time", SimpleNamespace(monotonic=tell))
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(door.healer.heal) for _ in range(8)]
        while len(moments) < len(asked):
            time.sleep(0.001)  # until all have asked what time it is, which they tell nobody
        door.may_answer.set()
        assert {one.result(timeout=10) for one in asked} == {"gone"}
    assert door.tries == 1
    assert [event.data["text"] for event in door.events] == ["gone"]


def test_a_builder_that_stays_away_is_given_up() -> None:
    """After the second look nobody tries any more, and it is said once."""
    door = Door()
    assert [door.healer.heal(), door.healer.given_up] == ["gone", None]
    assert [door.healer.heal(), door.healer.given_up] == ["gone", "gone"]
    assert [door.healer.heal(), door.tries, len(door.events)] == ["gone", 2, 1]


def test_what_others_can_do_without_is_not_given_up() -> None:
    """One of two nodes may be away: where cells are built meanwhile, the others are tried on."""
    door = Door()
    for _ in range(3):
        door.healer.heal()
        door.healer.note_success()
    assert (door.healer.given_up, door.tries) == (None, 3)
