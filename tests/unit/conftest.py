"""What every unit test runs under: no way to start a process or to reach a network, and a cache of its own."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBERS = itertools.count()
_STARTERS = ("system", "fork", "forkpty", "posix_spawn", "posix_spawnp", "execv", "execve")
_REACHERS = ("connect", "connect_ex", "sendto")

settings.register_profile(
    "unit",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "8")),  # more in `make test`
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("unit")


def _refuse(what: str) -> Callable[..., NoReturn]:
    def refuse(*_args: object, **_named: object) -> NoReturn:
        message = f"a unit test must not {what}; move it to tests/integration or give it a fake at the door"
        raise AssertionError(message)

    return refuse


@pytest.fixture(autouse=True)
def _no_process_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to start a process or to open a connection, in words that say where such a test belongs."""
    monkeypatch.setattr(subprocess.Popen, "__init__", _refuse("start a process"))
    for name in _STARTERS:
        monkeypatch.setattr(os, name, _refuse("start a process"))
    for name in _REACHERS:
        monkeypatch.setattr(socket.socket, name, _refuse("open a connection"))
    monkeypatch.setattr(socket, "getaddrinfo", _refuse("look up a name"))


@pytest.fixture(autouse=True)
def _cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Point the cache into pytest's temporary folder, and forget what the caller's shell has set."""
    monkeypatch.setenv("MATRIX_CACHE_DIR", str(tmp_path_factory.getbasetemp() / f"cache-{next(_NUMBERS)}"))
    for name in ("GITHUB_ACTIONS", "MATRIX_STAND_IN_BASES", "DOCKER_HOST", "NO_COLOR", "FORCE_COLOR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
