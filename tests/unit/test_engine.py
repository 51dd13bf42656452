"""The engine: found, asked, and explained when it is silent."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.docker import process
from orchestrator.docker.engine import ask_engine, connect, describe_unlimited, explain_silence, find_client
from orchestrator.docker.process import Exit, Output
from orchestrator.errors import EngineError, ExitCode
from tests.unit.docker_fake import FakeDocker, make_engine, make_which

if TYPE_CHECKING:
    from pathlib import Path

INFO = {
    "ServerVersion": "28.1.0",
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"]],
    "NCPU": 2,
    "MemTotal": 8_000_000_000,
    "OSType": "linux",
    "Architecture": "x86_64",
    "CgroupVersion": "2",
    "ClientInfo": {"Context": "default", "Plugins": [{"Name": "compose"}, {"Name": "buildx", "Version": "v0.23.0"}]},
}


def with_plugins(plugins: object) -> str:
    """Write what docker says of itself and its engine, with these plugins."""
    return json.dumps({**INFO, "ClientInfo": {"Context": "default", "Plugins": plugins}})


@pytest.fixture(autouse=True)
def _client_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", make_which(found=True))


def use(monkeypatch: pytest.MonkeyPatch, fake: FakeDocker) -> FakeDocker:
    """Put a fake docker in the place of the real one."""
    monkeypatch.setattr(process, "run", fake)
    return fake


def test_an_engine_that_answers_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version, store, machine and platform are read once, from the engine itself."""
    use(monkeypatch, FakeDocker(info=json.dumps(INFO), context_inspect="unix:///var/run/docker.sock\n"))
    assert connect() == make_engine(storage="overlay2", containerd_store=False)


def test_an_engine_is_asked_once_beside_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked early is not asked again; why it could not be asked is said when the answer is wanted."""
    fake = use(monkeypatch, FakeDocker(info=json.dumps(INFO), context_inspect="unix:///var/run/docker.sock\n"))
    assert connect(asked=ask_engine()) == make_engine(storage="overlay2", containerd_store=False)
    assert len(fake.did("info")) == 1

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(process, "run", refuse)
    monkeypatch.setenv("DOCKER_CONTEXT", "another")
    with pytest.raises(BlockingIOError, match="no more processes"):
        connect(asked=ask_engine())


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_buildx_is_started_itself_where_docker_says_where_it_lies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int
) -> None:
    """Docker asks each of its plugins what it is before it starts one, which takes longer than a cached build's own work."""
    plugin = tmp_path / "docker-buildx"
    plugin.touch(mode)
    use(monkeypatch, FakeDocker(info=with_plugins([{"Name": "buildx", "Version": "v0.23.0", "Path": str(plugin)}])))
    assert connect().buildx_argv == ((str(plugin),) if mode == 0o755 else ("/usr/bin/docker", "buildx"))


def test_an_engine_with_containerds_store_and_elsewhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """How images are kept, and whether the engine is on this machine, decides how they are moved."""
    info = {
        **INFO,
        "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
        "Architecture": "riscv64",
        "CgroupVersion": "",
    }
    use(monkeypatch, FakeDocker(info=json.dumps(info)))
    monkeypatch.setenv("DOCKER_HOST", "tcp://build:2375")
    engine = connect()
    assert (engine.containerd_store, engine.is_local, engine.platform, engine.cgroup) == (True, False, "linux/riscv64", "v1")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, ""),
        ({"CpuCfsQuota": True, "MemoryLimit": True, "PidsLimit": True}, ""),
        ({"CpuCfsQuota": False}, "this engine cannot limit processors: checks in containers run without"),
        (
            {"CpuCfsQuota": False, "MemoryLimit": False, "PidsLimit": False},
            "this engine cannot limit memory, processes and processors: checks in containers run without",
        ),
    ],
)
def test_an_engine_says_what_it_cannot_limit(monkeypatch: pytest.MonkeyPatch, said: dict[str, bool], words: str) -> None:
    """One without root on a kernel with cgroup v1 limits nothing; one that does not say so can."""
    use(monkeypatch, FakeDocker(info=json.dumps({**INFO, **said}), context_inspect="unix:///var/run/docker.sock\n"))
    assert describe_unlimited(connect()) == words


