"""`matrix` as a process of its own that does not import what it is made of: most of what a short command takes.

A server has the modules loaded and has made what every run makes once, such as
readers of records and the templates of the page; it forks for each command. What is forked
takes the caller's words, environment and folder, runs the program's `main`, and
ends without taking itself apart, which would take longer than most commands. What is about
starting, ending, signals, terminals or time starts the installed program itself.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator
from orchestrator.cli import main

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.context import ForkProcess

_LIBRARIES = (  # what runs import when they come to need it
    "cyclonedx.model.bom",
    "cyclonedx.output.json",
    "grpc.experimental",
    "isal.igzip_lib",
    "isal.isal_zlib",
    "jinja2",
    "packageurl",
    "python_on_whales",
    "tabulate",
)
INSIDE_IMAGES = (
    "orchestrator.probes.",
    "orchestrator.smoke.import_modules",
    "orchestrator.smoke.service_inside",
)  # in an image's Python
_ROOT = Path(__file__).parents[1]
_MOST_BYTES = 1024 * 1024  # of a request: words and environment
_DESCRIPTORS = 3  # that come with it: output, errors, and where to say how it ended


@dataclass(frozen=True, slots=True)
class _Server:
    process: subprocess.Popen[bytes]
    door: socket.socket

    def close(self) -> None:
        """Hang up, which ends it."""
        self.door.close()
        self.process.wait()


def run_forked(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `matrix` to its end."""
    request = json.dumps([list(words), str(folder), dict(environment)]).encode()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with far:
            socket.send_fds(_start_server().door, [request], [out.fileno(), err.fileno(), far.fileno()])
        near.settimeout(timeout_s)
        pid = int(near.recv(16))
        try:
            code = int(near.recv(16))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read().decode(), err.read().decode())


@cache
def _start_server() -> _Server:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        argv = [sys.executable, __file__, str(number)]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=[number])
    server = _Server(process, ours)
    atexit.register(server.close)
    return server


def _serve(door: socket.socket) -> None:
    """Fork for each request, and tell how each ended, until nobody is at the other end any more."""
    forks = get_context("fork")
    under_way: dict[int, tuple[ForkProcess, int]] = {}
    while True:
        for ready in wait([door, *under_way]):
            if isinstance(ready, int):
                program, answer = under_way.pop(ready)
                program.join()
                os.write(answer, f"{program.exitcode}".encode())
                os.close(answer)
                continue
            request, descriptors, _, _ = socket.recv_fds(door, _MOST_BYTES, _DESCRIPTORS)
            if not request:
                return
            *outputs, answer = descriptors
            program = forks.Process(target=_become, args=(door, request, *outputs))
            program.start()
            for descriptor in outputs:
                os.close(descriptor)
            os.write(answer, f"{program.pid}".encode())
            under_way[program.sentinel] = program, answer


def _become(door: socket.socket, request: bytes, out: int, err: int) -> None:
    """Be the program."""
    door.close()
    words, folder, environment = json.loads(request)
    os.dup2(out, sys.stdout.fileno())
    os.dup2(err, sys.stderr.fileno())
    os.close(out)
    os.close(err)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["matrix", *words]
    main()


def _warm_up() -> None:
    """Check a matrix.yaml, and read and write the example of a run as page and text, to nowhere."""
    ours = [module.name for module in pkgutil.walk_packages(orchestrator.__path__, "orchestrator.")]
    for module in (*_LIBRARIES, *(name for name in ours if not name.startswith(INSIDE_IMAGES))):
        importlib.import_module(module)
    app = importlib.import_module("orchestrator.cli").make_app()
    example = ["report", "--reports", str(_ROOT / "reports/examples"), "--format"]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        for words in (["plan", "--file", str(_ROOT / "matrix.yaml")], [*example, "html"], [*example, "json"]):
            app(words, standalone_mode=False)


if __name__ == "__main__":
    _warm_up()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as own:
        _serve(own)
