"""Commands in a cell's image, run by the builder: several in one build where that can be, each with a time limit."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any

from orchestrator.disk import passing_folder
from orchestrator.docker.build import run_build
from orchestrator.docker.containers import KEEP_BYTES, Ended
from orchestrator.docker.stages import Task, find_step, make_end, render_dockerfile
from orchestrator.docker.tree import Tree
from orchestrator.docker.variants import make_variant, save_variant
from orchestrator.errors import EngineError
from orchestrator.measure.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from threading import Event

    from orchestrator.docker.process import Exit

Ends = tuple[Ended, ...]
Foreseen = Sequence[tuple[Task, float] | None]
_FILES_S = 300.0
_LOST = "NotFound"
_BEGIN_S = 120.0  # until a command begins: the builder may have to fetch the image's layers, and to wait for other builds


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cell's image is, and the builder that runs it."""

    buildx_argv: tuple[str, ...]
    builder: str
    platform: str | None
    layout: Path
    manifest: dict[str, Any]
    config: dict[str, Any]
    cancel: Event
    export: Callable[[], object] | None = None  # brings the layers into the layout, should the builder have lost them


class Graph:
    """Runs tasks in a cell's image, each once and in the order in which they are asked for.

    Starting buildx takes longer than most commands, so tasks that are foreseen
    go into one build, in which each waits for the one before. A command that
    ends with another code than 0 ends its build: what is left has another.
    """

    def __init__(self, place: Place) -> None:
        """Know the image; nothing is started before the first task is asked for."""
        self.place = place
        self._variants: dict[tuple[object, ...], str] = {}
        self._foreseen: Foreseen = ()
        self._batch: _Batch | None = None

    def foresee(self, tasks: Foreseen) -> None:
        """Know what is likely to be asked for, with the time limit of each; None stands for what is not known yet."""
        self._foreseen = tasks

    def run(self, task: Task, timeout_s: float) -> Ends:
        """Run a task, or wait for it where it is under way; give the end of each command that was begun."""
        if self._batch is not None and (ends := self._batch.wait_for(task, timeout_s)):
            return ends
        self.close()
        rest = self._following(task)
        batch = self._batch = self._start([(task, timeout_s), *rest])
        ends = batch.wait_for(task, timeout_s)
        if ends is None and self.place.export and _LOST in batch.explain():
            self.place.export()
            batch = self._batch = self._start([(task, timeout_s), *rest])
            ends = batch.wait_for(task, timeout_s)
        if ends is None:
            raise EngineError(batch.explain())
        return ends

    @contextmanager
    def files(self) -> Iterator[Tree]:
        """Give the files of the image, for which the builder writes all of it into one archive."""
        with passing_folder(self.place.layout) as folder:
            archive = folder / "image.tar"
            said: deque[bytes] = deque(maxlen=1)
            argv = self._render_argv({self._variant(Task(())): "cell"}, f"type=tar,dest={archive}")
            ended = run_build(
                argv, on_progress=said.append, timeout_s=_FILES_S, cancel=self.place.cancel, dockerfile=b"FROM cell\n"
            )
            if ended.code != 0:
                last = said[0].decode("utf-8", "replace")[:300] if said else "it gave no reason"
                message = f"the builder did not hand out the files of the image: {last}"
                raise EngineError(message)
            yield Tree(archive)

    def _following(self, task: Task) -> list[tuple[Task, float]]:
        """Give what can go into the same build as a task, and expect it no more."""
        at = next((at for at, one in enumerate(self._foreseen) if one is not None and one[0] == task), None)
        if at is None:
            return []
        self._foreseen = self._foreseen[at + 1 :]
        return [one for one in takewhile(lambda one: one is not None, self._foreseen) if one is not None]

    def close(self) -> None:
        """End what is still under way."""
        if self._batch is not None:
            self._batch.end()
            self._batch = None

    def _start(self, tasks: list[tuple[Task, float]]) -> _Batch:
        nonce = secrets.token_hex(8)
        digests = [self._variant(task) for task, _ in tasks]
        names = {digest: f"cell{at}" for at, digest in enumerate(dict.fromkeys(digests))}
        dockerfile = render_dockerfile([task for task, _ in tasks], [names[digest] for digest in digests], nonce)
        return _Batch(tasks, nonce, self._render_argv(names), dockerfile.encode(), self.place.cancel)

    def _render_argv(self, names: dict[str, str], output: str = "type=cacheonly") -> list[str]:
        place = self.place
        argv = [*place.buildx_argv, "build", "--builder", place.builder, "--progress=rawjson", "--provenance=false", "--no-cache"]
        argv += ["--platform", place.platform] if place.platform else []
        for digest, name in names.items():
            argv += ["--build-context", f"{name}=oci-layout://{place.layout}@{digest}"]
        return [*argv, "--output", output, "-"]

    def _variant(self, task: Task) -> str:
        key = (task.env, task.user)
        if key not in self._variants:
            config = make_variant(self.place.config, task.env, task.user)
            self._variants[key] = save_variant(self.place.layout, self.place.manifest, config)
        return self._variants[key]


