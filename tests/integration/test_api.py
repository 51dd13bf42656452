"""The engine's own API: an engine that refuses, breaks off, or says too much; one that is reached through docker; a real one."""

from __future__ import annotations

import io
import json
import os
import secrets
import socketserver
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator.docker.api import RefusedError, ask, talking
from orchestrator.docker.containers import KEEP_BYTES, Confinement, container, ended_container, list_containers
from orchestrator.docker.contents import snapshot
from orchestrator.docker.dial import check_own_buildkit
from orchestrator.docker.engine import connect
from orchestrator.docker.images import load_image, remove_image
from orchestrator.docker.installed import installation, remember_client
from orchestrator.docker.networks import make_internal_network
from orchestrator.docker.streams import Attached, attached, read_frames
from orchestrator.errors import EngineError
from orchestrator.model import HealthyCheck, Limits
from orchestrator.smoke.commands import explain_end
from orchestrator.smoke.services import check_health
from tests.unit.docker_fake import make_engine
from tests.unit.test_runners import FakeRunner, make_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.docker.containers import Ended
    from orchestrator.docker.engine import Engine

RUN = f"20260101T000000Z-{secrets.token_hex(3)}"
CARRIER = """\
#!{python}
import socket, sys, threading
with socket.socket(socket.AF_UNIX) as engine:
    assert sys.argv[1:] == ["system", "dial-stdio"], sys.argv
    engine.connect({path!r})
    def send():
        while chunk := sys.stdin.buffer.raw.read(65536):
            engine.sendall(chunk)
        engine.shutdown(socket.SHUT_WR)
    threading.Thread(target=send, daemon=True).start()
    while chunk := engine.recv(65536):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
"""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    answer: Callable[[Any], None]
    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, *_words: object) -> None:
        pass

    def reply(self, status: int, text: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        if self.path == "/_ping":
            self.reply(200, b"OK", Api_Version="1.99")
            return
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.answer(self)

    do_POST = do_DELETE = do_GET  # noqa: N815  # the standard library's names


@contextmanager
def serving(folder: Path, answer: Callable[[Any], None]) -> Iterator[tuple[Engine, list[str]]]:
    """Have an engine on a socket that answers everything in one way; give it, and what it is asked."""
    path = folder / "engine.sock"
    with _Server(str(path), _Handler) as server:
        server.answer, server.asked = answer, []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield replace(make_engine(storage="overlayfs", containerd_store=True), endpoint=f"unix://{path}"), server.asked
        finally:
            server.shutdown()
            thread.join()


def frame(stream: int, text: bytes) -> bytes:
    """Write a frame as the engine does."""
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def test_it_is_asked_in_a_version_that_both_know(tmp_path: Path) -> None:
    """A newer engine is asked in the newest version that matrix was tried with; what is asked for is quoted."""
    with serving(tmp_path, lambda handler: handler.reply(200, b'{"Id": "x"}')) as (engine, asked):
        assert ask(engine, "GET", "/images/a b/json", query={"path": "/etc/é"}) == {"Id": "x"}
        assert asked == ["GET /v1.51/images/a%20b/json?path=%2Fetc%2F%C3%A9"]


@pytest.mark.parametrize(
    ("text", "words"), [(b'{"message": "no such image: x"}', "no such image: x"), (b"<html>", "<html>"), (b"", "status 404")]
)
def test_a_refusal_has_the_engines_words(text: bytes, words: str, tmp_path: Path) -> None:
    """With its status, by which a caller knows what is already gone."""
    with serving(tmp_path, lambda handler: handler.reply(404, text)) as (engine, _), pytest.raises(RefusedError) as refused:
        ask(engine, "DELETE", "/images/x")
    assert (refused.value.status, str(refused.value)) == (404, words)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n"), "SSH-2.0-OpenSSH"),
        (lambda handler: handler.reply(200, b'{"Id": ', Content_Length="50"), "Expecting value"),
        (lambda handler: handler.reply(200, b"no JSON"), "Expecting value"),
        (lambda handler: handler.reply(200, bytes(17 * 1024**2)), "more than 16 MiB"),
        (lambda handler: handler.connection.close(), "Remote end closed connection"),
    ],
)
def test_an_engine_that_breaks_off_or_talks_nonsense(answer: Callable[[Any], None], words: str, tmp_path: Path) -> None:
    """All of it is the engine's silence: one sentence, and its address."""

    def once(handler: Any) -> None:
        answer(handler)
        handler.close_connection = True

    with serving(tmp_path, once) as (engine, _), pytest.raises(EngineError, match=words):
        ask(engine, "GET", "/info")


