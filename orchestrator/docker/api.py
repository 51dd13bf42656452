"""The engine's own API, for what a run asks often: starting a `docker` takes longer than most answers."""

from __future__ import annotations

import http.client
import json
import os
import selectors
import socket
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from orchestrator.docker.process import carrying
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.docker.engine import Engine
    from orchestrator.docker.process import Signal

    Query = Mapping[str, str | int]

_NEWEST = (1, 51)  # of the API that matrix was tried with; an engine that is newer speaks it too
_ANSWER_S = 60.0
_POLL_S = 0.1
_MOST_BYTES = 16 * 1024 * 1024  # of an answer
_CHUNK = 64 * 1024
_HEADER = 8  # of a frame: which stream, and how long
_MOST_OF_A_FRAME = 1024 * 1024
_STREAMS = {1: "out", 2: "err"}
_UNIX = "unix://"
_NOTHING: Query = {}


class RefusedError(EngineError):
    """The engine answered that it will not."""

    def __init__(self, status: int, words: str) -> None:
        """Keep what it said, and the status that it said it with."""
        self.status = status
        super().__init__(words)


class Talk:
    """A connection to the engine, for one question after another."""

    def __init__(self, engine: Engine, connection: http.client.HTTPConnection) -> None:
        """Take a connection that nobody else uses."""
        self._engine = engine
        self._connection = connection

    def ask(self, method: str, path: str, body: object = None, query: Query = _NOTHING) -> Any:  # noqa: ANN401  # JSON
        """Ask something; give what the engine answers, or None when it has nothing to say."""
        with self.asked(method, path, body, query) as answer:
            text = _read(answer)
            return json.loads(text) if text else None

    @contextmanager
    def asked(self, method: str, path: str, body: object = None, query: Query = _NOTHING) -> Iterator[http.client.HTTPResponse]:
        """Ask something, and give the answer to be read."""
        with _heard(self._engine):
            yield self._begin(method, path, body, query)

    def upgrade(self, path: str, protocol: str, query: Query = _NOTHING) -> socket.socket:
        """Ask for another protocol from now on, and give what it is spoken over."""
        self._connection.response_class = _Unbuffered
        with _heard(self._engine):
            self._begin("POST", path, None, query, Connection="Upgrade", Upgrade=protocol)
            return self._connection.sock

    def _begin(self, method: str, path: str, body: object, query: Query, **headers: str) -> http.client.HTTPResponse:
        text = None if body is None else json.dumps(body)
        words = f"?{urlencode(query)}" if query else ""
        where = f"/v{_version(self._engine)}{quote(path)}{words}"
        self._connection.request(method, where, text, {"Content-Type": "application/json", **headers})
        return _answer(self._connection)


class _Unbuffered(http.client.HTTPResponse):
    """An answer that takes nothing of what comes behind it."""

    def __init__(self, sock: socket.socket, *words: Any, **more: Any) -> None:  # noqa: ANN401  # as the standard library calls it
        super().__init__(sock, *words, **more)
        self.fp = sock.makefile("rb", buffering=0)  # type: ignore[assignment]  # it reads as a buffered one does


@contextmanager
def talking(engine: Engine, *, within_s: float = _ANSWER_S) -> Iterator[Talk]:
    """Connect to the engine."""
    with _connection(engine, within_s) as connection:
        yield Talk(engine, connection)


def ask(engine: Engine, method: str, path: str, body: object = None, query: Query = _NOTHING) -> Any:  # noqa: ANN401  # JSON
    """Ask the engine one thing."""
    with talking(engine) as talk:
        return talk.ask(method, path, body, query)


class Attached:
    """What a container reads and prints, each stream up to a limit."""

    def __init__(self, engine: Engine, sock: socket.socket, limit: int) -> None:
        """Take the connection to a container that has not been started."""
        self._engine = engine
        self._sock = sock
        self._limit = limit
        self._kept = {name: bytearray() for name in _STREAMS.values()}
        self._rest = bytearray()

    @property
    def stdout(self) -> str:
        """Give the first of what it printed."""
        return self._kept["out"].decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """Give the first of its errors."""
        return self._kept["err"].decode("utf-8", "replace")

    def follow(self, stdin: bytes, latest: float, cancel: Signal) -> None:
        """Send what it is to read and take what it prints, until it has ended, or time is over, or whoever waits gives up."""
        left = memoryview(stdin)
        with selectors.DefaultSelector() as selector, _heard(self._engine):
            selector.register(self._sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if left else 0))
            while not cancel.is_set() and time.monotonic() < latest:
                ready = sum(events for _, events in selector.select(_POLL_S))
                if ready & selectors.EVENT_WRITE:
                    left = self._send(left)
                    if not left:
                        selector.modify(self._sock, selectors.EVENT_READ)
                if ready & selectors.EVENT_READ and not self._receive():
                    return

    def _send(self, left: memoryview) -> memoryview:
        """Send a part, and give the rest; nothing is left for a program that has ended without reading it."""
        try:
            left = left[self._sock.send(left[:_CHUNK], socket.MSG_DONTWAIT) :]
            if not left:
                self._sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            return left[:0]
        return left

    def _receive(self) -> bool:
        """Take what has come; tell whether more may come."""
        with suppress(ConnectionResetError):  # it has ended without reading what it was sent
            if chunk := self._sock.recv(_CHUNK):
                self._take(chunk)
                return True
        return False

    def _take(self, chunk: bytes) -> None:
        self._rest += chunk
        while len(self._rest) >= _HEADER:
            size = int.from_bytes(self._rest[4:_HEADER], "big")
            if size > _MOST_OF_A_FRAME:
                message = "the engine does not send a container's output as it should"
                raise EngineError(message)
            if len(self._rest) < _HEADER + size:
                return
            kept = self._kept[_STREAMS.get(self._rest[0], "out")]
            kept += self._rest[_HEADER : _HEADER + size][: self._limit - len(kept)]
            del self._rest[: _HEADER + size]


