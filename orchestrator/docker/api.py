"""The engine's own API, for what a run asks often: starting a `docker` takes longer than most answers."""

from __future__ import annotations

import http.client
import json
import os
import selectors
import socket
import tempfile
import time
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import chain
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from orchestrator.docker.process import carrying
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.docker.engine import Engine
    from orchestrator.docker.process import Signal

    Query = Mapping[str, str | int]

_NEWEST = (1, 51)  # of the API that matrix was tried with; an engine that is newer speaks it too
_OLDEST = "1.41"  # what an engine that names none speaks
_ANSWER_S = 60.0
_SILENCE_S = 600.0  # in which an engine neither takes more of what it is sent nor answers
_POLL_S = 0.1
_MOST_WORDS = 1000  # of what docker says of an engine that it cannot reach
_MOST_BYTES = 16 * 1024 * 1024  # of an answer
_CHUNK = 64 * 1024
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

    def __init__(self, engine: Engine, connection: http.client.HTTPConnection, said: IO[bytes]) -> None:
        """Take a connection that nobody else uses, and where docker says why it cannot carry it."""
        self._engine = engine
        self._connection = connection
        self._said = said

    def ask(self, method: str, path: str, body: object = None, query: Query = _NOTHING) -> Any:  # noqa: ANN401  # JSON
        """Ask something; give what the engine answers, or None when it has nothing to say."""
        with self.asked(method, path, body, query) as answer:
            text = _read(answer)
            return json.loads(text) if text else None

    @contextmanager
    def asked(self, method: str, path: str, body: object = None, query: Query = _NOTHING) -> Iterator[http.client.HTTPResponse]:
        """Ask something, and give the answer to be read."""
        where = f"/v{_version(self._engine)}{quote(path)}"
        with self.heard():
            yield self._begin(method, where, body, query)

    @property
    def sock(self) -> socket.socket:
        """Give what is spoken over, for whoever speaks another protocol from the first word on."""
        return self._connection.sock

    def upgrade(self, path: str, protocol: str, query: Query = _NOTHING) -> socket.socket:
        """Ask for another protocol from now on, and give what it is spoken over."""
        where = f"/v{_version(self._engine)}{quote(path)}"
        self._connection.response_class = _Unbuffered
        with self.heard():
            self._begin("POST", where, None, query, Connection="Upgrade", Upgrade=protocol)
            return self._connection.sock

    def send(self, path: str, parts: Iterable[bytes], query: Query, cancel: Signal) -> bytes | None:
        """Send what comes part by part, and give the answer; None when whoever waits gives up."""
        with self.heard():
            self._connection.putrequest("POST", f"/v{_version(self._engine)}{quote(path)}?{urlencode(query)}")
            self._connection.putheader("Content-Type", "application/x-tar")
            self._connection.putheader("Transfer-Encoding", "chunked")
            self._connection.endheaders()
        for chunk in chain((b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part), [b"0\r\n\r\n"]):
            with self.heard():
                if not self._push(chunk, cancel):
                    break
        with self.heard():
            return _read(_answer(self._connection)) if self._is_ready(selectors.EVENT_READ, cancel) else None

    def _push(self, data: bytes, cancel: Signal) -> bool:
        """Send data; tell whether the engine wants more, which it does not when it has answered already."""
        left = memoryview(data)
        try:
            while left and self._is_ready(selectors.EVENT_WRITE, cancel):
                left = left[self._connection.sock.send(left, socket.MSG_DONTWAIT) :]
        except (BrokenPipeError, ConnectionResetError):
            return False
        return not left

    def _is_ready(self, wanted: int, cancel: Signal) -> bool:
        """Wait until the engine can be written to, or read from; False when whoever waits gives up."""
        latest = time.monotonic() + _SILENCE_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection.sock, wanted)
            while not cancel.is_set():
                if selector.select(_POLL_S):
                    return True
                if time.monotonic() > latest:
                    raise TimeoutError
        return False

    def newest_version(self) -> str:
        """Ask for the newest version of the API that the engine knows."""
        with self.heard():
            return self._begin("GET", "/_ping", None, _NOTHING).getheader("Api-Version") or _OLDEST

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Take whatever breaks the talk for the engine's silence."""
        with _heard(self._engine, self._said):
            yield

    def _begin(self, method: str, where: str, body: object, query: Query, **headers: str) -> http.client.HTTPResponse:
        text = None if body is None else json.dumps(body)
        words = f"?{urlencode(query)}" if query else ""
        self._connection.request(method, f"{where}{words}", text, {"Content-Type": "application/json", **headers})
        return _answer(self._connection)


class _Unbuffered(http.client.HTTPResponse):
    """An answer that takes nothing of what comes behind it."""

    def __init__(self, sock: socket.socket, *words: Any, **more: Any) -> None:  # noqa: ANN401  # as the standard library calls it
        super().__init__(sock, *words, **more)
        self.fp = sock.makefile("rb", buffering=0)  # type: ignore[assignment]  # it reads as a buffered one does


@contextmanager
def talking(engine: Engine, *, within_s: float = _ANSWER_S) -> Iterator[Talk]:
    """Connect to the engine."""
    connection = http.client.HTTPConnection("engine")
    connection.auto_open = 0  # or it would look for a machine of that name once the engine hangs up
    with ExitStack() as stack:
        said = stack.enter_context(tempfile.TemporaryFile())
        with _heard(engine, said):
            connection.sock = stack.enter_context(_connected(engine, said))
            connection.sock.settimeout(within_s)
        stack.callback(connection.close)  # its answers, too: each has the socket for a file, which would keep it open
        yield Talk(engine, connection, said)


def ask(engine: Engine, method: str, path: str, body: object = None, query: Query = _NOTHING) -> Any:  # noqa: ANN401  # JSON
    """Ask the engine one thing."""
    with talking(engine) as talk:
        return talk.ask(method, path, body, query)


def remove(engine: Engine, path: str, what: str, query: Query = _NOTHING) -> None:
    """Remove something of the engine's; what is gone is fine."""
    try:
        ask(engine, "DELETE", path, query=query)
    except RefusedError as error:
        if error.status != http.HTTPStatus.NOT_FOUND:
            message = f"{what} could not be removed: {error}"
            raise EngineError(message) from error


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
def _connected(engine: Engine, said: IO[bytes]) -> Iterator[socket.socket]:
    """Connect to the engine's socket, or through docker, which knows every other way."""
    if engine.endpoint.startswith(_UNIX):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_ANSWER_S)
            sock.connect(engine.endpoint.removeprefix(_UNIX))
            yield sock
        return
    near, far = socket.socketpair()
    with carrying([engine.docker, "system", "dial-stdio"], far, said, os.environ), near:
        yield near


@contextmanager
def _heard(engine: Engine, said: IO[bytes]) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        said.seek(0)
        words = said.read(_MOST_WORDS).decode("utf-8", "replace").strip() or str(error) or type(error).__name__
        message = f"the engine at {engine.endpoint} does not answer: {words}"
        raise EngineError(message) from error


@cache
def _version(engine: Engine) -> str:
    """Agree on a version of the API."""
    with talking(engine) as talk:
        newest = talk.newest_version()
    return ".".join(map(str, min(_NEWEST, tuple(map(int, newest.split("."))))))