def test_an_engine_that_hangs_up_after_an_answer_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    """A connection that is over is over; the next one may be another story."""
    with serving(tmp_path, lambda handler: handler.reply(200, b"{}", Connection="close")) as (engine, _):
        with talking(engine) as talk:
            assert talk.ask("GET", "/info") == {}
            with pytest.raises(EngineError, match="does not answer: NotConnected"):
                talk.ask("GET", "/info")
        assert ask(engine, "GET", "/info") == {}


@pytest.mark.parametrize(
    ("unlimited", "has", "wanted", "nano"), [((), 2, 4.0, 2e9), ((), 2, 0.5, 5e8), ((), 0, 4.0, 4e9), (("processors",), 2, 0.5, 0)]
)
def test_no_more_processors_are_asked_for_than_an_engine_can_give(
    tmp_path: Path, unlimited: tuple[str, ...], has: int, wanted: float, nano: float
) -> None:
    """It refuses more than it has, and any limit where its kernel holds none; the other limits are asked for all the same."""
    specs: list[dict[str, Any]] = []

    def answer(handler: Any) -> None:
        if body := handler.rfile.read(int(handler.headers.get("Content-Length", 0))):
            specs.append(json.loads(body)["HostConfig"])
        handler.reply(201, b"{}")

    with serving(tmp_path, answer) as (engine, _):
        asked = replace(engine, unlimited=unlimited, cpus=has)
        with container(asked, "i", Confinement(RUN, "cell", Limits(cpus=wanted))):
            pass
    assert [(one["NanoCpus"], one["Memory"], one["PidsLimit"]) for one in specs] == [(nano, 512 * 1024**2, 256)]


def test_an_old_engine_makes_one_network_for_all_cells(tmp_path: Path) -> None:
    """Before 25 it makes another one of the same name where nobody tells it to look, or where two ask at once."""
    made: list[str] = []
    both = threading.Barrier(2)

    def answer(handler: Any) -> None:
        asked = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        is_there = asked.get("CheckDuplicate") and asked["Name"] in made
        with suppress(threading.BrokenBarrierError):  # nobody else asks meanwhile
            both.wait(0.2)
        if is_there:
            handler.reply(409, b'{"message": "network with name already exists"}')
        else:
            made.append(asked["Name"])
            handler.reply(201, b"{}")

    with serving(tmp_path, answer) as (engine, asked), ThreadPoolExecutor(2) as cells:
        names = list(cells.map(lambda _: make_internal_network(engine, RUN), range(3)))
    assert (made, names, len(asked)) == ([f"matrix-{RUN}"], [f"matrix-{RUN}"] * 3, 3)


@pytest.mark.parametrize("is_there", [True, False])
def test_podman_says_in_its_own_way_that_a_network_is_there(tmp_path: Path, *, is_there: bool) -> None:
    """With a status that may mean anything; so the network is looked for."""

    def answer(handler: Any) -> None:
        if handler.rfile.read(int(handler.headers.get("Content-Length", 0))):
            handler.reply(500, b'{"message": "network name x already used: network already exists"}')
        else:
            handler.reply(200 if is_there else 404, b'{"message": "no such network"}')

    with serving(tmp_path, answer) as (engine, _):
        if is_there:
            assert make_internal_network(engine, RUN) == f"matrix-{RUN}"
        else:
            with pytest.raises(EngineError, match="the internal network could not be made: network name x already used"):
                make_internal_network(engine, RUN)


