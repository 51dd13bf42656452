"""The engine: is one there, which is it, and what can it do."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.asking import beside
from orchestrator.docker import process
from orchestrator.docker.installed import installation, recall_client, remember_client
from orchestrator.errors import EngineError
from orchestrator.strict import parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

MIN_BUILDX = (0, 13, 0)  # the first with --progress=rawjson
_BAKING = (0, 17, 0)  # the first whose bake takes a cell's network, and is told what it may read
_ANSWER_S = 30.0
_QUICK_S = 10.0
_USUAL_ENDPOINT = "unix:///var/run/docker.sock"
_LIMITS = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "processors"}  # by what an engine says of them
_PODMANS_LOG = "k8s-file"  # the way to keep a container's output that Podman alone has: it does not give its name
_PLATFORM = "DOCKER_DEFAULT_PLATFORM"
_OURS_TO_SAY = ("OTEL_", "DOCKER_CLI_OTEL_", "TRACEPARENT", "TRACESTATE", _PLATFORM)  # how their names begin
_NO_CONTEXT = re.compile(r'context "([^"]+)": context not found')
_NO_VERSION = re.compile(r"client version \S+ is too (?:new|old)")
_OF_TLS = re.compile(r"\btls: |\bx509: |HTTPS server|HTTP response to HTTPS|resolve docker endpoint: open \S+\.pem")
_OF_SSH = "stderr="  # behind it is what ssh, or docker at its other end, has said
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?\S*")


class Engine(Struct, frozen=True):
    """A Docker Engine that answers, and the client that talks to it."""

    docker: str
    buildx_argv: tuple[str, ...]
    version: str
    buildx: str
    context: str
    storage: str
    containerd_store: bool
    cpus: int
    memory_bytes: int
    platform: str
    cgroup: str
    endpoint: str  # where the client finds it
    answers: bool = True  # a remote builder needs the client only
    unlimited: tuple[str, ...] = ()  # what its kernel, or whoever started it without root, keeps it from limiting
    product: str = "Docker"

    @property
    def is_local(self) -> bool:
        """Tell whether it answers, and on this machine."""
        return self.answers and self.endpoint.startswith(("unix://", "npipe://"))

    @property
    def can_bake(self) -> bool:
        """Tell whether a bake of buildx's builds what a build of its own would."""
        return (_parse_version(self.buildx) or _BAKING) >= _BAKING


class Answer(Struct, frozen=True):
    """What the client and the engine say of themselves; what was said instead when they do not."""

    info: dict[str, Any]
    ok: bool = True
    error: str = ""
    timed_out: bool = False


def ask_engine() -> Future[Answer]:
    """Ask the client and the engine about themselves, beside other work."""
    return beside(lambda: _ask(find_client()))


def _ask(docker: str) -> Answer:
    """Ask docker, which asks the engine; or the engine alone, where it is on this machine and docker has answered before."""
    name = installation(docker)
    if client := recall_client(name):
        from orchestrator.docker.api import talking  # noqa: PLC0415  # it takes a while, and not every answer needs it

        with suppress(EngineError), talking(_client_only(docker, client), within_s=_QUICK_S) as talk:  # docker words it better
            if isinstance(info := talk.ask("GET", "/info"), dict):
                return Answer({**info, "ClientInfo": client})
    output = process.run([docker, "info", "--format", "{{json .}}"], timeout_s=_ANSWER_S)
    answer = Answer(parse_object(output.stdout), output.ok, output.stderr.strip(), output.exit.timed_out)
    client = answer.info.get("ClientInfo") or {}
    if answer.ok and _known_endpoint(client).startswith("unix://"):
        remember_client(name, client)
    return answer


def connect(*, is_needed: bool = True, asked: Future[Answer] | None = None) -> Engine:
    """Find the engine that the user's environment names, or say what is missing.

    Where none is needed and none answers, only what concerns the client is known.
    """
    docker = find_client()
    answer = asked.result() if asked else _ask(docker)
    info = answer.info
    client = info.get("ClientInfo") or {}
    plugin = _buildx_of(client) if client else {}  # without it docker said nothing at all: see below
    if not info.get("ServerVersion") and plugin and not is_needed:
        return _client_only(docker, client)
    if not answer.ok or not info.get("ServerVersion"):
        errors = dict.fromkeys(_without_question(str(one)) for one in (*(info.get("ServerErrors") or ()), answer.error))
        raise EngineError(explain_silence(" ".join(filter(None, errors)), _endpoint(docker, client), timed_out=answer.timed_out))
    status = {str(key): str(value) for key, value in info.get("DriverStatus") or ()}
    return Engine(
        docker=docker,
        buildx_argv=_argv_of(plugin, docker),
        version=str(info["ServerVersion"]),
        buildx=_version_of(plugin),
        context=str(client.get("Context") or "default"),
        storage=str(info.get("Driver", "")),
        containerd_store=status.get("driver-type", "").startswith("io.containerd.snapshotter"),
        cpus=int(info.get("NCPU") or 0),
        memory_bytes=int(info.get("MemTotal") or 0),
        platform=_platform(str(info.get("OSType", "linux")), str(info.get("Architecture", ""))),
        cgroup=f"v{info.get('CgroupVersion') or '1'}",
        endpoint=_endpoint(docker, client),
        unlimited=tuple(word for name, word in _LIMITS.items() if info.get(name) is False),
        product="Podman" if _PODMANS_LOG in ((info.get("Plugins") or {}).get("Log") or ()) else "Docker",
    )


