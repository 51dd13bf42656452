"""Containers in which checks run: shut in, limited, and always removed."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.docker import process
from orchestrator.docker.client import client, engine_errors
from orchestrator.errors import EngineError
from orchestrator.model import LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event

    from orchestrator.docker.engine import Engine
    from orchestrator.model import Limits, Pairs

_TMPFS = "/tmp:rw,nosuid,nodev,size=64m,mode=1777"  # noqa: S108  # inside the container
KEEP_BYTES = 256 * 1024
_KILLED = 137
_OOM_WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.6)


@dataclass(frozen=True, slots=True)
class Confinement:
    """The owner of a container and what it may do."""

    run: str
    cell: str
    limits: Limits
    env: Pairs = ()
    sysctls: Pairs = ()
    tmpfs: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended and the first of what it printed."""

    code: int | None
    out_of_memory: bool
    timed_out: bool
    cancelled: bool
    start_error: str
    stdout: str
    stderr: str
    clipped: bool = False  # BuildKit left out a part of what was printed


def _name_for(confinement: Confinement) -> str:
    return f"matrix-{confinement.run}-{secrets.token_hex(4)}"


def _words(engine: Engine, name: str, image: str, argv: Sequence[str], confinement: Confinement, *own: str) -> list[str]:
    """Write what every container of ours is started with, behind `docker run` or `docker create`."""
    limits = confinement.limits
    words = ["--name", name, "--pull", "never", "--network", limits.network, "--stop-timeout", "1"]
    words += ["--label", f"{LABEL}.run={confinement.run}", "--label", f"{LABEL}.container={confinement.cell}"]
    words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", str(limits.pids)]
    words += ["--memory", str(limits.memory_bytes), "--memory-swap", str(limits.memory_bytes)]
    words += ["--cpus", str(min(limits.cpus, engine.cpus or limits.cpus))]  # the engine refuses more than it has
    words += [f"--cap-add={capability}" for capability in limits.capabilities]
    words += [] if limits.writable else ["--read-only"]
    words += ["--user", limits.user] if limits.user else []
    words += ["--tmpfs", _TMPFS] if confinement.tmpfs else []
    words += [f"--env={name}={value}" for name, value in confinement.env]
    words += [f"--sysctl={name}={value}" for name, value in confinement.sysctls]
    return [*words, *own, image, *argv]


@contextmanager
def container(engine: Engine, image: str, confinement: Confinement) -> Iterator[str]:
    """Create a container that is never started, and remove it whatever happens."""
    name = _name_for(confinement)
    answer = process.run([engine.docker, "create", *_words(engine, name, image, ["never-run"], confinement, "--entrypoint", "")])
    try:
        if not answer.ok:
            message = f"the container could not be made: {_last_words(answer.stderr)}"
            raise EngineError(message)
        yield name
    finally:
        remove_container(engine, name)


@contextmanager
def ended_container(  # noqa: PLR0913  # what to run, and how it is confined
    engine: Engine,
    image: str,
    argv: Sequence[str],
    confinement: Confinement,
    *,
    stdin: bytes = b"",
    timeout_s: float,
    cancel: Event,
) -> Iterator[tuple[str, Ended]]:
    """Run a program of an image to its end, its time limit, or a cancellation; remove its container afterwards."""
    name = _name_for(confinement)
    own = ["--interactive", "--log-driver", "none", "--entrypoint", argv[0]]
    words = [engine.docker, "run", *_words(engine, name, image, argv[1:], confinement, *own)]
    kept: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}

    def keep(which: str) -> Callable[[bytes], None]:
        def take(line: bytes) -> None:
            if len(kept[which]) < KEEP_BYTES:
                kept[which] += line[:KEEP_BYTES] + b"\n"

        return take

    try:
        ended = process.stream(words, on_stdout=keep("out"), on_stderr=keep("err"), stdin=stdin, timeout_s=timeout_s, cancel=cancel)
        stdout, stderr = (kept[which].decode("utf-8", "replace") for which in ("out", "err"))
        yield name, _explain(name, ended, stdout, stderr, cancel)
    finally:
        remove_container(engine, name)