@pytest.mark.parametrize("starts", [False, True])
def test_podman_lets_nobody_listen_to_what_it_cannot_start(tmp_path: Path, *, starts: bool) -> None:
    """Why it cannot is what a check found out; any other refusal is the engine's trouble."""
    why = b'{"message": "crun: executable file `nope` not found in $PATH: No such file or directory"}'

    def answer(handler: Any) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        path = handler.path.partition("?")[0]
        if path.endswith("/json"):
            handler.reply(200, b'{"State": {"Running": false, "ExitCode": 0, "OOMKilled": false, "Error": ""}}')
        elif path.endswith("/attach"):
            handler.reply(409, why)
        elif path.endswith("/start") and not starts:
            handler.reply(500, why)
        else:
            handler.reply(204, b"")

    def run(engine: Engine) -> Ended:
        confinement = Confinement(RUN, "cell", Limits())
        with ended_container(engine, "i", ["nope"], confinement, timeout_s=10, cancel=threading.Event()) as (_, ended):
            return ended

    with serving(tmp_path, answer) as (engine, _):
        if starts:
            with pytest.raises(RefusedError, match="executable file `nope` not found"):
                run(engine)
        else:
            assert explain_end(run(engine), 10, 0) == ("failed", "'nope' is not in the image")


@pytest.mark.parametrize(("product", "outcome"), [("Podman", "error"), ("Docker", "failed")])
def test_a_healthcheck_that_podman_never_runs_is_not_the_images_fault(tmp_path: Path, product: str, outcome: str) -> None:
    """It has systemd run them; where there is none, a container is starting for ever."""
    state = b'{"State": {"Running": true, "ExitCode": 0, "OOMKilled": false, "Health": {"Status": "starting", "Log": []}}}'

    def answer(handler: Any) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        handler.reply(200, state if handler.path.endswith("/json") else b"")

    with serving(tmp_path, answer) as (engine, _):
        subject = make_subject(FakeRunner(None))
        found = check_health(replace(subject, engine=replace(engine, product=product)), HealthyCheck(within_s=0.3), 10)
    assert found.outcome == outcome
    assert ("Podman leaves that to systemd" in (found.reason or "")) is (product == "Podman")


def test_what_a_container_has_written_is_kept_by_a_question_that_podman_understands(tmp_path: Path) -> None:
    """Its version 4 refuses one without an object, as the docker command puts it."""
    bodies: list[bytes] = []

    def answer(handler: Any) -> None:
        bodies.append(handler.rfile.read(int(handler.headers.get("Content-Length", 0))))
        handler.reply(201, b'{"Id": "x"}')

    with serving(tmp_path, answer) as (engine, asked):
        with snapshot(engine, "box", "matrix.local/structure:x"):
            assert asked == ["POST /v1.51/commit?container=box&repo=matrix.local%2Fstructure&tag=x"]
        assert json.loads(bodies[0]) == {}


def test_an_engine_without_a_buildkit_of_its_own_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    """Podman has none, and a proxy before an engine's socket may let nobody through to it; buildx would say nothing."""
    with serving(tmp_path, lambda handler: handler.reply(404, b"Not Found")) as (engine, asked):
        words = r"\(Podman 5.4.2\) has no BuildKit of its own that can be reached, which was to build \(it was asked for\)"
        with pytest.raises(EngineError, match=words):
            check_own_buildkit(replace(engine, product="Podman", version="5.4.2"), "it was asked for")
        assert asked == ["POST /v1.51/grpc"]
    check_own_buildkit(engine, "it was asked for")


def test_an_engine_that_is_gone(tmp_path: Path) -> None:
    """Its address is said."""
    engine = replace(make_engine(storage="", containerd_store=True), endpoint=f"unix://{tmp_path}/gone")
    with pytest.raises(EngineError, match=rf"the engine at unix://{tmp_path}/gone does not answer: .*No such file"):
        ask(engine, "GET", "/info")


