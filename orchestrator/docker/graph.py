"""Commands in a cell's image, run by the builder: several in one build where that can be, each with a time limit."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextlib import contextmanager, nullcontext
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.disk import passing_folder
from orchestrator.docker.batch import Batch, Share
from orchestrator.docker.build import own_environment, run_unfollowed
from orchestrator.docker.stages import Task, Timed, render_dockerfile
from orchestrator.docker.tree import Tree
from orchestrator.docker.variants import make_variant, save_variant
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from threading import Event

    from orchestrator.docker.batch import Ends
    from orchestrator.docker.pulse import Pulse, Watched

Foreseen = Sequence[Timed | None]
_FILES_S = 300.0
_LOST = "NotFound"
_LISTS_NO_USERS = re.compile(r"unable to find user \d+: invalid argument")  # BuildKit has no /etc/passwd to read


class Place(Struct, frozen=True):
    """Where a cell's image is, and the builder that runs it."""

    buildx_argv: tuple[str, ...]
    builder: str
    platform: str | None
    layout: Path
    manifest: dict[str, Any]
    config: dict[str, Any]
    cancel: Event
    export: Callable[[], object] | None = None  # brings the layers into the layout, should the builder have lost them
    folder: str | None = None  # of the context, where that leads to the pod that has the image
    pulse: Pulse | None = None

    def watching(self) -> AbstractContextManager[Watched | None]:
        """Watch over who runs it, where it may go away unheard."""
        return self.pulse.watch(self.platform, self.cancel) if self.pulse else nullcontext()


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
        self._share: Share | None = None
        self._lists_users = True
        self.ahead_s = 0.0  # in which its tasks were run before they were asked for, less what they had to wait

    def foresee(self, tasks: Foreseen) -> None:
        """Know what is likely to be asked for, with the time limit of each; None stands for what is not known yet."""
        self._foreseen = tasks

    def join(self, share: Share) -> None:
        """Take the ends of tasks from a build that has been started."""
        self._share = share

    def wait_for_turn(self) -> None:
        """Wait while a build that has been started runs tasks of other images."""
        if self._share is not None:
            self._share.wait_for_turn()

    def run(self, task: Task, timeout_s: float) -> Ends:
        """Run a task, or wait for it where it is under way; give the end of each command that was begun.

        For a user that is only a number BuildKit looks into /etc/passwd, and
        gives up where the image has none. The engine then takes the group 0.
        """
        tasks = [(task, timeout_s), *self._following(task)]
        ends = self._run(tasks)
        if self._lists_users and _LISTS_NO_USERS.match(ends[-1].start_error):
            self._lists_users = False
            ends = self._run(tasks)
        self.ahead_s += ends[-1].ahead_s
        return ends

    def _run(self, tasks: Sequence[Timed]) -> Ends:
        """Run the first of these tasks; the others are likely to follow."""
        task, timeout_s = tasks[0]
        if self._share is not None and (ends := self._share.wait_for(task, timeout_s)):
            return ends
        share = self._start(tasks)
        ends = share.wait_for(task, timeout_s)
        if ends is None and self.place.export and _LOST in share.explain():
            self.place.export()
            share = self._start(tasks)
            ends = share.wait_for(task, timeout_s)
        if ends is None and len(tasks) > 1:  # by itself it needs no folder in the image for another to wait for
            share = self._start(tasks[:1])
            ends = share.wait_for(task, timeout_s)
        if ends is None:
            raise EngineError(share.explain())
        return ends

    @contextmanager
    def files(self) -> Iterator[Tree]:
        """Give the files of the image, for which the builder writes all of it into one archive."""
        with passing_folder(self.place.layout) as folder:
            archive = folder / "image.tar"
            argv = render_argv(self.place, {self.variant(Task(())): ("cell", self.place.layout)}, f"type=tar,dest={archive}")
            ended, last = run_unfollowed(
                argv,
                timeout_s=_FILES_S,
                cancel=self.place.cancel,
                environment=own_environment(folder),
                dockerfile=b"FROM cell\n",
            )
            if ended.code != 0:
                message = f"the builder did not hand out the files of the image: {last}"
                raise EngineError(message)
            yield Tree(archive)

    def _following(self, task: Task) -> list[Timed]:
        """Give what can go into the same build as a task, and expect it no more."""
        at = next((at for at, one in enumerate(self._foreseen) if one is not None and one[0] == task), None)
        if at is None:
            return []
        self._foreseen = self._foreseen[at + 1 :]
        return [one for one in takewhile(lambda one: one is not None, self._foreseen) if one is not None]

    def close(self) -> None:
        """End what is still under way, unless it is for other images, too."""
        if self._share is not None:
            self._share.leave()
            self._share = None

    def variant(self, task: Task) -> str:
        """Give the digest of the image with the variables and the user of a task."""
        user = task.user if self._lists_users else self._with_group(task.user)
        key = (task.env, user)
        if key not in self._variants:
            config = make_variant(self.place.config, task.env, user)
            self._variants[key] = save_variant(self.place.layout, self.place.manifest, config)
        return self._variants[key]

    def _with_group(self, user: str | None) -> str | None:
        """Name the group of a user that is only a number: that of the image, or that which is asked for."""
        own = user or str((self.place.config.get("config") or {}).get("User") or "")
        return f"{own}:0" if own.isdecimal() else user

    def _start(self, tasks: Sequence[Timed]) -> Share:
        self.close()
        (share,) = start_together([(self, tasks)])
        return share


def start_together(wanted: Sequence[tuple[Graph, Sequence[Timed]]]) -> list[Share]:
    """Run tasks of several images for the same platform in one build, one after another; each graph takes its share of it."""
    nonce = secrets.token_hex(8)
    tasks = [one for _, own in wanted for one in own]
    digests = [graph.variant(task) for graph, own in wanted for task, _ in own]
    layouts = {graph.variant(task): graph.place.layout for graph, own in wanted for task, _ in own}
    contexts = {digest: (f"cell{at}", layout) for at, (digest, layout) in enumerate(layouts.items())}
    dockerfile = render_dockerfile([task for task, _ in tasks], [contexts[digest][0] for digest in digests], nonce)
    place = wanted[0][0].place
    folder = place.layout.parent  # the run's: a layout is made anew when its cell is tried again
    batch = Batch(
        tasks, nonce, render_argv(place, contexts), dockerfile.encode(), folder, place.cancel, len(wanted), place.watching()
    )
    shares, begin = [], 0
    for graph, own in wanted:
        shares.append(Share(batch, range(begin, begin + len(own))))
        graph.join(shares[-1])
        begin += len(own)
    return shares


def render_argv(place: Place, contexts: Mapping[str, tuple[str, Path]], output: str = "type=cacheonly") -> list[str]:
    """Write the command of a build from images, each by its digest, with its name and where its layout lies."""
    argv = [*place.buildx_argv, "build", "--builder", place.builder, "--progress=rawjson", "--provenance=false", "--no-cache"]
    argv += ["--platform", place.platform] if place.platform else []
    for digest, (name, layout) in contexts.items():
        argv += ["--build-context", f"{name}=oci-layout://{layout}@{digest}"]
    argv += ["--output", output]
    return [*argv, "--file", "-", place.folder] if place.folder else [*argv, "-"]
