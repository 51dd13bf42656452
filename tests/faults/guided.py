"""A fuzzer that watches which of our code a file reaches, and goes on from those that reach more.

    python -m tests.faults.guided KIND INPUTS RESULT

It never returns from its loop, so it is a process of its own that leaves what it
found in the file RESULT.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["orchestrator", "yaml", "tomllib"], enable_loader_override=False):
    from tests.faults.kinds import KINDS
    from tests.faults.watch import Watched

_LONGEST = 20_000


def main() -> None:
    """Fuzz one kind of file until enough were tried."""
    name, count, result = sys.argv[1:]
    kind, watched = KINDS[name], Watched()
    folder = Path(result).parent / "fuzz"
    folder.mkdir()
    corpus = folder / "corpus"
    corpus.mkdir()
    for at, seed in enumerate(kind.seeds):
        corpus.joinpath(f"seed-{at}").write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in kind.words))
    place = folder / "files"
    place.mkdir()

    def try_one(data: bytes) -> None:
        watched.try_one(kind, data, place)
        if watched.tried >= int(count):
            Path(result).write_text(watched.dump())
            os._exit(0)  # the fuzzer has no other end

    options = [
        f"-dict={words}",
        f"-max_len={_LONGEST}",
        "-len_control=0",
        "-seed=7",
        "-verbosity=0",
        "-timeout=60",
        "-rss_limit_mb=2000",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], try_one)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
