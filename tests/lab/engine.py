"""A Docker Engine where none answers: from the distribution's packages, run from the cache, stopped by its id."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from tests.lab.cache import LabError, cache_folder, locked, run_step, say, timed
from tests.lab.debian import ROLLING, release, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

FORBID = "MATRIX_INSTALL_ENGINE"
_NEWER = ("docker.io", "docker-cli", "docker-buildx", "containerd")  # their libraries are on every supported release
_OWN = ("runc", "iptables", "tini")  # of this release: newer ones need a newer libc
_LIBRARIES = ("libip4tc2", "libip6tc2", "libmnl0", "libnetfilter-conntrack3", "libnfnetlink0", "libnftnl11", "libxtables12")
_START_S = 60.0
_STOP_S = 30.0
_LOOK_S = 0.05
MOST_BUILDS_KEPT = 25  # in an engine's history of builds, each with a trace: by itself it keeps all for two days
_MUCH_MEMORY = 10 * 1000**3  # free: with less of it the disk is the surer place
_BY_HAND = """no Docker Engine answers, and none may or can be brought up here. Type one of these:
  sudo systemctl start docker                      an engine that is installed
  sudo apt-get install docker.io docker-buildx     Ubuntu, Debian 14 or newer
  export DOCKER_HOST=ssh://user@machine            an engine elsewhere"""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One engine of the lab: where it keeps its things and which image store it has."""

    name: str = "engine"
    containerd_store: bool = True
    own_network: bool = False  # two engines in one network would take the bridge from each other
    starts_empty: bool = False  # nothing that takes long to make lies in it
    in_memory: bool = False  # where there is enough of it: each change of an engine waits for its disk
    exports: bool = False  # its BuildKit sends its spans to a collector by itself, as some users' builders do

    @property
    def folder(self) -> Path:
        """Give the folder that holds everything of this engine."""
        folder = cache_folder() / self.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def pid_file(self) -> Path:
        """Give the file that holds its process id while it runs."""
        return self.folder / "dockerd.pid"

    @property
    def environment(self) -> dict[str, str]:
        """Give the variables by which docker finds this engine, its client and buildx."""
        return {
            "PATH": os.pathsep.join([*_client_path(), os.environ["PATH"]]),
            "DOCKER_HOST": f"unix://{self.folder / 'docker.sock'}",
            "DOCKER_CONFIG": str(self.folder / "config"),
        }


MAIN = EngineSpec()
BENCH = EngineSpec("engine-bench", starts_empty=True)  # what lies in an engine costs time whenever something is removed from it
TINY = EngineSpec("engine-tiny", own_network=True, starts_empty=True, in_memory=True)
CLASSIC = EngineSpec("engine-classic", containerd_store=False, own_network=True, starts_empty=True, in_memory=True, exports=True)


def answers(environment: dict[str, str] | None = None) -> bool:
    """Tell whether an engine with buildx answers."""
    variables = {**os.environ, **(environment or {})}
    if shutil.which("docker", path=variables["PATH"]) is None:
        return False
    questions = (["docker", "version", "--format", "{{.Server.Version}}"], ["docker", "buildx", "version"])
    return all(
        subprocess.run(words, env=variables, capture_output=True, check=False, timeout=60).returncode == 0 for words in questions
    )


def running(spec: EngineSpec = MAIN) -> bool:
    """Tell whether the lab's engine runs."""
    try:
        pid = int(spec.pid_file.read_text())
        return b"dockerd" in Path("/proc", str(pid), "cmdline").read_bytes()
    except (OSError, ValueError):
        return False


@contextmanager
def engine(spec: EngineSpec = MAIN) -> Iterator[dict[str, str]]:
    """Give the variables of the engine that answers, or of one that lives as long as the block."""
    if answers():
        yield {}
        return
    started = start(spec)
    try:
        yield spec.environment
    finally:
        if started:
            stop(spec)


def ensure() -> dict[str, str]:
    """Give the variables of an engine that answers, and leave one that had to be started running."""
    if answers():
        return {}
    if start(MAIN):
        say("the engine goes on running; `make engine-stop` ends it")
    return MAIN.environment


def start(spec: EngineSpec) -> bool:
    """Start the lab's engine unless it runs; tell whether it was started by this call."""
    with locked(spec.name):
        if running(spec) and answers(spec.environment):
            return False
        _check_permission(spec)
        _check_network(spec)
        _write_configuration(spec)
        if spec.starts_empty:
            shutil.rmtree(spec.folder / "data", ignore_errors=True)
        with timed(f"starting a Docker Engine from {spec.folder}"):
            _start_daemon(spec)
        return True


def may_start() -> bool:
    """Tell whether an engine may be brought up here, and can work."""
    family = {release().get("ID"), *release().get("ID_LIKE", "").split()}
    return os.environ.get(FORBID) != "no" and os.geteuid() == 0 and bool(family & {"debian", "ubuntu"})


def _check_permission(spec: EngineSpec) -> None:
    if not may_start():
        raise LabError(_BY_HAND)
    if spec == MAIN and shutil.which("dockerd") is None:
        say(f"no Docker Engine answers: one is brought up from the distribution's packages ({FORBID}=no forbids it)")


