"""Commands as throw-away stages of a build: the Dockerfile that runs them one after another, and what their ends mean."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.cuts import cut_begin
from orchestrator.docker.containers import Ended
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.measure.progress import Vertex
    from orchestrator.model import Pairs

_LINE = 60_000  # BuildKit reads no longer line of a Dockerfile than 65,535 bytes
_CODE = re.compile(r"exit code: (\d{1,3})\b")
_NOT_FOR_LACK = re.compile(r"unable to find (?:user|group) .*")
_NOT_STARTED = re.compile(r"(?:runc run failed|crun): .*")
_CLIPPED = re.compile(rb"\n\[output clipped, log limit [^\]\n]{1,40} reached\]\n\Z")


class Task(Struct, frozen=True):
    """Commands to run one after another in the same file system, and what they are run with."""

    argvs: tuple[tuple[str, ...], ...]
    env: Pairs = ()
    user: str | None = None
    network: str = "none"
    tmpfs: bool = True


Timed = tuple[Task, float]  # with its time limit, in seconds


def render_dockerfile(tasks: Sequence[Task], images: Sequence[str], nonce: str) -> str:
    """Write a stage for each task; each waits for the one before, so no task has to share the machine with another.

    What it waits for is an empty folder that was put into the image of the one
    before: by its name, which no image can know, the builder finds it without
    looking through the image. /dev is made anew for each step, so no task sees
    what lies there, and none leaves the next one anything.

    The name of a secret that nobody gives is part of a step and of nothing that
    the step can see: no two builds have a step in common, which BuildKit would
    run once for both.
    """
    lines = ["FROM scratch AS empty", "WORKDIR /empty"] if len(tasks) > 1 else []
    for at, (task, image) in enumerate(zip(tasks, images, strict=True)):
        lines.append(f"FROM {image} AS check{at}")
        lines += [f"COPY --from=empty /empty /dev/matrix-{nonce}/"] if at + 1 < len(tasks) else []
        options = [f"--network={task.network}"]
        options += ["--mount=type=tmpfs,target=/tmp,size=64m"] if task.tmpfs else []
        options += [f"--mount=type=bind,from=check{at - 1},source=/dev/matrix-{nonce},target=/dev/matrix-before"] if at else []
        for number, argv in enumerate(task.argvs):
            words = " ".join([f"--mount=type=secret,id={_mark(nonce, at, number)}", *options])
            lines.append(f"RUN {words} {_render_argv(argv)}")
    return "\n".join(lines) + "\n"


def _mark(nonce: str, task: int, number: int) -> str:
    return f"matrix-{nonce}-{task}-{number}"


def _render_argv(argv: Sequence[str]) -> str:
    """Write the exec form, which no shell sees, so that neither a here-document nor a comment can be found in it.

    A command that is too long for a line is cut: no piece may be blank or end
    with a backslash, which BuildKit would take for something else.
    """
    text = json.dumps(list(argv), separators=(",", ":")).replace("<", r"\u003c").replace("#", r"\u0023")
    if len(text) <= _LINE:
        return text
    text = re.sub(r"\\(.)", lambda found: r"\u005c" if found[1] == "\\" else found[0], text).replace(" ", r"\u0020")
    pieces, start = [], 0
    while start < len(text):
        end = start + _LINE
        end -= text[end - 1 : end] == "\\"
        pieces.append(text[start:end])
        start = end
    return "\\\n".join(pieces)


def find_step(name: str, nonce: str) -> tuple[int, int] | None:
    """Tell which command of which task a step of the build is."""
    found = re.match(rf"\[[^\]]*\] RUN --mount=type=secret,id=matrix-{nonce}-(\d+)-(\d+) ", name)
    return (int(found[1]), int(found[2])) if found else None


def is_clipped(piece: bytes) -> bool:
    """Tell whether BuildKit left out what came after a piece of what a command printed: it says so at the very end of it.

    A command that prints the same there is taken at its word.
    """
    return _CLIPPED.search(piece[-100:]) is not None


def make_end(vertex: Vertex, stdout: str, stderr: str, clipped: Sequence[str] = ()) -> Ended:
    """Say how a command ended, by BuildKit's word for it; what the command printed has no say in it.

    One that could not be started ends with 1 as well: then the only thing
    printed is the runtime's own message. An image that prints the same thing
    is taken at its word, and has not passed.
    """
    if vertex.cached:
        message = "the builder took a check from its cache instead of running it"
        raise EngineError(message)
    more = {"clipped": tuple(clipped), "took_s": _seconds_of(vertex)}
    if vertex.error is None:
        return _ended(0, "", stdout, stderr, **more)
    if found := _CODE.match(vertex.said):
        code, said = int(found[1]), stderr.strip()
        never = code == 1 and not stdout.strip() and "\n" not in said and _NOT_STARTED.fullmatch(said)
        return _ended(code, said if never else "", stdout, stderr, **more)
    if lacking := _NOT_FOR_LACK.search(vertex.said):
        return _ended(None, lacking[0], stdout, stderr, **more)
    message = f"the builder could not run a check: {cut_begin(vertex.said, 300)}"
    raise EngineError(message)


def _seconds_of(vertex: Vertex) -> float | None:
    return (vertex.completed - vertex.started).total_seconds() if vertex.started and vertex.completed else None


def _ended(code: int | None, start_error: str, stdout: str, stderr: str, **more: Any) -> Ended:  # noqa: ANN401  # as Ended has it
    return Ended(code, False, False, False, start_error, stdout, stderr, **more)  # noqa: FBT003  # by position
