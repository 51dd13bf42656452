"""An index that is silent: whoever asks it can be interrupted, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Timer
from typing import TYPE_CHECKING

import pytest

from orchestrator.index.fetch import Fetcher
from orchestrator.index.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Iterator

MATRIX = Path(sys.executable).with_name("matrix")
FILE = """\
version: 1
name: m
axes: {python: ["3.12"]}
defaults: {requirements: app.txt, libc: glibc, platform: linux/amd64}
"""


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Give an index that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


def address_of(listener: socket.socket) -> str:
    """Give the address of an index."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}/simple"


@pytest.fixture
def hanging_up() -> Iterator[None]:
    """Let a closed terminal end what is started, also where whoever started the tests has switched that off, as nohup does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hanging_up")
@pytest.mark.parametrize("command", ["lock", "preflight"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_command_that_waits_for_an_index_is_interrupted_once(
    tmp_path: Path, silent: socket.socket, command: str, name: str
) -> None:
    """It ends at once with 130, and says so without a traceback; the resolver's files are gone."""
    (tmp_path / "passing").mkdir()
    (tmp_path / "matrix.yaml").write_text(FILE)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "app.txt").write_text("app\n")
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_")) and "proxy" not in name.lower()
    }
    places = {"UV_CACHE_DIR": "uv", "MATRIX_CACHE_DIR": "cache", "TMPDIR": "passing", "HOME": "."}
    own |= {variable: str(tmp_path / place) for variable, place in places.items()}
    environment = {**own, "UV_DEFAULT_INDEX": address_of(silent)}
    with subprocess.Popen(
        [MATRIX, command], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        asking, _ = silent.accept()
        began = time.monotonic()
        with asking:
            process.send_signal(signal.Signals[name])
            out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert (process.returncode, out, err) == (130, "", f"\nmatrix: {name}: no answer is waited for any more\n")
    assert list((tmp_path / "passing").iterdir()) == []
    assert not (tmp_path / "matrix.lock").exists()


def test_a_file_of_a_silent_index_is_not_waited_for_after_an_interruption(silent: socket.socket) -> None:
    """What asks without uv has no process to end."""
    cancel = Event()
    timer = Timer(0.2, cancel.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Fetcher(Sources(), cancel).get(f"{address_of(silent)}/app/", "*/*", 10_000)
    assert time.monotonic() - began < 10
    timer.join()