@pytest.mark.parametrize(
    ("logs", "product"),
    [(["json-file", "local", "journald"], "Docker"), (["k8s-file", "none", "passthrough", "journald"], "Podman")],
)
def test_podman_is_not_taken_for_docker(monkeypatch: pytest.MonkeyPatch, logs: list[str], product: str) -> None:
    """It answers docker's questions, with versions of its own; these are the ways to keep logs that both name."""
    use(monkeypatch, FakeDocker(info=json.dumps({**INFO, "Plugins": {"Log": logs}})))
    assert connect().product == product


def test_without_a_client_the_way_to_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No docker command is an engine error with what to install."""
    monkeypatch.setattr(shutil, "which", make_which(found=False))
    with pytest.raises(EngineError, match="no 'docker' command is on the PATH; install Docker Engine with buildx") as caught:
        find_client()
    assert caught.value.exit_code is ExitCode.ENGINE


@pytest.mark.parametrize(
    ("plugins", "words"),
    [
        (None, "docker has no buildx; install the package docker-buildx"),
        ([], "docker has no buildx"),
        ([{"Name": "compose", "Version": "v2.30.0"}], "docker has no buildx"),
        ([{"Name": "buildx", "Version": "nonsense"}], "docker has no buildx"),
        ([{"Name": "buildx", "Version": "v0.12.1"}], "buildx v0.12.1 is too old; 0.13.0 or newer is needed"),
    ],
)
def test_a_buildx_that_will_not_do_is_named(plugins: object, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing or old buildx is told apart, with the version that is needed."""
    use(monkeypatch, FakeDocker(info=with_plugins(plugins)))
    with pytest.raises(EngineError, match=words):
        connect()


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("v0.23.0", "0.23.0"),
        ("v0.13", "0.13"),
        ("v0.30.1-desktop.1", "0.30.1-desktop.1"),
        ("0.13.1+ds1-3", "0.13.1+ds1-3"),
        ("v1.0.0", "1.0.0"),
    ],
)
def test_every_way_to_write_a_version_is_read(said: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distributions and Docker write versions of their own."""
    use(monkeypatch, FakeDocker(info=with_plugins([{"Name": "buildx", "Version": said}])))
    assert connect().buildx == version


def test_a_silent_engine_is_explained_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client says of the engine is passed on, with the address and what to do."""
    info = json.dumps({"ServerVersion": "", "ServerErrors": ["Cannot connect to the Docker daemon"]})
    use(monkeypatch, FakeDocker(info=info))
    with pytest.raises(EngineError) as caught:
        connect()
    assert str(caught.value) == explain_silence("Cannot connect to the Docker daemon", "unix:///var/run/docker.sock")


def test_where_none_is_needed_a_silent_engine_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client and buildx are enough for a builder elsewhere; one that answers is used all the same."""
    client = {"Context": "far", "Plugins": [{"Name": "buildx", "Version": "v0.23.0"}]}
    use(monkeypatch, FakeDocker(info=json.dumps({"ServerVersion": "", "ServerErrors": ["no"], "ClientInfo": client})))
    engine = connect(is_needed=False)
    assert (engine.answers, engine.version, engine.buildx, engine.context) == (False, "", "0.23.0", "far")
    use(monkeypatch, FakeDocker(info=with_plugins([])))
    with pytest.raises(EngineError, match="docker has no buildx"):
        connect(is_needed=False)
    use(monkeypatch, FakeDocker(info=json.dumps(INFO), context_inspect="unix:///var/run/docker.sock\n"))
    assert connect(is_needed=False).answers


def test_an_engine_that_hangs_is_told_from_one_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer in time is said to be that."""
    use(monkeypatch, FakeDocker(info=Exit(None, timed_out=True)))
    with pytest.raises(EngineError, match="did not answer within 30 s; restart it and try again"):
        connect()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "permission denied while trying to connect",
            "no permission to talk to the engine at unix:///s; join its group (`sudo usermod",
        ),
        (
            "Cannot connect",
            "no engine answers at unix:///s: Cannot connect; start it (`sudo systemctl start docker`), set DOCKER_HOST",
        ),
        ("  ", "no engine answers at unix:///s: no reason given; start it"),
        (
            "Error response from daemon: client version 1.24 is too old. Minimum supported API version is 1.44",
            "the engine at unix:///s and docker speak no version of its API in common: Error response from daemon: client version",
        ),
        (
            "Cannot connect to the Docker daemon at unix:///s. Is the docker daemon running?",
            "no engine answers at unix:///s: Cannot connect to the Docker daemon at unix:///s; start it",
        ),
    ],
)
def test_silence_has_a_cause_and_a_cure(words: str, said: str) -> None:
    """Why no engine answers, and the command to type."""
    assert explain_silence(words, "unix:///s").startswith(said)