def test_docker_is_started_only_when_what_is_installed_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says of itself is kept; the engine says the rest, and where it does not, docker has the words for it."""
    buildx = tmp_path / "more/docker-buildx"
    buildx.parent.mkdir()
    buildx.touch(0o755)
    plugin = {"Name": "buildx", "Version": "v0.23.0", "Path": str(buildx)}
    tmp_path.joinpath("said.json").write_text(
        json.dumps({"ServerVersion": "1", "ClientInfo": {"Context": "default", "Plugins": [plugin]}})
    )
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho started >> {tmp_path}/starts\ncat {tmp_path}/said.json\n")
    docker.chmod(0o755)
    tmp_path.joinpath("config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(buildx.parent)]}))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("MATRIX_CACHE_DIR", str(tmp_path / "cache"))

    def starts() -> int:
        return tmp_path.joinpath("starts").read_text().count("\n")

    said = [b'{"ServerVersion": "2"}', b'["nonsense"]']
    with serving(tmp_path, lambda handler: handler.reply(200, said[0])) as (engine, asked):
        monkeypatch.setenv("DOCKER_HOST", engine.endpoint)
        assert (connect().version, starts(), asked) == ("1", 1, [])
        again = connect()
        assert (again.version, again.buildx, again.buildx_argv, starts()) == ("2", "0.23.0", (str(buildx),), 1)
        assert asked == ["GET /v1.51/info"]
        buildx.write_text("another")
        assert (connect().version, starts()) == ("1", 2)
        assert (connect().version, starts()) == ("2", 2)
        said.reverse()
        assert (connect().version, starts()) == ("1", 3)
        said.reverse()
        remember_client(installation(str(docker)), {"Context": "default", "Plugins": [{**plugin, "Path": str(docker)}]})
        assert (connect().buildx_argv, starts()) == ((str(buildx),), 4), "the cache names no program"
    assert (connect().version, starts()) == ("1", 5)
    tmp_path.joinpath("config.json").write_text("{}")
    assert (connect().version, starts()) == ("1", 6)


def test_output_is_kept_up_to_a_limit_and_told_apart(tmp_path: Path) -> None:
    """Frames are cut anywhere on their way; what comes after the limit is read and dropped."""
    sent = frame(1, b"out") + frame(2, b"err\xff") + frame(1, b"put" * 10_000) + frame(2, b"")
    started = threading.Event()

    def answer(handler: Any) -> None:
        handler.reply(101, b"", Upgrade="tcp", Connection="Upgrade")
        started.wait(10)
        for at in range(0, len(sent), 1000):
            handler.wfile.write(sent[at : at + 1000])
        handler.close_connection = True

    with serving(tmp_path, answer) as (engine, asked), attached(engine, "box", 8, has_input=False) as streams:
        started.set()
        streams.follow(b"", time.monotonic() + 10, threading.Event())
        assert (streams.stdout, streams.stderr) == ("outputpu", "err\N{REPLACEMENT CHARACTER}")
        assert asked == ["POST /v1.51/containers/box/attach?stream=1&stdin=0&stdout=1&stderr=1"]
    assert read_frames(sent)[:6] == "outerr"


def test_a_frame_without_end_is_refused(tmp_path: Path) -> None:
    """What is no frame would otherwise be waited for."""
    started = threading.Event()

    def answer(handler: Any) -> None:
        handler.reply(101, b"", Upgrade="tcp", Connection="Upgrade")
        started.wait(10)
        handler.wfile.write(b"\xff" * 8)

    with serving(tmp_path, answer) as (engine, _), attached(engine, "box", 8, has_input=False) as streams:
        started.set()
        with pytest.raises(EngineError, match="not send a container's output as it should"):
            streams.follow(b"", time.monotonic() + 10, threading.Event())


def test_whoever_stops_listening_is_known_to_have_stopped(tmp_path: Path) -> None:
    """An engine that goes on writing to somebody who keeps the connection, unread, can neither end the container nor remove it."""
    noticed = threading.Event()

    def flood(handler: Any) -> None:
        handler.reply(101, b"", Upgrade="tcp", Connection="Upgrade")
        try:
            while True:
                handler.wfile.write(frame(1, bytes(65536)))
        except OSError:
            noticed.set()
        handler.close_connection = True

    with serving(tmp_path, flood) as (engine, _):
        with attached(engine, "box", 8, has_input=False) as streams:
            streams.follow(b"", time.monotonic() + 0.1, threading.Event())
        assert noticed.wait(10)
        assert streams.stdout == "\0" * 8


def read_chunks(handler: Any) -> bytes:
    """Read what is sent in chunks, to its end."""
    found = b""
    while size := int(handler.rfile.readline(), 16):
        found += handler.rfile.read(size)
        handler.rfile.readline()
    return bytes(found + handler.rfile.readline())


class _Archive:
    """A store with one image, which is these parts."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts

    def archive(self, _layout: Path, _image: str) -> Iterator[bytes]:
        yield from self.parts


