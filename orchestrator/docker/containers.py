"""Containers in which checks run: shut in, limited, and always removed."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.docker.api import RefusedError, ask, remove, talking
from orchestrator.docker.networks import OF_RUN, made_by, make_internal_network
from orchestrator.docker.streams import attached, read_frames
from orchestrator.errors import EngineError
from orchestrator.model import LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from threading import Event

    from orchestrator.docker.api import Talk
    from orchestrator.docker.engine import Engine
    from orchestrator.model import Limits, Pairs

_TMPFS = "rw,exec,nosuid,nodev,size=64m,mode=1777"  # programs are started from an image's own /tmp, too
_NO_LOG = {"Type": "none"}
_SHORT_LOG = {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}}
_MOST_OF_A_LOG = 2 * 1024 * 1024
KEEP_BYTES = 256 * 1024
_KILLED = 137
_POLL_S = 0.02
_AT_ONCE_S = 10.0  # so soon a program must have ended for its output to be lost: far more than an engine takes to listen
_OOM_WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)


class NotMadeError(EngineError):
    """The engine makes no container like this, of this image or with these limits: that is what a check found out."""

    outcome = "failed"


class Confinement(Struct, frozen=True):
    """The owner of a container and what it may do."""

    run: str
    cell: str
    limits: Limits
    env: Pairs = ()
    sysctls: Pairs = ()
    tmpfs: bool = True


class Ended(Struct, frozen=True):
    """How a container ended and the first of what it printed."""

    code: int | None
    out_of_memory: bool
    timed_out: bool
    cancelled: bool
    start_error: str
    stdout: str
    stderr: str
    clipped: tuple[str, ...] = ()  # the streams of which BuildKit left out a part
    took_s: float | None = None  # by the builder's clock: a step may have waited for others
    repeated: bool = False  # nothing had come of the first time
    ahead_s: float = 0.0  # in which it was run before it was asked for; less than nothing where it had to wait for the builder


class State(Struct, frozen=True):
    """How a container is."""

    running: bool
    exit_code: int
    out_of_memory: bool
    health: str  # by the image's own HEALTHCHECK: empty where it has none
    health_said: tuple[str, ...]


def _specify(engine: Engine, image: str, confinement: Confinement, logs: Mapping[str, Any]) -> dict[str, Any]:
    """Say what every container of ours is made with."""
    limits = confinement.limits
    network = make_internal_network(engine, confinement.run) if limits.network == "internal" else limits.network
    return {
        "Image": image,
        "User": limits.user or "",
        "Env": [f"{name}={value}" for name, value in confinement.env],
        "Labels": {OF_RUN: confinement.run, f"{LABEL}.container": confinement.cell},
        "StopTimeout": 1,
        "HostConfig": {
            "NetworkMode": network,
            "CapDrop": ["ALL"],
            "CapAdd": list(limits.capabilities),
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": limits.pids,
            "Memory": limits.memory_bytes,
            "MemorySwap": limits.memory_bytes,
            "NanoCpus": _nano_cpus(engine, limits),
            "ReadonlyRootfs": not limits.writable,
            "Tmpfs": {"/tmp": _TMPFS} if confinement.tmpfs else {},  # noqa: S108  # inside the container
            "Sysctls": dict(confinement.sysctls),
            "LogConfig": dict(logs),
        },
    }


def _nano_cpus(engine: Engine, limits: Limits) -> int:
    """Give the limit of processors, if the engine takes one: it refuses more than it has, and any where it can hold to none."""
    return int(min(limits.cpus, engine.cpus or limits.cpus) * 1e9) if "processors" not in engine.unlimited else 0


@contextmanager
def _made(engine: Engine, run: str, spec: Mapping[str, Any]) -> Iterator[tuple[Talk, str]]:
    """Make a container, and remove it whatever happens; give a connection to ask about it, and its name."""
    name = f"matrix-{run}-{secrets.token_hex(4)}"
    try:
        with talking(engine) as talk:
            try:
                talk.ask("POST", "/containers/create", spec, {"name": name})
            except RefusedError as error:
                message = f"the container could not be made: {error}"
                raise (NotMadeError if error.status == HTTPStatus.BAD_REQUEST else EngineError)(message) from error
            yield talk, name
    finally:
        remove_container(engine, name)


@contextmanager
def container(engine: Engine, image: str, confinement: Confinement) -> Iterator[str]:
    """Create a container that is never started, and remove it whatever happens."""
    spec = {**_specify(engine, image, confinement, _NO_LOG), "Entrypoint": [""], "Cmd": ["never-run"]}
    with _made(engine, confinement.run, spec) as (_, name):
        yield name


@contextmanager
def ended_container(  # noqa: PLR0913  # what to run, and how it is confined
    engine: Engine,
    image: str,
    argv: Sequence[str],
    confinement: Confinement,
    *,
    stdin: bytes = b"",
    wanted: Sequence[str] = (),
    timeout_s: float,
    cancel: Event,
) -> Iterator[tuple[str, Ended]]:
    """Run a program of an image to its end, its time limit, or a cancellation; remove its container afterwards.

    A busy engine loses all that a program printed that has ended before the
    engine came to listen. So where a stream is empty that is wanted, `stdout`
    or `stderr`, the program is run once more in another container, if there is
    as much time left as it took.
    """
    began = time.monotonic()
    latest = began + timeout_s
    own = {"Entrypoint": [argv[0]], "Cmd": list(argv[1:]), "OpenStdin": bool(stdin), "StdinOnce": True}
    spec = {**_specify(engine, image, confinement, _NO_LOG), **own}
    for needed, repeated in ((wanted, False), ((), True)):
        with _made(engine, confinement.run, spec) as (talk, name):
            ended = _explain(talk, name, _follow(engine, talk, name, stdin, latest, cancel), latest, cancel)
            took = time.monotonic() - began
            if took > min(_AT_ONCE_S, timeout_s / 2) or not _may_be_lost(ended, needed):
                yield name, replace(ended, repeated=repeated)
                return


def _may_be_lost(ended: Ended, wanted: Sequence[str]) -> bool:
    """Tell whether a program ended by itself and one of these streams is empty."""
    by_itself = ended.code is not None and not ended.start_error and not ended.out_of_memory
    return by_itself and any(not getattr(ended, stream) for stream in wanted)


class _Heard(NamedTuple):
    """What a container printed, and why it did not start."""

    stdout: str = ""
    stderr: str = ""
    start_error: str = ""


def _follow(engine: Engine, talk: Talk, name: str, stdin: bytes, latest: float, cancel: Event) -> _Heard:
    """Start a container and follow it, until it has ended, or time is over, or whoever waits gives up."""
    try:
        with attached(engine, name, KEEP_BYTES, has_input=bool(stdin)) as streams:
            why = _start(talk, name)
            if not why:
                streams.follow(stdin, latest, cancel)
            return _Heard(streams.stdout, streams.stderr, why)
    except RefusedError:  # Podman lets nobody listen to what it cannot start
        if why := _start(talk, name):
            return _Heard(start_error=why)
        raise


def _start(talk: Talk, name: str) -> str:
    """Start a container; say why it does not start."""
    try:
        talk.ask("POST", f"/containers/{name}/start")
    except RefusedError as error:
        return str(error)
    return ""


def _explain(talk: Talk, name: str, heard: _Heard, latest: float, cancel: Event) -> Ended:
    """Find out how a container ended, if it did."""
    state = _state_of(talk, name)
    while state.running and not cancel.is_set() and time.monotonic() < latest:
        cancel.wait(_POLL_S)
        state = _state_of(talk, name)
    for wait_s in _OOM_WAITS_S:  # the engine hears of it later than of the end, and much later when it is busy
        if state.running or state.exit_code != _KILLED or state.out_of_memory or cancel.wait(wait_s):
            break
        state = _state_of(talk, name)
    return Ended(
        code=None if state.running else state.exit_code,
        out_of_memory=state.out_of_memory,
        timed_out=state.running and not cancel.is_set(),
        cancelled=state.running and cancel.is_set(),
        start_error=heard.start_error,
        stdout=heard.stdout,
        stderr=heard.stderr,
    )


@contextmanager
def service(engine: Engine, image: str, confinement: Confinement, **options: object) -> Iterator[tuple[str, str | None]]:
    """Start an image as it is and leave it running; give its container and, when it did not start, why."""
    spec = {**_specify(engine, image, confinement, _SHORT_LOG), **options}
    with _made(engine, confinement.run, spec) as (talk, name):
        yield name, _start(talk, name) or None


def inspect_state(engine: Engine, name: str) -> State:
    """Give a container's state as the engine sees it now."""
    with talking(engine) as talk:
        return _state_of(talk, name)


