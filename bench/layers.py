"""Times a first look into a layer against `gzip -dc LAYER | tar -t`, in turn on the same layer, and prints the ratio."""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.layers.archive import unpack
from orchestrator.layers.index import make_index
from orchestrator.layers.stack import stack_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 0.6
_WORDS = 4096


def make_layer(path: Path, *, size_bytes: int, files: int) -> None:
    """Write a layer as images have it: many small files that pack well, some large ones that do not."""
    chance = random.Random(1)  # noqa: S311  # the same layer every time is the point
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz_", k=chance.randint(2, 12))) for _ in range(_WORDS)]
    text = b" ".join(chance.choices(words, k=400_000))
    noise = b"".join(chance.choice((chance.randbytes(400), bytes(300), text[:900])) for _ in range(10_000))
    small = size_bytes // 2 // files
    large = max(files // 100, 1)
    with gzip.open(path, "wb", compresslevel=6) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        for at in range(files):
            is_large = at % 100 == 0
            size = size_bytes // 2 // large if is_large else chance.randint(1, 2 * small)
            source = noise if is_large else text
            start = chance.randrange(max(len(source) - size, 1))
            entry = tarfile.TarInfo(f"usr/lib/python3.13/site-packages/package{at // 100}/part{at % 7}/module{at}.py")
            entry.size = len(source[start : start + size])
            archive.addfile(entry, _Bytes(source[start : start + size]))


class _Bytes:
    """Bytes that tarfile reads once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        part = self._data[self._at : len(self._data) if size < 0 else self._at + size]
        self._at += len(part)
        return part


class Cost(Struct, frozen=True):
    """What something took."""

    wall_s: float
    cpu_s: float


def time_pipe(layer: Path) -> Cost:
    """Time the plain pipe."""
    began, used = time.perf_counter(), _cpu_of_children()
    with (
        subprocess.Popen(["gzip", "-dc", layer], stdout=subprocess.PIPE) as unpacking,  # noqa: S603, S607  # as users type it
        subprocess.Popen(["tar", "-t"], stdin=unpacking.stdout, stdout=subprocess.DEVNULL) as listing,  # noqa: S607  # as above
    ):
        if unpacking.stdout:
            unpacking.stdout.close()
        codes = listing.wait(), unpacking.wait()
    if any(codes):
        message = f"the pipe failed: {codes}"
        raise RuntimeError(message)
    return Cost(time.perf_counter() - began, _cpu_of_children() - used)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def time_index(layer: Path) -> Cost:
    """Time a first look: unpacked, indexed and put upon each other, with nothing remembered."""
    began, used = time.perf_counter(), time.process_time()
    with layer.open("rb") as blob:
        index = make_index(unpack(blob))
    if index.problem:
        raise RuntimeError(index.problem)
    stack_layers([index])
    return Cost(time.perf_counter() - began, time.process_time() - used)


def compare(layer: Path, rounds: int) -> tuple[list[Cost], list[Cost]]:
    """Time both in turn, so that what else the machine does meets both."""
    ours, pipe = [], []
    time_index(layer)  # imports, and the disk's cache
    for _ in range(rounds):
        ours.append(time_index(layer))
        pipe.append(time_pipe(layer))
    return ours, pipe


def median_cpu(costs: Sequence[Cost]) -> float:
    """Give the middle of the CPU times, which other work on the machine changes little."""
    return statistics.median(cost.cpu_s for cost in costs)


def main() -> int:
    """Make a layer, or take one; print both medians, their ratio, and the most memory that was used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layer", nargs="?", type=Path, help="a layer packed with gzip; without one, one is made")
    parser.add_argument("--megabytes", type=int, default=290)
    parser.add_argument("--files", type=int, default=15_000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="matrix-bench-") as folder:
        layer = asked.layer or Path(folder, "layer.tar.gz")
        if asked.layer is None:
            make_layer(layer, size_bytes=asked.megabytes * 1_000_000, files=asked.files)
        ours, pipe = compare(layer, asked.rounds)
    walls = [[cost.wall_s for cost in costs] for costs in (ours, pipe)]
    ratio = statistics.median(walls[0]) / statistics.median(walls[1])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"first look: {statistics.median(walls[0]):.2f} s (of {len(ours)}: {min(walls[0]):.2f} to {max(walls[0]):.2f})\n"
        f"gzip -dc LAYER | tar -t: {statistics.median(walls[1]):.2f} s ({min(walls[1]):.2f} to {max(walls[1]):.2f})\n"
        f"ratio: {ratio:.2f}, allowed: {LIMIT}; of CPU time: {median_cpu(ours) / median_cpu(pipe):.2f}\n"
        f"most memory: {memory:.0f} MiB\n"
    )
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
