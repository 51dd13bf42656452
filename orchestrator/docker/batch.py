"""One build in which tasks of one image, or of several, are run one after another, followed by a thread of its own."""

from __future__ import annotations

import time
from collections import deque
from threading import Condition, Thread
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.cuts import cut
from orchestrator.disk import passing_folder
from orchestrator.docker.build import own_environment, run_build
from orchestrator.docker.containers import KEEP_BYTES, Ended
from orchestrator.docker.pulse import GONE
from orchestrator.docker.stages import find_step, is_clipped, make_end
from orchestrator.errors import EngineError
from orchestrator.measure.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from threading import Event

    from orchestrator.docker.process import Exit
    from orchestrator.docker.pulse import Watched
    from orchestrator.docker.stages import Task, Timed

Ends = tuple[Ended, ...]
_BEGIN_S = 120.0  # until a command begins: the builder may have to fetch the image's layers, and to wait for other builds


class _Step(Struct):
    """A command of a task as far as it has gone."""

    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    clipped: list[str] = field(default_factory=list)  # the streams of which BuildKit left out a part
    began: float | None = None
    ended: Ended | None = None
    over: float = 0.0  # when it ended


class Batch:
    """A build with several tasks, each with its time limit."""

    def __init__(  # noqa: PLR0913  # what is run, how and where, what ends it, and for how many images it is
        self,
        tasks: Sequence[Timed],
        nonce: str,
        argv: list[str],
        dockerfile: bytes,
        folder: Path,
        cancel: Event,
        shares: int,
        watching: AbstractContextManager[Watched | None],
    ) -> None:
        """Begin at once."""
        self._tasks = [task for task, _ in tasks]
        self._shares = shares
        self._limits_s = [limit_s for _, limit_s in tasks]
        self._nonce, self._cancel = nonce, cancel
        self._watching = watching
        self._watched: Watched | None = None
        self._progress = Progress()
        self._steps = [[_Step() for _ in task.argvs] for task, _ in tasks]
        self._moment = time.monotonic()  # when a task ended, or the build began
        self._abandoned = self._over = False
        self._problem: BaseException | None = None
        self._news = Condition()
        self._thread = Thread(target=self._run, args=(argv, dockerfile, folder), daemon=True)
        self._thread.start()

    def find(self, task: Task, among: Iterable[int]) -> int | None:
        """Give the first of these places in the build at which there is this task."""
        return next((at for at in among if self._tasks[at] == task), None)

    def wait_for(self, at: int, timeout_s: float) -> Ends | None:
        """Wait for the end of a task; None when the build never gets there. Its time counts from its begin, not from now."""
        asked = time.monotonic()
        self._limits_s[at] = min(self._limits_s[at], timeout_s)
        with self._news:
            self._news.wait_for(lambda: self._over or self._is_done(at))
            if not self._is_done(at):
                if self._problem is not None and at == self._at():
                    raise self._problem
                return None
        ends = tuple(step.ended for step in self._steps[at] if step.ended is not None)
        began, over = self._steps[at][0].began or asked, max(step.over for step in self._steps[at])
        last = replace(ends[-1], ahead_s=min(asked, over) - began)
        if over < asked and over - began > timeout_s:  # nobody was there to end it in time
            last = replace(last, code=None, timed_out=True, start_error="")
        return (*ends[:-1], last)

    def wait_until(self, at: int) -> None:
        """Wait until all tasks before this one have ended, or the build has."""
        with self._news:
            self._news.wait_for(lambda: self._over or all(map(self._is_done, range(at))))

    def explain(self) -> str:
        """Say why a build ended before its first task."""
        said = next(reversed(self._progress.messages), "it gave no reason").removeprefix("ERROR: ")
        return f"the builder did not run a check: {cut(said, 300)}"

    def leave(self) -> None:
        """Want no more of it; the last one to leave ends what is still under way."""
        with self._news:
            self._shares -= 1
            self._abandoned = self._shares == 0
        if self._abandoned:
            self._thread.join()

    def is_set(self) -> bool:
        """Tell whether the build is to be ended: the run is cancelled, or the task under way has had its time."""
        is_lost = self._watched is not None and self._watched.is_set()
        return self._abandoned or self._cancel.is_set() or is_lost or self._is_late()

    def _is_late(self) -> bool:
        at = self._at()
        if at is None:
            return False
        began = self._steps[at][0].began
        return time.monotonic() > (self._moment + _BEGIN_S if began is None else began + self._limits_s[at])

    def _at(self) -> int | None:
        """Give the task that is under way, or comes next."""
        return next((at for at in range(len(self._tasks)) if not self._is_done(at)), None)

    def _is_done(self, at: int) -> bool:
        ends = [step.ended for step in self._steps[at]]
        return ends[-1] is not None or any(ended is not None and ended.code != 0 for ended in ends)

    def _run(self, argv: list[str], dockerfile: bytes, folder: Path) -> None:
        """Run the build; what buildx lays aside of a Dockerfile that it is handed goes with the folder's own if it is killed."""
        try:
            with passing_folder(folder) as passing, self._watching as self._watched:
                ended = run_build(
                    argv,
                    on_progress=self._take,
                    timeout_s=float("inf"),
                    cancel=self,
                    environment=own_environment(passing),
                    dockerfile=dockerfile,
                )
                self._finish(ended)
        except BaseException as error:  # noqa: BLE001  # handed to who waits for it
            self._problem = error
        with self._news:
            self._over = True
            self._news.notify_all()

    def _take(self, line: bytes) -> None:
        """Follow the build: what a command prints, when it begins, how it ends."""
        for log in self._progress.feed(line):
            if found := find_step(log.name, self._nonce):
                step = self._steps[found[0]][found[1]]
                kept = step.err if log.is_error else step.out
                kept += log.data[: max(0, KEEP_BYTES - len(kept))]
                if is_clipped(log.data):
                    step.clipped.append("stderr" if log.is_error else "stdout")
        for vertex in self._progress.vertices.values():
            found = find_step(vertex.name, self._nonce) if vertex.started else None
            if found is None:
                continue
            step = self._steps[found[0]][found[1]]
            step.began = step.began or time.monotonic()
            if vertex.completed is not None and not vertex.cancelled and step.ended is None:
                ended = make_end(vertex, *_texts(step), step.clipped)
                with self._news:
                    step.ended, step.over = ended, time.monotonic()
                    self._moment = step.over
                    self._news.notify_all()

    def _finish(self, ended: Exit) -> None:
        """Say of the task under way that it was stopped from here, if it was."""
        at = self._at()
        if at is None or not ended.cancelled or self._abandoned:
            return
        if self._watched is not None and not self._cancel.is_set() and self._watched.is_lost():
            raise EngineError(GONE)
        if self._steps[at][0].began is None and not self._cancel.is_set():
            message = f"the builder did not begin with a check within {_BEGIN_S:.0f} s"
            raise EngineError(message)
        step = next(step for step in self._steps[at] if step.ended is None)
        is_cancelled = self._cancel.is_set()
        stopped = Ended(None, False, not is_cancelled, is_cancelled, "", *_texts(step))  # noqa: FBT003  # by position
        with self._news:
            step.ended, step.over = stopped, time.monotonic()


class Share:
    """The tasks of one image in a build, each to be asked for once, in their order."""

    def __init__(self, batch: Batch, places: Iterable[int]) -> None:
        """Know where in the build they are."""
        self._batch = batch
        self._left = deque(places)

    def wait_for_turn(self) -> None:
        """Wait until the build comes to the first of them, or has ended."""
        self._batch.wait_until(self._left[0])

    def wait_for(self, task: Task, timeout_s: float) -> Ends | None:
        """Wait for the end of a task that is among them and has not been asked for; None when it never gets there."""
        at = self._batch.find(task, self._left)
        ends = None if at is None else self._batch.wait_for(at, timeout_s)
        while ends and self._left.popleft() != at:
            pass
        return ends

    def explain(self) -> str:
        """Say why the build ended before its first task."""
        return self._batch.explain()

    def leave(self) -> None:
        """Want no more of them."""
        self._batch.leave()


def _texts(step: _Step) -> tuple[str, str]:
    return step.out.decode("utf-8", "replace"), step.err.decode("utf-8", "replace")