OVER_SSH = (
    'error during connect: Get "http://docker.example.com/v1.51/info": command [ssh -l me -- build docker system dial-stdio] has '
    "exited with exit status 255, make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr="
)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("me@build: Permission denied (publickey).", "me@build: Permission denied (publickey)."),
        ("@@@ WARNING @@@\nHost key verification failed.", "Host key verification failed."),
        ("ssh: connect to host build port 22: Connection refused", "ssh: connect to host build port 22: Connection refused"),
    ],
)
def test_silence_behind_ssh_is_said_in_the_words_of_ssh(said: str, words: str) -> None:
    """The engine's group is no help for a key that is not accepted."""
    cure = "see that ssh gets there without a question, and that `docker version` answers there"
    assert explain_silence(OVER_SSH + said, "ssh://me@build") == f"no engine answers at ssh://me@build: {words}; {cure}"


@pytest.mark.parametrize(
    "words",
    [
        'error during connect: Get "https://127.0.0.1:2376/v1.51/info": remote error: tls: certificate required',
        "Error response from daemon: Client sent an HTTP request to an HTTPS server.",
        "Failed to initialize: unable to resolve docker endpoint: open /certificates/ca.pem: no such file or directory",
    ],
)
def test_silence_for_want_of_certificates_names_what_tells_docker_of_them(words: str) -> None:
    """To start an engine that runs is no cure."""
    cure = "see that DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or docker's context, name certificates that go with its own"
    assert explain_silence(words, "tcp://b:2376") == f"no engine answers at tcp://b:2376: {words.rstrip('.')}; {cure}"


def test_a_context_that_does_not_exist_is_named_and_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine was asked; what docker says of it on both its ways is said once."""
    words = 'Failed to initialize: unable to resolve docker endpoint: context "gone": context not found: open /meta.json: no file'
    info = json.dumps({**INFO, "ServerVersion": "", "ServerErrors": [words]})
    use(monkeypatch, FakeDocker(info=info, context_inspect=(1, words)))
    with pytest.raises(EngineError, match=r"^docker's context 'gone' does not exist; `docker context ls` lists those that do, "):
        connect()


def test_what_docker_says_twice_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its answer, and on standard error."""
    words = "Error response from daemon: no."
    monkeypatch.setattr(
        process, "run", lambda *_, **__: Output(Exit(1), json.dumps({**INFO, "ServerVersion": "", "ServerErrors": [words]}), words)
    )
    with pytest.raises(EngineError, match=r"docker.sock: Error response from daemon: no; start it"):
        connect()


@pytest.mark.parametrize(
    ("buildx", "can"),
    [("0.13.1+ds1", False), ("0.16.2", False), ("0.17.0", True), ("0.29.1+ds1", True), ("1.0", True), ("dev", True)],
)
def test_an_old_bake_builds_something_else(buildx: str, can: bool) -> None:  # noqa: FBT001  # what is known of a version
    """It knows neither a target's network nor what it may read; of a version without a number the newest is expected."""
    assert replace(make_engine(storage="", containerd_store=True), buildx=buildx).can_bake is can
