"""The two ways to run a program of a cell's image: in a container, or as a step of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from orchestrator.docker.containers import Confinement, ended_container
from orchestrator.docker.stages import Task
from orchestrator.smoke.choose import CONTAINER, GRAPH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from orchestrator.docker.containers import Ended
    from orchestrator.docker.engine import Engine
    from orchestrator.docker.graph import Graph


# BuildKit tells each step of a traced build where to send spans of its own, and would be sent those of the image's service.
_WITHOUT_TRACING = """\
import os
if os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").startswith("unix:///dev/otel"):
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "TRACEPARENT"):
        os.environ.pop(name, None)
"""


class Call(Struct, frozen=True):
    """A program of the image with its arguments; with a script, it is an interpreter that is given it."""

    words: tuple[str, ...]
    confinement: Confinement
    script: str | None = None
    wanted: tuple[str, ...] = ("stdout",)  # the streams that are looked at


class Runner(Protocol):
    """Runs a program to its end, its time limit or a cancellation."""

    @property
    def name(self) -> str:
        """Name the runner as records do."""

    def run(self, call: Call, timeout_s: float) -> Ended:
        """Run a program."""

    def foresee(self, calls: Sequence[tuple[Call, float] | None]) -> None:
        """Know what is likely to be asked for, with the time limit of each; None stands for what is not known yet."""

    def close(self) -> None:
        """End what is under way."""


class ContainerRunner(Struct, frozen=True):
    """Runs each program in a container of its own, which holds to all limits."""

    engine: Engine
    image: str
    cancel: Event

    @property
    def name(self) -> str:
        """Name the runner as records do."""
        return CONTAINER

    def run(self, call: Call, timeout_s: float) -> Ended:
        """Run a program; a script is its standard input."""
        program, *words = call.words
        argv = [program, *words] if call.script is None else [program, "-", *words]
        stdin = (call.script or "").encode()
        with ended_container(
            self.engine,
            self.image,
            argv,
            call.confinement,
            stdin=stdin,
            wanted=call.wanted,
            timeout_s=timeout_s,
            cancel=self.cancel,
        ) as (_, ended):
            return ended

    def foresee(self, calls: Sequence[tuple[Call, float] | None]) -> None:
        """Do nothing: each container is started when it is asked for."""

    def close(self) -> None:
        """Do nothing: each container is gone already."""


class GraphRunner(Struct, frozen=True):
    """Runs programs as steps of builds, which know neither memory limits nor a root that cannot be written."""

    graph: Graph

    @property
    def name(self) -> str:
        """Name the runner as records do."""
        return GRAPH

    def run(self, call: Call, timeout_s: float) -> Ended:
        """Run a program; a script is one of its arguments, since a step has no standard input."""
        return self.graph.run(make_step(call), timeout_s)[-1]

    def foresee(self, calls: Sequence[tuple[Call, float] | None]) -> None:
        """Put what follows into the same build."""
        self.graph.foresee([one and (make_step(one[0]), one[1]) for one in calls])

    def close(self) -> None:
        """End a build that is under way."""
        self.graph.close()


def make_step(call: Call) -> Task:
    """Make a step of a build of a program; a script is one of its arguments."""
    program, *words = call.words
    argv = call.words if call.script is None else (program, "-c", _WITHOUT_TRACING + call.script, *words)
    return make_task([argv], call.confinement)


def make_task(argvs: Sequence[Sequence[str]], confinement: Confinement) -> Task:
    """Give a step as much of what confines a container as a step can have."""
    return Task(
        argvs=tuple(map(tuple, argvs)),
        env=confinement.env,
        user=confinement.limits.user,
        network="default" if confinement.limits.network == "bridge" else "none",
        tmpfs=confinement.tmpfs,
    )
