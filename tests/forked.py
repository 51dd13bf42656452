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
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
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
_ADDRESS = "MATRIX_TESTS_FORKS"
_DESCRIPTORS = 3  # that come with it: output, errors, and where to say how it ended


def run_forked(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `matrix` to its end."""
    request = json.dumps([list(words), str(folder), dict(environment)]).encode()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with far:
            socket.send_fds(reach_server(), [request], [out.fileno(), err.fileno(), far.fileno()])
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
def reach_server() -> socket.socket:
    """Connect to the server: the one of the process that started this one, or one that lives as long as this process."""
    address = os.environ.get(_ADDRESS) or _start_server()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.connect(f"\0{address}")
    return door


def _start_server() -> str:
    """Start a server, and give its address to all that is started from now on."""
    address = f"matrix-tests-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"\0{address}")  # a name without a file, which is gone with its last socket
        listener.listen()
        argv = [sys.executable, __file__, str(listener.fileno())]
        server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=[listener.fileno()])
    atexit.register(_stop_server, server)
    os.environ[_ADDRESS] = address
    return address


def _stop_server(server: subprocess.Popen[bytes]) -> None:
    """Hang up, which ends it unless somebody else is connected, and wait."""
    reach_server().close()
    server.wait()


def _serve(listener: socket.socket) -> None:
    """Fork for each request, and tell how each ended, until nobody is connected any more."""
    forks = get_context("fork")
    doors: list[socket.socket] = []
    under_way: dict[int, tuple[ForkProcess, int]] = {}
    while True:
        for ready in wait([listener, *doors, *under_way]):
            if isinstance(ready, int):
                program, answer = under_way.pop(ready)
                program.join()
                os.write(answer, f"{program.exitcode}".encode())
                os.close(answer)
            elif ready is listener:
                doors.append(listener.accept()[0])
            elif isinstance(ready, socket.socket):
                request, descriptors, _, _ = socket.recv_fds(ready, _MOST_BYTES, _DESCRIPTORS)
                if not request:
                    doors.remove(ready)
                    ready.close()
                    continue
                *outputs, answer = descriptors
                program = forks.Process(target=_become, args=([listener, *doors], request, *outputs))
                program.start()
                for descriptor in outputs:
                    os.close(descriptor)
                os.write(answer, f"{program.pid}".encode())
                under_way[program.sentinel] = program, answer
        if not doors:
            return


def _become(sockets: Sequence[socket.socket], request: bytes, out: int, err: int) -> None:
    """Be the program."""
    for one in sockets:
        one.close()
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
