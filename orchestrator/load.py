"""This machine: which processor it has, and how busy it is with other work while nothing of ours is built."""

from __future__ import annotations

import time
from pathlib import Path

_STAT, _CPUS = Path("/proc/stat"), Path("/proc/cpuinfo")
_LOOK_S = 0.1
_IDLE = slice(3, 5)  # idle, and waiting for a disk


def cpu_model() -> str | None:
    """Name the processor; None where the system does not tell."""
    try:
        lines = _CPUS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def foreign_load() -> float | None:
    """Give how many cores were busy over a short while; None where the system does not tell."""
    before = _read()
    if before is None:
        return None
    time.sleep(_LOOK_S)  # what is asked is how busy it is over a while
    after = _read()
    if after is None:
        return None
    ticks = [now - then for now, then in zip(after, before, strict=True)]
    total = sum(ticks)
    return (total - sum(ticks[_IDLE])) / total * _cores() if total else None


def _read() -> list[int] | None:
    try:
        return [int(word) for word in _STAT.read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return None


def _cores() -> int:
    return sum(line.startswith("cpu") for line in _STAT.read_text(encoding="ascii").splitlines()) - 1
