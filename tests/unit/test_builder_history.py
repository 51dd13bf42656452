"""The builder's history: a line that leads nowhere any more is given up before anything is asked over it."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any

from orchestrator.docker import history as door
from orchestrator.docker.builder import Builder
from orchestrator.docker.dial import HELLO
from orchestrator.docker.history import BuilderHistory
from orchestrator.errors import EngineError
from orchestrator.model import Route
from tests.unit.docker_fake import make_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

ENGINE = make_engine(storage="", containerd_store=True)
BUILDER = Builder("far", "remote", "v0.32.2", exports_oci=True, did="")


class FakeLine:
    """A connection that tells of no build until it is hung up."""

    def __init__(self) -> None:
        """Lead somewhere."""
        self.leads_on = True
        self.asked: list[str] = []
        self.is_over = Event()

    def ask(self, method: str, *_: str, timeout_s: float | None = 30.0, **__: object) -> Iterator[Any]:
        """Answer, listen, or find that nobody answers within the time that there is."""
        self.asked.append(method)
        if timeout_s is None:
            self.is_over.wait()
        elif not self.leads_on:
            message = f"nothing came for {timeout_s:.0f} s"
            raise EngineError(message)
        yield from ()

    def hang_up(self) -> None:
        """End."""
        self.is_over.set()


def test_a_line_is_kept_while_somebody_answers_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What carries it may outlive the builder: each question would wait for half a minute."""
    lines: list[FakeLine] = []

    @contextmanager
    def dial(*_: object) -> Iterator[FakeLine]:
        lines.append(FakeLine())
        yield lines[-1]

    monkeypatch.setattr(door, "dial", dial)
    history = BuilderHistory(ENGINE, BUILDER, frozenset([Route()]))
    history.connect()
    history.check()
    history.connect()
    assert len(lines) == 1
    lines[0].leads_on = False
    history.check()
    history.connect()
    assert [line.is_over.is_set() for line in lines] == [True, False]
    assert lines[0].asked.count(HELLO) == 2
    history.close()