def _state_of(talk: Talk, name: str) -> State:
    found = talk.ask("GET", f"/containers/{name}/json")["State"]
    health = found.get("Health") or {}
    return State(
        running=bool(found["Running"]),
        exit_code=int(found["ExitCode"]),
        out_of_memory=bool(found["OOMKilled"]),
        health=str(health.get("Status") or ""),
        health_said=tuple(str(probe["Output"]) for probe in health.get("Log") or ()),
    )


def address_of(engine: Engine, name: str) -> str | None:
    """Give a running container's address on its network."""
    networks = ask(engine, "GET", f"/containers/{name}/json")["NetworkSettings"]["Networks"] or {}
    return next((str(network["IPAddress"]) for network in networks.values() if network["IPAddress"]), None)


def tail_of(engine: Engine, name: str) -> str:
    """Give the last lines that a container left running has printed."""
    wanted = {"stdout": 1, "stderr": 1, "tail": 20}
    with talking(engine) as talk, talk.asked("GET", f"/containers/{name}/logs", query=wanted) as answer:
        return read_frames(answer.read(_MOST_OF_A_LOG))


def remove_container(engine: Engine, name: str) -> None:
    """Kill and remove a container, with its anonymous volumes; one that is gone is fine."""
    remove(engine, f"/containers/{name}", f"the container {name}", {"force": 1, "v": 1})


def list_containers(engine: Engine, run: str | None = None) -> list[tuple[str, str]]:
    """List the containers that matrix made, each with its run; in one question, since others come and go meanwhile."""
    found = ask(engine, "GET", "/containers/json", query={"all": 1, "filters": made_by(run)})
    named = [((box["Names"] or [box["Id"]])[0], box["Labels"][OF_RUN]) for box in found]  # a dead one may have no name
    return [(str(name).removeprefix("/"), str(owner)) for name, owner in named]
