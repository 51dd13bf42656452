"""An engine that is not reached over a socket of this machine."""

from __future__ import annotations

import os
import select
import socket
import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import cells_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Project


class _Bridge(socketserver.BaseRequestHandler):
    """Carries a connection to the engine's socket and back."""

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(os.environ["DOCKER_HOST"].removeprefix("unix://"))
            other: dict[Any, Any] = {self.request: engine, engine: self.request}
            while other:
                for end in select.select(list(other), [], [])[0]:
                    if chunk := end.recv(65536):
                        other[end].sendall(chunk)
                    else:
                        other.pop(end).shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_request: object) -> None:
        """Say nothing of ends that were closed while something was on its way."""


@contextmanager
def bridged() -> Iterator[str]:
    """Give an address over TCP of the engine that answers."""
    with _Server(("127.0.0.1", 0), _Bridge) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.answering
def test_an_engine_that_is_reached_over_tcp(project: Project) -> None:
    """Images are built and checked there as here; what is told of this machine is not told of that one."""
    smoke = [
        {"run": ["sh", "-c", "cat; echo out; echo err >&2"], "stdout": "^out$"},
        {"run": ["sh", "-c", "exit 3"], "exit": 3},
        {"run": ["sleep", "100"], "timeout": "1s"},
    ]
    project.write(defaults={"smoke": smoke})
    with bridged() as address:
        record = project.run(exit_code=1, DOCKER_HOST=address)
    (cell,) = cells_of(record).values()
    assert [check["outcome"] for check in cell["smoke"]["checks"]] == ["passed", "passed", "timeout"]
    assert record["environment"]["cpu"] is None
    assert project.docker("ps", "--all", "--quiet", "--filter", f"label=io.matrix.run={record['id']}") == ""
