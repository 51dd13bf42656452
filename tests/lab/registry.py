"""Serves images from a registry on this machine, laid out as a mirror of where they are pulled from."""

import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from tests.lab.cache import LabError, cache_folder, run_step
from tests.lab.debian import unpacked
from tests.lab.engine import EngineSpec

_CONFIGURATION = """\
version: 0.1
log: {{level: info, formatter: text}}
storage: {{filesystem: {{rootdirectory: "{root}"}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
_LISTENING = "listening on "
_WITH_LOOPBACK = """\
import fcntl, os, socket, struct, sys
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
os.execv(sys.argv[1], sys.argv[1:])
"""


def mirrored_name(ref: str) -> str:
    """Name an image as a mirror of its registry does: without the host, Docker Hub's with `library/`."""
    first, slash, rest = ref.partition("/")
    if not slash:
        return f"library/{ref}"
    return rest if "." in first or ":" in first or first == "localhost" else ref


def _address(output: IO[str], seen: list[str]) -> str:
    """Read what the registry says until it names the free port that the kernel gave it."""
    for line in output:
        seen.append(line)
        if _LISTENING in line:
            return line.partition(_LISTENING)[2].split()[0].strip('",')
    message = "the registry ended before it listened:\n" + "".join(seen[-20:])
    raise LabError(message)


def _keep(output: IO[str], log: Path) -> None:
    """Write the rest to a log, so that the registry never waits for a reader."""
    with log.open("w", encoding="utf-8") as handle:
        shutil.copyfileobj(output, handle)


def push(ref: str, address: str) -> None:
    """Push under a passing tag: the engine keeps no name of a registry that will be gone."""
    target = f"{address}/{mirrored_name(ref)}"
    for step in (["tag", ref, target], ["push", "--quiet", target], ["image", "rm", target]):
        run_step(f"docker {step[0]} {ref} for the registry", ["docker", *step], log="registry-push.log")


@contextmanager
def serve_registry(images: Iterable[str], *, beside: EngineSpec | None = None) -> Iterator[str]:
    """Serve these images of the engine's as long as the context lasts; gives the registry's address.

    An engine with a network of its own (`beside`) finds the same images at the same address of its own loopback.
    """
    with _registry(0) as address, ExitStack() as others:
        if beside is not None:
            others.enter_context(_registry(int(address.rpartition(":")[2]), _inside(beside)))
        for ref in images:
            push(ref, address)
        yield address


def _inside(spec: EngineSpec) -> tuple[str, ...]:
    """Give the words that start a program in an engine's own network, with the loopback switched on."""
    network = f"--net=/proc/{spec.pid_file.read_text().strip()}/ns/net"
    return ("nsenter", network, sys.executable, "-c", _WITH_LOOPBACK)


@contextmanager
def _registry(port: int, inside: tuple[str, ...] = ()) -> Iterator[str]:
    cache = cache_folder()
    configuration = cache / f"registry-{secrets.token_hex(4)}.yml"
    configuration.write_text(_CONFIGURATION.format(root=cache / "registry", port=port), encoding="utf-8")
    program = unpacked("docker-registry") / "usr/bin/docker-registry"
    with subprocess.Popen(
        [*inside, program, "serve", configuration],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as registry:
        output = registry.stdout
        if output is None:
            message = "the registry has no output to read its address from"
            raise LabError(message)
        try:
            address = _address(output, [])
            reader = threading.Thread(target=_keep, args=(output, configuration.with_suffix(".log")))
            reader.start()
            yield address
        finally:
            with suppress(ProcessLookupError):
                registry.terminate()
            registry.wait()
            reader.join()
            configuration.unlink()
            configuration.with_suffix(".log").unlink()
