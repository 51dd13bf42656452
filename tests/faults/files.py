"""The drill of hostile files: every kind of file that others may have written, damaged, generated and fuzzed.

    python -m tests.faults.files --inputs 100000 [KIND…]

Half of the inputs of a kind are made by hypothesis, half by a fuzzer that
watches what they reach; besides, each real file is cut at every byte, and each
word repeated until the file is large. A fault is anything but an answer: an
exception that is no sentence, more than 5 s, more than 1 GB.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.kinds import KINDS, NAMED
from tests.faults.table import Row, load_rows, save_rows
from tests.faults.watch import IN_MEMORY, MOST_BYTES, SLOWEST_S

DRILL = "hostile files"
WAYS = ("damaged", "repeated", "generated", "guided")
_OTHERS_SHARE = 5  # kinds that the promise does not name get so many times less
_AT_ONCE_S = 3 * 3600
_FOUND = Path(__file__).with_name("found")


@dataclass(slots=True)
class Result:
    """What became of the files of one kind, over all ways of making them."""

    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    peak_bytes: int = 0
    faults: dict[str, bytes] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Take in what a process has left."""
        data = json.loads(text)
        self.tried += data["tried"]
        self.outcomes.update(data["outcomes"])
        self.slowest_s = max(self.slowest_s, data["slowest_s"])
        self.peak_bytes = max(self.peak_bytes, data["peak_bytes"])
        self.faults |= {name: bytes.fromhex(found) for name, found in data["faults"].items()}
        if data["peak_bytes"] > MOST_BYTES:
            self.faults["more than 1 GB"] = b""


def main() -> int:
    """Run the drill on the kinds that are named, or on all; 1 when a fault was found, and each is kept."""
    parser = argparse.ArgumentParser(description="Let matrix read hostile files.")
    parser.add_argument("--inputs", type=int, default=100_000, help="of each kind that the promise names")
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND")
    parser.add_argument("--at-once", type=int, default=2, help="kinds side by side")
    asked = parser.parse_args()
    has_faults = False
    with ThreadPoolExecutor(asked.at_once) as pool:
        sizes = [asked.inputs if name in NAMED else asked.inputs // _OTHERS_SHARE for name in asked.kinds]
        for name, result in zip(asked.kinds, pool.map(_drill, asked.kinds, sizes), strict=True):
            has_faults = has_faults or bool(result.faults)
            others = [row for row in load_rows() if row.drill == DRILL and row.tried != name]
            table = save_rows(DRILL, [*others, _row(name, result)])
            for words, found in result.faults.items():
                sys.stderr.write(f"{name}: {words}: {_keep(name, found)}\n")
    sys.stdout.write(f"{table}\n")
    return int(has_faults)


def _keep(name: str, found: bytes) -> Path:
    """Keep a file that was not answered as it should be, for whoever mends it."""
    _FOUND.mkdir(exist_ok=True)
    file = _FOUND / f"{name.replace(' ', '-').replace('/', '-')}-{hashlib.sha256(found).hexdigest()[:8]}"
    file.write_bytes(found)
    return file


def _drill(name: str, inputs: int) -> Result:
    """Try one kind, each way in a process of its own, whose memory is then known."""
    result = Result()
    with TemporaryDirectory(prefix="matrix-drill-", dir=IN_MEMORY) as folder:
        for way in WAYS:
            left = Path(folder, way)
            module = "guided" if way == "guided" else "unguided"
            words = [name, str(inputs // 2), str(left)] if way == "guided" else [name, way, str(inputs - inputs // 2), str(left)]
            ended = subprocess.run(
                [sys.executable, "-m", f"tests.faults.{module}", *words],
                capture_output=True, check=False, timeout=_AT_ONCE_S,
            )  # fmt: skip
            if left.is_file():
                result.add(left.read_text())
            else:
                result.faults[
                    f"{way}: the process ended with {ended.returncode}: {ended.stderr[-300:].decode(errors='replace')}"
                ] = b""
    sys.stderr.write(f"{name}: {result.tried:,} files, {len(result.faults)} faults\n")
    return result


def _row(name: str, result: Result) -> Row:
    outcomes = ", ".join(f"{count:,} {word}" for word, count in sorted(result.outcomes.items()))
    seen = f"{outcomes}; longest {result.slowest_s:.1f} s of at most {SLOWEST_S:.0f}, most memory {result.peak_bytes // 10**6} MB"
    return Row(DRILL, name, result.tried, "; ".join(result.faults) or "nothing", seen)


if __name__ == "__main__":
    sys.exit(main())
