"""A connection to a builder's own API: gRPC, whose bytes the engine takes, or a buildx carries, wherever the builder is."""

from __future__ import annotations

import socket
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchestrator.docker.api import RefusedError, talking
from orchestrator.docker.engine import child_environment
from orchestrator.docker.process import carrying
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Engine
    from orchestrator.model import Route

HELLO = "/moby.buildkit.v1.Control/Info"
_ANSWER_S = 30.0
_CONNECT_S = 3.0
_CHUNK = 64 * 1024
_FRAME, _SETTINGS = 9, b"\x04"  # how long a frame's head is, and the kind that comes first
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(5)
_MOST_WORDS = 1000  # of what buildx says of a builder that it cannot reach


class Line:
    """An open connection to one of the builder's nodes."""

    def __init__(self, channel: Any, said: IO[bytes]) -> None:  # noqa: ANN401  # grpc has no types
        """Take what is connected, and where buildx says why it may not be."""
        self._channel = channel
        self._said = said
        self._is_over = False

    def ask(
        self, method: str, request: str, answer: str, /, *, timeout_s: float | None = _ANSWER_S, **fields: object
    ) -> Iterator[Any]:
        """Call a method, and give its answers as they come; one that answers once gives one."""
        import grpc  # noqa: PLC0415  # see `dial`

        from orchestrator.docker.messages import message  # noqa: PLC0415  # as above

        call = self._channel.unary_stream(
            method, request_serializer=lambda asked: asked.SerializeToString(), response_deserializer=message(answer).FromString
        )
        try:
            yield from call(message(request)(**fields), timeout=timeout_s)
        except grpc.RpcError as error:
            if not self._is_over:
                raise EngineError(self._explain(error)) from error
        except ValueError:  # as gRPC says that it has been hung up already
            if not self._is_over:
                raise

    def hang_up(self) -> None:
        """End what is still being answered, and whatever carries it, which ends with the connection."""
        self._is_over = True
        self._channel.close()

    def _explain(self, error: Any) -> str:  # noqa: ANN401  # as above
        self._said.seek(0)
        words = self._said.read(_MOST_WORDS).decode("utf-8", "replace").strip()
        return f"the builder's history cannot be had: {words or error.details() or error.code().name}"


@contextmanager
def dial(engine: Engine, builder: Builder, route: Route) -> Iterator[Line]:
    """Connect to a builder; of several nodes or pods to the one that builds what goes that way.

    gRPC wants an address: a socket in a folder that nobody else may enter, and
    that is gone as soon as gRPC has come through it.
    """
    import grpc  # noqa: PLC0415  # 0.15 s that only a traced run needs

    with tempfile.TemporaryFile() as said:
        with tempfile.TemporaryDirectory(prefix="matrix-") as folder, socket.socket(socket.AF_UNIX) as door:
            path = str(Path(folder) / "buildkit")
            door.bind(path)
            door.listen(1)
            door.settimeout(_ANSWER_S)
            channel: Any = grpc.insecure_channel(f"unix:{path}")
            channel.unary_unary(HELLO).future(b"")  # gRPC connects when something is asked, whatever the answer is
            try:
                connection, _ = door.accept()
            except OSError:
                channel.close()
                raise
        line = Line(channel, said)
        with ExitStack() as stack:
            stack.callback(channel.close)
            stack.enter_context(_carried(engine, builder, route, connection, said))
            stack.callback(line.hang_up)  # whatever carries it ends with it
            yield line


def check_own_buildkit(engine: Engine, why: str) -> None:
    """See that the engine has a BuildKit of its own, where that is to build; whether the engine answers is not found out here.

    Where there is none, buildx makes a builder in a container, and says nothing of it.
    """
    try:
        with talking(engine) as talk:
            talk.upgrade("/grpc", "h2c")
    except RefusedError as error:
        if error.status == HTTPStatus.NOT_FOUND and _speaks_http2(engine):
            return
        message = (
            f"the engine at {engine.endpoint} ({engine.product} {engine.version}) has no BuildKit of its own that can be reached, "
            f"which was to build ({why}); it takes a builder in a container, of an image that can be had, or builder.driver: remote"
        )
        raise EngineError(message) from error
    except EngineError:
        return


def listens(endpoint: str) -> bool | None:
    """Tell whether anybody takes connections at a builder's endpoint; None for one that takes more than a connection to try."""
    try:
        parts = urlsplit(endpoint)
        if parts.scheme != "tcp" or not parts.hostname or not parts.port:
            return None
        with socket.create_connection((parts.hostname, parts.port), timeout=_CONNECT_S):
            return True
    except ValueError:  # no address, or no number that a port can have
        return None
    except OSError:
        return False


def _carried(
    engine: Engine, builder: Builder, route: Route, connection: socket.socket, said: IO[bytes]
) -> AbstractContextManager[None]:
    """Have a connection carried to the builder: the engine's own is behind the engine's API, and buildx knows where others are."""
    if builder.driver == "docker":
        return _bridging(engine, connection)
    where = ["--platform", route.platform] if route.platform else []
    argv = [*engine.buildx_argv, "dial-stdio", "--builder", builder.name, "--progress", "quiet", *where]
    return carrying(argv, connection, said, child_environment(), folder=route.folder)


@contextmanager
def _bridging(engine: Engine, connection: socket.socket) -> Iterator[None]:
    """Carry the bytes of a connection to the engine's own BuildKit and back, until one of them hangs up."""
    with connection, ExitStack() as stack:
        builder = _reach(engine, stack)
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


def _reach(engine: Engine, stack: ExitStack) -> socket.socket:
    """Connect to the engine's own BuildKit: an engine that changes no connection to gRPC any more speaks it on every one."""
    try:
        return stack.enter_context(talking(engine)).upgrade("/grpc", "h2c")
    except RefusedError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
    return stack.enter_context(talking(engine)).sock


def _speaks_http2(engine: Engine) -> bool:
    """Tell whether an engine answers in gRPC's own protocol, which begins with a word of either side."""
    with talking(engine) as talk, suppress(OSError):
        talk.sock.sendall(_HTTP2)
        return talk.sock.recv(_FRAME, socket.MSG_WAITALL)[3:4] == _SETTINGS
    return False


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # the other one has hung up
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    _shut(source, sink)


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):  # it is shut already
            end.shutdown(socket.SHUT_RDWR)
