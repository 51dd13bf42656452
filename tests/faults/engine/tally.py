"""How often something was tried, and what was lost by it: counted to the end, then a row of the table, then a verdict."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.table import Row, save_rows

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Tally:
    """One fault, tried again and again."""

    times: int = 0
    lost: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def one(self, name: str = "") -> Iterator[None]:
        """Try once; what was promised and not held is written down, and the next try is made all the same."""
        self.times += 1
        try:
            yield
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self.lost.append(f"try {self.times}{f' ({name})' if name else ''}: {' '.join(str(error).split())[:2000]}")

    def words(self) -> str:
        """Say what was seen, and how often where it was not always the same."""
        if len(self.seen) == 1:
            return next(iter(self.seen))
        return "; ".join(f"{count} times {words}" for words, count in self.seen.most_common())

    def save(self, drill: str, tried: str, seen: str | None = None) -> None:
        """Write the row where drills are made in earnest, and fail when anything was lost."""
        lost = "nothing" if not self.lost else f"{len(self.lost)} times what was promised"
        if os.environ.get("DRILLS"):
            save_rows(f"{drill}: {tried}", [Row(drill, tried, self.times, lost, self.words() if seen is None else seen)])
        assert not self.lost, "\n".join(self.lost)