@contextmanager
def attached(engine: Engine, box: str, limit: int, *, has_input: bool) -> Iterator[Attached]:
    """Be connected with what a container reads and prints."""
    streams = {"stream": 1, "stdin": int(has_input), "stdout": 1, "stderr": 1}
    with talking(engine) as talk:
        yield Attached(engine, talk.upgrade(f"/containers/{box}/attach", "tcp", streams), limit)


@contextmanager
def bridging(engine: Engine, connection: socket.socket) -> Iterator[None]:
    """Carry the bytes of a connection to the engine's own BuildKit and back, until one of them hangs up."""
    with connection, talking(engine) as talk:
        builder = talk.upgrade("/grpc", "h2c")
        builder.settimeout(None)
        ends = [(connection, builder), (builder, connection)]
        threads = [Thread(target=_pour, args=both, name="bridge", daemon=True) for both in ends]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            _shut(connection, builder)
            for thread in threads:
                thread.join()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # the other one has hung up
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    _shut(source, sink)


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):  # it is shut already
            end.shutdown(socket.SHUT_RDWR)


def read_frames(data: bytes) -> str:
    """Give what a container printed, output and errors as they came, from the form in which the engine keeps it."""
    found = bytearray()
    while len(data) >= _HEADER:
        end = _HEADER + int.from_bytes(data[4:_HEADER], "big")
        found += data[_HEADER:end]
        data = data[end:]
    return found.decode("utf-8", "replace")


def _answer(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    answer = connection.getresponse()
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        text = _read(answer).decode("utf-8", "replace")
        try:
            words = str(json.loads(text)["message"])
        except (ValueError, KeyError, TypeError):
            words = text
        raise RefusedError(answer.status, words.strip() or f"status {answer.status}")
    return answer


def _read(answer: http.client.HTTPResponse) -> bytes:
    text = bytearray()
    while part := answer.read(_CHUNK):
        text += part
        if len(text) > _MOST_BYTES:
            message = f"the engine answers with more than {_MOST_BYTES // 1024**2} MiB"
            raise EngineError(message)
    return bytes(text)


@contextmanager
def _connection(engine: Engine, within_s: float = _ANSWER_S) -> Iterator[http.client.HTTPConnection]:
    """Connect to the engine: to its socket, or through docker, which knows every other way."""
    connection = http.client.HTTPConnection("engine")
    connection.auto_open = 0  # or it would look for a machine of that name once the engine hangs up
    with ExitStack() as stack:
        with _heard(engine):
            connection.sock = stack.enter_context(_socket(engine))
            connection.sock.settimeout(within_s)
        yield connection


@contextmanager
def _socket(engine: Engine) -> Iterator[socket.socket]:
    if engine.endpoint.startswith(_UNIX):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_ANSWER_S)
            sock.connect(engine.endpoint.removeprefix(_UNIX))
            yield sock
        return
    near, far = socket.socketpair()
    with tempfile.TemporaryFile() as said, carrying([engine.docker, "system", "dial-stdio"], far, said, os.environ), near:
        yield near


@contextmanager
def _heard(engine: Engine) -> Iterator[None]:
    """Whatever breaks a talk is the engine's silence."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        message = f"the engine at {engine.endpoint} does not answer: {str(error) or type(error).__name__}"
        raise EngineError(message) from error


@cache
def _version(engine: Engine) -> str:
    """Agree on a version of the API."""
    with _connection(engine) as connection, _heard(engine):
        connection.request("GET", "/_ping")
        newest = connection.getresponse().getheader("Api-Version") or "1.41"
    return ".".join(map(str, min(_NEWEST, tuple(map(int, newest.split("."))))))
