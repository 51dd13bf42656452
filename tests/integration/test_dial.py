"""A connection to the engine's own BuildKit, whichever way the engine has to it."""

from __future__ import annotations

import socket
import socketserver
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from msgspec.structs import replace

from orchestrator.docker.builder import Builder
from orchestrator.docker.dial import HELLO, check_own_buildkit, dial
from orchestrator.errors import EngineError
from orchestrator.model import Route
from tests.unit.docker_fake import make_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.docker.engine import Engine

OWN = Builder("default", "docker", None, exports_oci=True, did="")
PING = b"HTTP/1.1 200 OK\r\nApi-Version: 1.56\r\nContent-Length: 0\r\n\r\n"
REFUSAL = b"HTTP/1.1 %d No\r\nContent-Length: 28\r\n\r\n" + b'{"message":"page not found"}'
UPGRADE = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


class _Engine(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    answer: bytes  # to whoever wants to change a connection to gRPC
    buildkit: str


class _Connection(socketserver.BaseRequestHandler):
    server: _Engine

    def handle(self) -> None:
        """Answer what is HTTP of old, and hand on all else, or all from a change of the protocol on."""
        self.request.settimeout(10)
        while (begin := self.request.recv(4, socket.MSG_PEEK)) in (b"GET ", b"POST"):
            asked = self.request.recv(65536)
            self.request.sendall(PING if begin == b"GET " else self.server.answer)
            if b"/grpc" in asked and self.server.answer == UPGRADE:
                break
        if begin:
            self._hand_on()

    def _hand_on(self) -> None:
        with socket.socket(socket.AF_UNIX) as behind:
            behind.connect(self.server.buildkit)
            pouring = threading.Thread(target=pour, args=(behind, self.request))
            pouring.start()
            pour(self.request, behind)
            pouring.join()


def pour(source: socket.socket, sink: socket.socket) -> None:
    """Hand on what comes, and that no more does."""
    with suppress(OSError):  # one of them has hung up
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)


class _BuildKit(grpc.GenericRpcHandler):
    def service(self, call: Any) -> Any:
        """Answer whatever is asked with nothing, in a message."""
        assert call.method == HELLO
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")


@contextmanager
def serving(folder: Path, answer: bytes) -> Iterator[Engine]:
    """Have an engine with a BuildKit, which answers in this way to whoever wants to change a connection to gRPC."""
    with ThreadPoolExecutor(2) as threads, _Engine(str(folder / "engine.sock"), _Connection) as engine:
        buildkit = grpc.server(threads, handlers=[_BuildKit()])
        engine.answer, engine.buildkit = answer, str(folder / "buildkit.sock")
        buildkit.add_insecure_port(f"unix:{engine.buildkit}")
        buildkit.start()
        thread = threading.Thread(target=engine.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield replace(make_engine(storage="overlayfs", containerd_store=True), endpoint=f"unix://{folder}/engine.sock")
        finally:
            engine.shutdown()
            thread.join()
            buildkit.stop(None)


@pytest.mark.parametrize("answer", [UPGRADE, REFUSAL % 404], ids=["changes", "speaks"])
def test_an_engine_changes_a_connection_or_speaks_grpc_on_any(answer: bytes, tmp_path: Path) -> None:
    """The one is how it was up to Engine 29, which knows the other as well and says that it alone will stay."""
    with serving(tmp_path, answer) as engine, dial(engine, OWN, Route()) as line:
        assert len(list(line.ask(HELLO, "Nothing", "Nothing"))) == 1
        check_own_buildkit(engine, "it was asked for")


def test_an_engine_that_will_not_is_taken_at_its_word(tmp_path: Path) -> None:
    """Only what it does not know is tried in another way."""
    with serving(tmp_path, REFUSAL % 403) as engine, pytest.raises(EngineError, match="page not found"), dial(engine, OWN, Route()):
        pass