def _explain(name: str, ended: process.Exit, stdout: str, stderr: str, cancel: Event) -> Ended:
    """Ask the engine how a container ended that did not simply end well: docker's own exit code may be the program's."""
    if ended.code == 0 or ended.timed_out or ended.cancelled:
        return Ended(ended.code, False, ended.timed_out, ended.cancelled, "", stdout, stderr)  # noqa: FBT003  # by position
    state = _state_of(name, stderr)
    for wait_s in _OOM_WAITS_S:  # the engine hears of it later than of the end, and much later when it is busy
        if state.exit_code != _KILLED or state.oom_killed or cancel.wait(wait_s):
            break
        state = _state_of(name, stderr)
    return Ended(
        code=state.exit_code,
        out_of_memory=bool(state.oom_killed),
        timed_out=False,
        cancelled=False,
        start_error=str(state.error or ""),
        stdout=stdout,
        stderr=stderr,
    )


def _state_of(name: str, said: str) -> Any:  # noqa: ANN401  # python-on-whales' model of a state
    """Give a container's state; where docker could not even make it, its words are the reason."""
    try:
        return inspect_state(name)
    except EngineError:
        message = f"the container could not be made: {_last_words(said)}"
        raise EngineError(message) from None


def _last_words(said: str) -> str:
    """Give docker's last words, without its advice to read the help."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and "--help'" not in line]
    return lines[-1].removeprefix("docker: ") if lines else "docker gave no reason"


@contextmanager
def service(engine: Engine, image: str, confinement: Confinement, *options: str) -> Iterator[tuple[str, str | None]]:
    """Start an image as it is and leave it running; give its container and, when it did not start, why."""
    name = _name_for(confinement)
    logs = ["--log-driver", "json-file", "--log-opt", "max-size=1m", "--log-opt", "max-file=1"]
    answer = process.run([engine.docker, "run", "--detach", *_words(engine, name, image, [], confinement, *logs, *options)])
    try:
        yield name, None if answer.ok else str(_state_of(name, answer.stderr).error or _last_words(answer.stderr))
    finally:
        remove_container(engine, name)


def inspect_state(name: str) -> Any:  # noqa: ANN401  # python-on-whales' model of a state
    """Give a container's state as the engine sees it now."""
    with engine_errors("the container cannot be inspected"):
        return client().container.inspect(name).state


def address_of(name: str) -> str | None:
    """Give a running container's address on its network."""
    with engine_errors("the container cannot be inspected"):
        networks = client().container.inspect(name).network_settings.networks or {}
    return next((str(network.ip_address) for network in networks.values() if network.ip_address), None)


def tail_of(name: str) -> str:
    """Give the last lines that a detached container printed."""
    with engine_errors("the container's log cannot be read"):
        return str(client().container.logs(name, tail=20))


def remove_container(engine: Engine, name: str) -> None:
    """Kill and remove a container, with its anonymous volumes; one that is gone is fine."""
    answer = process.run([engine.docker, "rm", "--force", "--volumes", name])
    if not answer.ok and "no such container" not in answer.stderr.lower():
        message = f"the container {name} could not be removed: {answer.stderr.strip()}"
        raise EngineError(message)


def list_containers(engine: Engine, run: str | None = None) -> list[tuple[str, str]]:
    """List the containers that matrix made, each with its run; in one question, since others come and go meanwhile."""
    return _list_labelled(engine, ["ps", "--all"], "{{.Names}}", run)


def _list_labelled(engine: Engine, words: list[str], name: str, run: str | None) -> list[tuple[str, str]]:
    label = f"{LABEL}.run" if run is None else f"{LABEL}.run={run}"
    wanted = f'{name} {{{{.Label "{LABEL}.run"}}}}'
    answer = process.run([engine.docker, *words, "--filter", f"label={label}", "--format", wanted])
    if not answer.ok:
        message = f"the engine cannot list what matrix made: {answer.stderr.strip()}"
        raise EngineError(message)
    return [(found, of) for found, _, of in (line.partition(" ") for line in answer.stdout.splitlines())]


def make_internal_network(engine: Engine, run: str) -> str:
    """Make the run's network without a way out; python-on-whales has no word for that."""
    name = f"matrix-{run}"
    answer = process.run([engine.docker, "network", "create", "--internal", "--label", f"{LABEL}.run={run}", name])
    if not answer.ok and "already exists" not in answer.stderr:
        message = f"the internal network could not be made: {answer.stderr.strip()}"
        raise EngineError(message)
    return name


def list_networks(engine: Engine, run: str | None = None) -> list[tuple[str, str]]:
    """List the networks that matrix made, each with its run."""
    return _list_labelled(engine, ["network", "ls"], "{{.Name}}", run)


def remove_network(engine: Engine, name: str) -> None:
    """Remove a network that no container uses any more."""
    process.run([engine.docker, "network", "rm", name])
