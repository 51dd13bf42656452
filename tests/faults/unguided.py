"""A kind of file, damaged or repeated or generated, in a process of its own.

python -m tests.faults.unguided KIND WAY INPUTS RESULT
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.faults.generated import damages_of, files_of, repeats_of
from tests.faults.kinds import KINDS
from tests.faults.watch import IN_MEMORY, Watched

if TYPE_CHECKING:
    from tests.faults.kinds import Kind

_AT_ONCE = 2000  # hypothesis remembers all that it tried; after so many it begins anew with another seed


def main() -> None:
    """Try all files of one way."""
    name, way, count, result = sys.argv[1:]
    kind, watched = KINDS[name], Watched()
    with TemporaryDirectory(prefix="matrix-files-", dir=IN_MEMORY) as folder:
        if way == "generated":
            generate(kind, watched, int(count), Path(folder))
        else:
            for _, data in damages_of(kind) if way == "damaged" else repeats_of(kind):
                watched.try_one(kind, data, Path(folder))
    Path(result).write_text(watched.dump())


def generate(kind: Kind, watched: Watched, count: int, folder: Path) -> None:
    """Let hypothesis make so many files of a kind."""

    def try_one(data: bytes) -> None:
        watched.try_one(kind, data, folder)

    for number in itertools.count():
        left = count - watched.tried
        if left <= 0:
            return
        few = settings(
            max_examples=min(left, _AT_ONCE),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        few(seed(number)(given(files_of(kind))(try_one)))()


if __name__ == "__main__":
    main()
