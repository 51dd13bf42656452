"""Lines to engines and builders, which can be cut and mended while something goes over them."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Line:
    """A port of this machine that leads somewhere else."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        """Lead to whatever this connects to."""
        self._connect = connect
        self._ends: set[socket.socket] = set()
        self._server: _Server | None = None
        self._port = 0
        self.carried = 0  # bytes, both ways
        self.mend()

    @property
    def address(self) -> str:
        """Give the address that leads over the line."""
        return f"tcp://127.0.0.1:{self._port}"

    def mend(self) -> None:
        """Answer at the same address."""
        self._server = _Server(self, self._port)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def cut(self) -> None:
        """Answer no more, and drop all that is under way."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for end in [*self._ends]:
            with suppress(OSError):  # it was closed meanwhile
                end.shutdown(socket.SHUT_RDWR)

    def carry(self, near: socket.socket) -> None:
        """Carry one connection there and back, to its end."""
        with self._connect() as far:
            self._ends |= {near, far}
            other = {near: far, far: near}
            while other:
                for end in select.select(list(other), [], [])[0]:
                    if chunk := end.recv(65536):
                        self.carried += len(chunk)
                        other[end].sendall(chunk)
                    else:
                        other.pop(end).shutdown(socket.SHUT_WR)
            self._ends -= {near, far}


class _Carrier(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Carry what comes."""
        self.server.line.carry(self.request)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, line: Line, port: int) -> None:
        self.line = line
        super().__init__(("127.0.0.1", port), _Carrier)

    def handle_error(self, *_request: Any) -> None:
        """Say nothing of ends that were closed while something was on its way."""


@contextmanager
def line_to(address: str) -> Iterator[Line]:
    """Give a line to a socket of this machine: `unix://PATH` or `tcp://HOST:PORT`."""
    scheme, _, where = address.partition("://")
    host, _, port = where.rpartition(":")

    def connect() -> socket.socket:
        if scheme == "tcp":
            return socket.create_connection((host, int(port)))
        found = socket.socket(socket.AF_UNIX)
        found.connect(where)
        return found

    line = Line(connect)
    try:
        yield line
    finally:
        line.cut()
