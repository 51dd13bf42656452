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
    from collections.abc import Iterator, Sequence
    from threading import Event

    from orchestrator.docker.engine import Engine
    from orchestrator.model import Limits, Pairs

_TMPFS = "/tmp:rw,nosuid,nodev,size=64m,mode=1777"  # noqa: S108  # inside the container
KEEP_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Confinement:
    """The owner of a container and what it may do."""

    run: str
    cell: str
    limits: Limits
    env: Pairs = ()


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


@contextmanager
def container(  # what to run, and how it is confined
    image: str,
    argv: Sequence[str],
    confinement: Confinement,
    *,
    entrypoint: str | None = None,
    network: str | None = None,
    detached: bool = False,
    **options: Any,  # noqa: ANN401  # further options, as python-on-whales names them
) -> Iterator[str]:
    """Create a container, and remove it whatever happens."""
    limits = confinement.limits
    name = f"matrix-{confinement.run}-{secrets.token_hex(4)}"
    logs: dict[str, Any] = {"log_driver": "none"}
    if detached:
        logs = {"log_driver": "json-file", "log_options": ["max-size=1m", "max-file=1"]}
    options.setdefault("tmpfs", [_TMPFS])
    with engine_errors("the container could not be made"):
        client().container.create(
            image,
            list(argv),
            name=name,
            entrypoint=entrypoint,
            pull="never",
            interactive=not detached,
            networks=[network or limits.network],
            cap_drop=["ALL"],
            cap_add=list(limits.capabilities),
            security_options=["no-new-privileges"],
            memory=limits.memory_bytes,
            memory_swap=limits.memory_bytes,
            pids_limit=limits.pids,
            read_only=not limits.writable,
            envs=dict(confinement.env),
            user=limits.user,
            stop_timeout=1,
            labels={f"{LABEL}.run": confinement.run, f"{LABEL}.container": confinement.cell},
            **logs,
            **options,
        )
    try:
        yield name
    finally:
        remove_container(name)


def run_attached(engine: Engine, name: str, *, stdin: bytes = b"", timeout_s: float, cancel: Event) -> Ended:
    """Start a container and follow it to its end, its time limit, or a cancellation."""
    kept: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}

    def keep(which: str) -> Any:  # noqa: ANN401  # a callback
        def take(line: bytes) -> None:
            if len(kept[which]) < KEEP_BYTES:
                kept[which] += line[:KEEP_BYTES] + b"\n"

        return take

    argv = [engine.docker, "start", "--attach", "--interactive", name]
    ended = process.stream(argv, on_stdout=keep("out"), on_stderr=keep("err"), stdin=stdin, timeout_s=timeout_s, cancel=cancel)
    stopped = ended.timed_out or ended.cancelled
    state = inspect_state(name)
    return Ended(
        code=None if stopped else state.exit_code,
        out_of_memory=bool(state.oom_killed),
        timed_out=ended.timed_out,
        cancelled=ended.cancelled,
        start_error=str(state.error or ""),
        stdout=kept["out"].decode("utf-8", "replace"),
        stderr=kept["err"].decode("utf-8", "replace"),
    )


def start_detached(name: str) -> None:
    """Start a container and leave it running."""
    with engine_errors("the container could not be started"):
        client().container.start(name)


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


def remove_container(name: str) -> None:
    """Kill and remove a container, with its anonymous volumes; one that is gone is fine."""
    try:
        with engine_errors(f"the container {name} could not be removed"):
            client().container.remove(name, force=True, volumes=True)
    except EngineError as error:
        if "no such container" not in str(error).lower():
            raise


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
