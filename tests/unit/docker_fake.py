"""A `docker` that starts nothing: it answers from a script and remembers what it was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.docker.engine import Engine
from orchestrator.docker.process import Exit, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Answer = str | tuple[int, str] | Exit


class FakeDocker:
    """Stands in the place of orchestrator.docker.process.run."""

    def __init__(self, **answers: Answer | list[Answer]) -> None:
        """Answer by the words of a command joined by `_`; a list is used up, its last answer stays."""
        self._answers = answers
        self.asked: list[list[str]] = []

    def __call__(self, argv: Sequence[str], **_: object) -> Output:
        """Answer a command: text is success, a code and text is failure, an Exit is what it says."""
        self.asked.append(list(argv[1:]))
        words = "_".join(argv[1:]).replace("-", "")
        found: Answer | list[Answer] = next(
            (self._answers[key] for key in self._answers if words.startswith(key)), (1, "unexpected")
        )
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        match found:
            case str():
                return Output(Exit(0), found, "")
            case Exit():
                return Output(found, "", "")
        return Output(Exit(found[0]), "", found[1])

    def also(self, **answers: Answer | list[Answer]) -> None:
        """Answer these commands, too."""
        self._answers |= answers

    def did(self, *words: str) -> list[list[str]]:
        """Give the commands that begin with these words."""
        return [argv for argv in self.asked if argv[: len(words)] == list(words)]


def make_which(*, found: bool) -> Callable[[str], str | None]:  # the one thing it is about
    """Make a search of the PATH that finds docker, or nothing."""
    return lambda name: f"/usr/bin/{name}" if found else None


def make_engine(*, storage: str, containerd_store: bool) -> Engine:
    """Make an engine on this machine."""
    return Engine(
        docker="/usr/bin/docker",
        buildx_argv=("/usr/bin/docker", "buildx"),
        version="28.1.0",
        buildx="0.23.0",
        context="default",
        storage=storage,
        containerd_store=containerd_store,
        cpus=2,
        memory_bytes=8_000_000_000,
        platform="linux/amd64",
        cgroup="v2",
        endpoint="unix:///var/run/docker.sock",
    )