def _check_network(spec: EngineSpec) -> None:
    """Never start a second engine in this machine's own network."""
    others = [other for other in (MAIN, BENCH) if other != spec and running(other)]
    if others and not spec.own_network:
        message = f"{others[0].name} runs already, and two would take each other's bridge; `make engine-stop` ends it"
        raise LabError(message)


def _is_ubuntu() -> bool:
    return release().get("ID") == "ubuntu"


def _packages() -> tuple[Path, Path]:
    """Unpack the engine, and what of this release it needs, into the cache."""
    return unpacked("docker", *_NEWER, suite=ROLLING), unpacked("docker-tools", *_OWN, *_LIBRARIES)


def _client_path() -> list[str]:
    if _is_ubuntu():
        return []
    return [str(_packages()[0] / "usr/bin")]


def _install_on_ubuntu() -> None:
    """Ubuntu has an engine with a buildx of use in its own archive."""
    words = ["apt-get", "install", "-y", "docker.io", "docker-buildx"]
    with locked("ubuntu"):  # engines are started beside one another
        run_step("apt-get install docker.io docker-buildx", words, log="ubuntu.log")


def _write_configuration(spec: EngineSpec) -> None:
    """Tell docker where buildx is, without a word in the user's own configuration."""
    config = spec.folder / "config"
    config.mkdir(exist_ok=True)
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker", "config.json")
    settings = json.loads(own.read_text()) if own.is_file() and own.parent != config else {}
    if not _is_ubuntu():
        settings["cliPluginsExtraDirs"] = [str(_packages()[0] / "usr/libexec/docker/cli-plugins")]
    (config / "config.json").write_text(json.dumps(settings))
    settings = {
        "features": {"containerd-snapshotter": spec.containerd_store},
        "builder": {"history": {"maxAge": "5m", "maxEntries": MOST_BUILDS_KEPT}},
    }
    (spec.folder / "daemon.json").write_text(json.dumps(settings))


def _daemon_environment() -> dict[str, str]:
    if _is_ubuntu():
        _install_on_ubuntu()
        return dict(os.environ)
    newer, own = _packages()
    (libraries,) = [folder.parent for folder in own.glob("usr/lib/*/xtables")]
    binaries = own / "usr/sbin"
    for name in ("iptables", "ip6tables", "iptables-save", "iptables-restore"):
        link = binaries / name
        if not link.is_symlink():
            link.symlink_to(f"{name.replace('tables', 'tables-nft', 1)}")
    init = own / "usr/bin/docker-init"
    if not init.is_symlink():
        init.symlink_to("tini-static")
    folders = [newer / "usr/sbin", newer / "usr/bin", binaries, own / "usr/bin"]
    return {
        **os.environ,
        "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
        "LD_LIBRARY_PATH": str(libraries),
        "XTABLES_LIBDIR": str(libraries / "xtables"),
    }


def _start_daemon(spec: EngineSpec) -> None:
    spec.folder.joinpath("docker.sock").unlink(missing_ok=True)  # of one that was killed
    variables = _daemon_environment()
    if spec.exports:
        variables |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    spec.pid_file.unlink(missing_ok=True)
    dockerd = shutil.which("dockerd", path=variables["PATH"]) or "dockerd"
    data = spec.folder / "data"
    argv = [
        *(["unshare", "--net"] if spec.own_network else []),
        *(_in_memory(data) if spec.in_memory and _memory_bytes() > _MUCH_MEMORY else []),
        dockerd,
        "--config-file",
        str(spec.folder / "daemon.json"),
        "--data-root",
        str(data),
    ]
    argv += ["--exec-root", str(spec.folder / "exec"), "--pidfile", str(spec.pid_file)]
    argv += ["--host", spec.environment["DOCKER_HOST"]]
    log = spec.folder / "dockerd.log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            argv,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until = time.monotonic() + _START_S
    while not (_listens(spec) and answers(spec.environment)):
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(_LOOK_S)
        if daemon.poll() is not None or time.monotonic() > until:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            message = f"the Docker Engine does not start; its log is {log}:\n{last}"
            raise LabError(message)


def _in_memory(data: Path) -> list[str]:
    """Give the words that start a program to which a folder is one in memory, gone when the program is."""
    data.mkdir(exist_ok=True)
    script = 'mount -t tmpfs tmpfs "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(data)]


def _memory_bytes() -> int:
    """Give how much memory could be had now."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _listens(spec: EngineSpec) -> bool:
    """Tell whether somebody is at the engine's socket: asking takes a hundred times as long."""
    with socket.socket(socket.AF_UNIX) as door:
        return door.connect_ex(spec.environment["DOCKER_HOST"].removeprefix("unix://")) == 0


def stop(spec: EngineSpec = MAIN) -> bool:
    """Stop the lab's engine by its process id; tell whether it ran."""
    with locked(spec.name):
        if not running(spec):
            return False
        pid = int(spec.pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + _STOP_S
        while running(spec) and time.monotonic() < until:
            _reap(pid)
        if running(spec):
            os.kill(pid, signal.SIGKILL)
        return True


def _reap(pid: int) -> None:
    """Wait a little for the daemon: it may be a child of this process, or of one long gone."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    Event().wait(0.1)