def load(engine: Engine, archive: _Archive, cancel: threading.Event | None = None) -> bool:
    """Load an image into an engine."""
    return load_image(engine, archive, Path("layout"), "x:1", cancel or threading.Event())  # type: ignore[arg-type]  # no more is asked of it


def test_an_image_is_sent_part_by_part(tmp_path: Path) -> None:
    """Of whatever size; and the engine may say in its answer that it did not take it."""
    sent: list[bytes] = []

    def take(handler: Any) -> None:
        sent.append(read_chunks(handler))
        handler.reply(200, answers.pop(0))

    loaded, refused = b'{"stream":"Loaded image: x:1"}\r\n', b'"errorDetail":{"message":"no \\"x\\""}'
    answers = [loaded, b'{%b,"error":"no \\"x\\""}\r\n' % refused, b"%b{%b}\r\n" % (loaded, refused)]  # as of old, and as to be
    with serving(tmp_path, take) as (engine, asked):
        assert load(engine, _Archive(b"a" * 3_000_000, b"", b"b"))
        for _ in range(2):
            with pytest.raises(EngineError, match='the engine did not take the image x:1: no "x"'):
                load(engine, _Archive(b"c"))
    assert sent == [b"a" * 3_000_000 + b"b\r\n", b"c\r\n", b"c\r\n"]
    assert asked == ["POST /v1.51/images/load?quiet=1"] * 3


def test_an_engine_that_wants_no_more_of_an_image_says_why(tmp_path: Path) -> None:
    """It answers before it has read all."""

    def refuse(handler: Any) -> None:
        handler.reply(500, b'{"message":"no space left on device"}', Connection="close")
        handler.close_connection = True

    with serving(tmp_path, refuse) as (engine, _), pytest.raises(EngineError, match=r"x:1: no space left on device"):
        load(engine, _Archive(*[bytes(1_000_000)] * 50))


@pytest.mark.parametrize("reads", [False, True])
def test_whoever_waits_for_an_image_may_give_up(reads: bool, tmp_path: Path) -> None:  # noqa: FBT001  # parametrized
    """While the engine takes nothing, or takes all and does not answer."""
    cancel, over = threading.Event(), threading.Event()

    def wait(handler: Any) -> None:
        if reads:
            read_chunks(handler)
        cancel.set()
        over.wait(30)
        handler.close_connection = True

    with serving(tmp_path, wait) as (engine, _):
        assert not load(engine, _Archive(*[bytes(1_000_000)] * 50), cancel)
        over.set()


def test_an_engine_elsewhere_is_reached_through_docker(tmp_path: Path) -> None:
    """Whatever a context says, over TLS or ssh, docker itself carries the bytes."""
    docker = tmp_path / "docker"
    docker.write_text(CARRIER.format(python=sys.executable, path=str(tmp_path / "engine.sock")))
    docker.chmod(0o755)
    with serving(tmp_path, lambda handler: handler.reply(200, b'{"Id": "far"}')) as (engine, _):
        far = replace(engine, docker=str(docker), endpoint="ssh://somebody@elsewhere")
        assert ask(far, "GET", "/info") == {"Id": "far"}


def test_an_engine_elsewhere_that_cannot_be_reached_is_said_in_dockers_words(tmp_path: Path) -> None:
    """It alone knows what ssh or TLS has said."""
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'somebody@elsewhere: Permission denied (publickey).' >&2\nexit 1\n")
    docker.chmod(0o755)
    far = replace(make_engine(storage="", containerd_store=True), docker=str(docker), endpoint="ssh://somebody@elsewhere")
    with pytest.raises(
        EngineError, match=r"the engine at ssh://somebody@elsewhere does not answer: .*Permission denied \(publickey\)"
    ):
        ask(far, "GET", "/info")


@pytest.fixture(scope="module")
def real(engine: None) -> Engine:
    """Give the engine that answers."""
    return connect()


