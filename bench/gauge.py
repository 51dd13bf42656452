"""Runs a command and says what it cost: time, CPU time of itself and its children, memory and processes of the whole tree."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from contextlib import suppress
from math import inf
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Self

from msgspec import Struct, field

from bench.nouns import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOOK_S = 0.05  # between two looks at the memory
_CONNECTOR = 11  # the kernel's netlink protocol that tells of processes
_LISTEN, _IGNORE = 1, 2
_FORK, _EXIT = 0x00000001, 0x80000000
_OF_EVENT = 36  # bytes of headers before an event
_OF_KIND = 16  # bytes before what is particular to a kind


class CommandFailedError(RuntimeError):
    """A command that was to be timed did not do its work."""


def run(argv: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path, codes: Sequence[int] = (0,)) -> Cost:
    """Run a command to its end; one that ends otherwise than it should has cost nothing that can be compared."""
    watch = _Watch()
    with log.open("wb") as output, watch:
        busy_s = _busy_s()
        began = time.perf_counter()
        pid = _start(argv, folder, environment, output)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        wall_s = time.perf_counter() - began
        busy_s = _busy_s() - busy_s
        own_cpu_s = _own_cpu_s(pid)
        _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in codes:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        message = f"{' '.join(argv)[:200]} ended with {code}; its log, {log}, ends with:\n{last}"
        raise CommandFailedError(message)
    return Cost(
        wall_s=round(wall_s, 4),
        cpu_s=round(used.ru_utime + used.ru_stime, 4),
        own_cpu_s=round(own_cpu_s, 4),
        machine_cpu_s=round(busy_s, 4),
        peak_bytes=watch.peak_bytes or used.ru_maxrss * 1024,
        processes=watch.started or None,
    )


def _start(argv: Sequence[str], folder: Path, environment: Mapping[str, str], output: IO[bytes]) -> int:
    child = subprocess.Popen(  # noqa: S603  # an argument list
        argv, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )
    child.returncode = 0  # it is waited for here, not there
    return child.pid


def _busy_s() -> float:
    """Read for how long all processors of this machine together have been busy."""
    user, nice, system, _idle, _waiting, irq, softirq = map(int, Path("/proc/stat").read_text(encoding="utf-8").split()[1:8])
    return (user + nice + system + irq + softirq) / _TICKS


def _own_cpu_s(pid: int) -> float:
    """Read a process's own CPU time, without its children's, while it has ended and is not waited for yet."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class _Watch(Struct):
    """Counts the processes that come from this one, and the most memory that they had together.

    The kernel tells root of each process that starts; without that the count is
    unknown, and the memory that of the largest process.
    """

    started: int = 0
    peak_bytes: int = 0
    _alive: set[int] = field(default_factory=set)
    _socket: socket.socket | None = None
    _thread: Thread | None = None
    _over: bool = False

    def __enter__(self) -> Self:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _CONNECTOR)
            self._socket.bind((0, 1))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
            self._socket.settimeout(_LOOK_S)
            self._tell(_LISTEN)
        except OSError:
            self._socket = None
            return self
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is None or self._thread is None:
            return
        self._over = True
        self._thread.join()
        with suppress(OSError):
            self._tell(_IGNORE)
        self._socket.close()

    def _tell(self, word: int) -> None:
        message = struct.pack("=IIIIHHI", 1, 1, 0, 0, 4, 0, word)
        if self._socket is not None:
            self._socket.send(struct.pack("=IHHII", 16 + len(message), 3, 0, 0, os.getpid()) + message)

    def _watch(self) -> None:
        look_at, until = time.monotonic(), inf
        while self._socket is not None and time.monotonic() < until:
            if self._over and until == inf:
                until = time.monotonic() + _LOOK_S  # for what waits to be read; a busy machine has always more to tell
            try:
                self._take(self._socket.recv(4096))
            except TimeoutError:
                pass
            except OSError:  # more came than could be taken: the count would be wrong, and so would be the memory
                self.started = self.peak_bytes = 0
                return
            if time.monotonic() >= look_at:
                self.peak_bytes = max(self.peak_bytes, sum(map(_resident_bytes, self._alive)))
                look_at = time.monotonic() + _LOOK_S

    def _take(self, event: bytes) -> None:
        (kind,) = struct.unpack_from("=I", event, _OF_EVENT)
        at = _OF_EVENT + _OF_KIND
        if kind == _FORK:
            _, parent, pid, process = struct.unpack_from("=IIII", event, at)
            if pid == process and (parent == os.getpid() or parent in self._alive):
                self.started += 1
                self._alive.add(process)
        elif kind == _EXIT:
            pid, process = struct.unpack_from("=II", event, at)
            if pid == process:
                self._alive.discard(process)


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