@dataclass(slots=True)
class _Step:
    """A command of a task as far as it has gone."""

    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    began: float | None = None
    ended: Ended | None = None


class _Batch:
    """One build with several tasks, followed by a thread of its own."""

    def __init__(self, tasks: list[tuple[Task, float]], nonce: str, argv: list[str], dockerfile: bytes, cancel: Event) -> None:
        self._left = deque(range(len(tasks)))
        self._tasks = [task for task, _ in tasks]
        self._limits_s = [limit_s for _, limit_s in tasks]
        self._nonce, self._cancel = nonce, cancel
        self._progress = Progress()
        self._steps = [[_Step() for _ in task.argvs] for task, _ in tasks]
        self._moment = time.monotonic()  # when a task ended, or the build began
        self._abandoned = self._over = False
        self._problem: BaseException | None = None
        self._news = Condition()
        self._thread = Thread(target=self._run, args=(argv, dockerfile), daemon=True)
        self._thread.start()

    def wait_for(self, task: Task, timeout_s: float) -> Ends | None:
        """Wait for the end of a task that is in this build and has not been asked for; None when it never gets there."""
        at = next((at for at in self._left if self._tasks[at] == task), None)
        if at is None:
            return None
        self._limits_s[at] = min(self._limits_s[at], timeout_s)
        with self._news:
            self._news.wait_for(lambda: self._over or self._is_done(at))
            if not self._is_done(at):
                if self._problem is not None and at == self._left[0]:
                    raise self._problem
                return None
        while self._left.popleft() != at:
            pass
        return tuple(step.ended for step in self._steps[at] if step.ended is not None)

    def explain(self) -> str:
        """Say why a build ended before its first task."""
        said = next(reversed(self._progress.messages), "it gave no reason").removeprefix("ERROR: ")
        return f"the builder did not run a check: {said[:300]}"

    def end(self) -> None:
        """End the build, whatever is under way."""
        self._abandoned = True
        self._thread.join()

    def is_set(self) -> bool:
        """Tell whether the build is to be ended: the run is cancelled, or the task under way has had its time."""
        return self._abandoned or self._cancel.is_set() or self._is_late()

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

    def _run(self, argv: list[str], dockerfile: bytes) -> None:
        try:
            ended = run_build(argv, on_progress=self._take, timeout_s=float("inf"), cancel=self, dockerfile=dockerfile)
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
                kept += log.text.encode("utf-8", "surrogatepass")[: max(0, KEEP_BYTES - len(kept))]
        for vertex in self._progress.vertices.values():
            found = find_step(vertex.name, self._nonce) if vertex.started else None
            if found is None:
                continue
            step = self._steps[found[0]][found[1]]
            step.began = step.began or time.monotonic()
            is_over = vertex.completed is not None and "context canceled" not in (vertex.error or "")
            if is_over and step.ended is None:
                ended = make_end(vertex, *_texts(step))
                with self._news:
                    step.ended, self._moment = ended, time.monotonic()
                    self._news.notify_all()

    def _finish(self, ended: Exit) -> None:
        """Say of the task under way that it was stopped from here, if it was."""
        at = self._at()
        if at is None or not ended.cancelled or self._abandoned:
            return
        step = next(step for step in self._steps[at] if step.ended is None)
        if step.began is None and not self._cancel.is_set():
            message = f"the builder did not begin with a check within {_BEGIN_S:.0f} s"
            raise EngineError(message)
        is_cancelled = self._cancel.is_set()
        stopped = Ended(None, False, not is_cancelled, is_cancelled, "", *_texts(step))  # noqa: FBT003  # by position
        with self._news:
            step.ended = stopped


def _texts(step: _Step) -> tuple[str, str]:
    return step.out.decode("utf-8", "replace"), step.err.decode("utf-8", "replace")
