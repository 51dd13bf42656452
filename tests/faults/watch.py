"""One file after the other, watched: what was raised, how long it took, how much memory it needed."""

from __future__ import annotations

import json
import signal
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.kinds import Kind

SLOWEST_S = 5.0  # of CPU time would be a hang
MOST_BYTES = 1_000_000_000
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a disk would take most of the time


class HangError(BaseException):
    """A file took longer than any may; no `except Exception` of ours keeps it from being seen."""


@dataclass(slots=True)
class Watched:
    """What became of all files of a kind so far; faults are kept once for each place in the code, with the file."""

    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    faults: dict[str, bytes] = field(default_factory=dict)

    def try_one(self, kind: Kind, data: bytes, folder: Path) -> None:
        """Let matrix read one file."""
        began = time.process_time()
        self.tried += 1
        try:
            with _no_longer_than(SLOWEST_S):
                self.outcomes[kind.try_one(data, folder)] += 1
        except (Exception, HangError) as error:  # noqa: BLE001  # whatever it is, it is what is looked for
            self.faults.setdefault(_name(error), data)
        self.slowest_s = max(self.slowest_s, time.process_time() - began)

    def dump(self) -> str:
        """Write what was seen, and how much memory this process ever had, for the one that started it."""
        faults = {name: data.hex() for name, data in self.faults.items()}
        seen = {"tried": self.tried, "outcomes": self.outcomes, "slowest_s": self.slowest_s}
        return json.dumps({**seen, "peak_bytes": peak_bytes(), "faults": faults})


@contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> NoReturn:
        message = f"took more than {seconds} s"
        raise HangError(message)

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _name(error: BaseException) -> str:
    """Name a fault by what it is and where in our own code it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/orchestrator/" in frame.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} ({frames[-1].name})" if frames else "?"
    return f"{type(error).__name__} in {where}: {str(error)[:120]!r}"


def peak_bytes() -> int:
    """Give the most memory that this process ever had; getrusage would tell its parent's as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024