def _client_only(docker: str, client: dict[str, Any]) -> Engine:
    plugin = _buildx_of(client)
    return Engine(
        docker=docker,
        buildx_argv=_argv_of(plugin, docker),
        version="",
        buildx=_version_of(plugin),
        context=str(client.get("Context") or "default"),
        storage="",
        containerd_store=False,
        cpus=0,
        memory_bytes=0,
        platform="",
        cgroup="",
        endpoint=_known_endpoint(client),
        answers=False,
    )


def find_client() -> str:
    """Find the docker command."""
    docker = shutil.which("docker")
    if docker is None:
        message = (
            "no 'docker' command is on the PATH; install Docker Engine with buildx, or run `make engine` in a checkout of matrix"
        )
        raise EngineError(message)
    return docker


def _buildx_of(client: dict[str, Any]) -> dict[str, Any]:
    """Find buildx among docker's plugins, or say that it is missing or too old."""
    plugin: dict[str, Any] = next((plugin for plugin in client.get("Plugins") or () if plugin.get("Name") == "buildx"), {})
    version = str(plugin.get("Version", ""))
    found = _parse_version(version)
    needed = ".".join(map(str, MIN_BUILDX))
    if found is None:
        message = (
            "docker has no buildx; install the package docker-buildx (Debian, Ubuntu) or docker-buildx-plugin (Docker's own), "
            f"version {needed} or newer"
        )
        raise EngineError(message)
    if found < MIN_BUILDX:
        message = f"buildx {version} is too old; {needed} or newer is needed (it writes the progress that matrix measures)"
        raise EngineError(message)
    return dict(plugin)


def _parse_version(text: str) -> tuple[int, ...] | None:
    found = _VERSION.match(text)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def _version_of(plugin: dict[str, Any]) -> str:
    return str(plugin.get("Version", "")).partition(" ")[0].removeprefix("v")


def _argv_of(plugin: dict[str, Any], docker: str) -> tuple[str, ...]:
    """Start buildx itself where docker says where it lies: docker would first ask each of its plugins what it is."""
    path = str(plugin.get("Path", ""))
    return (path,) if path and os.access(path, os.X_OK) else (docker, "buildx")


def describe_unlimited(engine: Engine) -> str:
    """Say what an engine cannot limit; nothing of one that can limit all."""
    words = " and ".join(filter(None, [", ".join(engine.unlimited[:-1]), *engine.unlimited[-1:]]))
    return f"this engine cannot limit {words}: checks in containers run without" if words else ""


def explain_silence(words: str, endpoint: str, *, timed_out: bool = False) -> str:  # noqa: PLR0911  # one for each kind of cause
    """Say why no engine answers and what to do about it."""
    if timed_out:
        return f"the engine at {endpoint} did not answer within {_ANSWER_S:.0f} s; restart it and try again"
    if found := _NO_CONTEXT.search(words):
        return (
            f"docker's context '{found[1]}' does not exist; `docker context ls` lists those that do, "
            "DOCKER_CONTEXT or `docker context use` chooses one"
        )
    if _NO_VERSION.search(words):
        return f"the engine at {endpoint} and docker speak no version of its API in common: {words}; see DOCKER_API_VERSION"
    if endpoint.startswith("ssh://"):
        said = process.last_line(words.rpartition(_OF_SSH)[2]) or "no reason given"
        cure = "see that ssh gets there without a question, and that `docker version` answers there"
        return f"no engine answers at {endpoint}: {said}; {cure}"
    if _OF_TLS.search(words):
        return (
            f"no engine answers at {endpoint}: {_without_question(words)}; see that DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, "
            "or docker's context, name certificates that go with its own"
        )
    if "permission denied" in words.lower():
        return (
            f"no permission to talk to the engine at {endpoint}; join its group "
            "(`sudo usermod -aG docker $USER`, then log in anew) or run as root"
        )
    return (
        f"no engine answers at {endpoint}: {_without_question(words) or 'no reason given'}; "
        "start it (`sudo systemctl start docker`), set DOCKER_HOST, or run `make engine` in a checkout of matrix"
    )


def _without_question(words: str) -> str:
    """Leave out what docker asks whoever reads it: what to do is said here."""
    return words.strip().removesuffix("Is the docker daemon running?").rstrip(" .")


def _endpoint(docker: str, client: dict[str, Any]) -> str:
    """Give the address that the client would use; only of a context that somebody made does it have to be asked."""
    if known := _known_endpoint(client):
        return known
    answer = process.run([docker, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], timeout_s=_ANSWER_S)
    return answer.stdout.strip() or _USUAL_ENDPOINT


def _known_endpoint(client: dict[str, Any]) -> str:
    return os.environ.get("DOCKER_HOST") or (_USUAL_ENDPOINT if client.get("Context") == "default" else "")


def _platform(system: str, machine: str) -> str:
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7"}
    return f"{system}/{names.get(machine, machine)}"


def describe_passed_over() -> str:
    """Say that docker's own choice of a platform is not ours; nothing where there is none."""
    found = os.environ.get(_PLATFORM)
    words = "where matrix.yaml says no `platform`, a cell is built for what its builder is"
    return f"{_PLATFORM}={found} is passed over: {words}" if found else ""


def child_environment(**extra: str) -> Mapping[str, str]:
    """Give the environment of a buildx child: ours, without OpenTelemetry's variables and another platform.

    With an exporter in both buildx's and the builder's environment, every span
    of the client would arrive twice. For which platform a cell is built its
    settings say, or its builder is. It lives for a moment: to look for garbage
    as often as Go does by itself takes an eighth of its processor time.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS_TO_SAY)}
    return {"GOGC": "400", **kept, **extra}