@pytest.fixture(scope="module")
def image(real: Engine, busybox: Path) -> Iterator[str]:
    """Import a tiny image."""
    name = f"matrix-tests-api:{time.time_ns()}"
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add(busybox, "bin/busybox")
    subprocess.run([real.docker, "import", "-", name], input=tar.getvalue(), capture_output=True, check=True)
    yield name
    remove_image(real, name)


def run(engine: Engine, image: str, script: str, stdin: bytes = b"", wanted: tuple[str, ...] = ()) -> Ended:
    """Run a shell's script in a container."""
    argv = ["/bin/busybox", "sh", "-c", script]
    confinement, cancel = Confinement(RUN, "cell", Limits()), threading.Event()
    with ended_container(engine, image, argv, confinement, stdin=stdin, wanted=wanted, timeout_s=60, cancel=cancel) as (_, ended):
        return ended


def test_a_program_reads_all_that_it_is_sent(real: Engine, image: str) -> None:
    """More than any buffer on the way holds, while it prints as much."""
    sent = b"a line\n" * 300_000
    ended = run(real, image, "/bin/busybox tee /dev/stderr | /bin/busybox wc -c", sent)
    assert (ended.code, ended.stdout, len(ended.stderr)) == (0, f"{len(sent)}\n", KEEP_BYTES)


@pytest.mark.parametrize("script", ["echo no; exit 3", "exec 0<&-; echo no; exit 3"])
def test_a_program_need_not_read_what_it_is_sent(script: str, real: Engine, image: str) -> None:
    """Its end and its output are what counts."""
    ended = run(real, image, script, bytes(5_000_000))
    assert (ended.code, ended.stdout, ended.timed_out) == (3, "no\n", False)


def test_a_program_that_closes_its_output_is_waited_for(real: Engine, image: str) -> None:
    """Nothing more comes, and it still runs."""
    ended = run(real, image, "exec 1>&- 2>&-; /bin/busybox sleep 1; exit 4")
    assert (ended.code, ended.stdout) == (4, "")


@pytest.mark.parametrize(
    ("script", "wanted", "runs"),
    [
        ("echo said", ("stdout",), 2),
        ("echo said >&2; exit 3", ("stderr",), 2),
        ("echo said", (), 1),
    ],
)
def test_a_program_whose_output_the_engine_has_lost_is_run_once_more(
    script: str, wanted: tuple[str, ...], runs: int, real: Engine, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy engine hands on nothing of a program that has ended at once; where nobody looks at its output that is no matter."""
    follow = Attached.follow
    followed: list[Attached] = []

    def lose_the_first(streams: Attached, *words: Any) -> None:
        if followed:
            follow(streams, *words)
        followed.append(streams)

    monkeypatch.setattr(Attached, "follow", lose_the_first)
    ended = run(real, image, script, wanted=wanted)
    assert (len(followed), ended.repeated) == (runs, runs == 2)
    assert f"{ended.stdout}{ended.stderr}" == ("said\n" if wanted else "")
    assert list_containers(real, RUN) == []


def test_a_program_that_took_its_time_has_not_lost_what_it_printed(
    real: Engine, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine has listened to it; and a second run might be cut short by the time limit."""
    follow = Attached.follow
    followed: list[Attached] = []

    def count(streams: Attached, *words: Any) -> None:
        followed.append(streams)
        follow(streams, *words)

    monkeypatch.setattr(Attached, "follow", count)
    monkeypatch.setattr("orchestrator.docker.containers._AT_ONCE_S", 0.5)
    assert run(real, image, "/bin/busybox sleep 1; exit 5", wanted=("stdout",)).code == 5
    assert len(followed) == 1


def test_a_program_that_prints_nothing_is_run_twice_and_no_more(real: Engine, image: str) -> None:
    """Nothing is then what it prints."""
    ended = run(real, image, "exit 5", wanted=("stdout", "stderr"))
    assert (ended.code, ended.stdout, ended.stderr) == (5, "", "")


def test_nothing_is_left_of_containers(real: Engine, image: str) -> None:
    """Nor of one that could not be made."""
    assert run(real, image, "true").code == 0
    with pytest.raises(EngineError, match=r"the container could not be made: .*no-such-image"):
        run(real, "no-such-image:1", "true")
    assert list_containers(real, RUN) == []
