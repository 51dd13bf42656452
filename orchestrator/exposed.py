"""The stored runs within a build's context: what copies all of it copies them, too, and is another step after each run."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.contexts import find_ignore_file, load_ignore
from orchestrator.dockerfile import takes_from_context
from orchestrator.dockerignore import Ignore
from orchestrator.places import dockerfile_of, is_remote
from orchestrator.store import RUNS
from orchestrator.units import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.model import Cell

_SOME_FILE = "20260101T000000Z-000000/events.jsonl"  # of a run


def find_exposed(cells: Iterable[Cell], folder: Path, reports: Path) -> Iterator[str]:
    """Say of each context that holds the stored runs that its Dockerfile copies them; nothing in it is looked through."""
    settings_of = Counter(cell.settings for cell in cells if not is_remote(cell.settings.context))
    users = Counter[tuple[str, Path]]()
    for settings, number in settings_of.items():
        users[settings.context, dockerfile_of(settings, folder)] += number
    exposed = Counter[tuple[str, Path, str]]()
    for (context, dockerfile), number in users.items():
        root = folder / context
        runs = Path(os.path.relpath(os.path.realpath(reports / RUNS), os.path.realpath(root)))  # a link would be copied as one
        if runs.parts[:1] in ((), (os.pardir,)):
            continue
        with suppress(OSError, ValueError):  # of a file that cannot be read, or understood, the build tells
            if _is_taken((runs / _SOME_FILE).as_posix(), root, dockerfile):
                exposed[context, runs, os.path.relpath(find_ignore_file(root, dockerfile), folder)] += number
    for (context, runs, file), number in exposed.items():
        yield (
            f"{runs} lies in the context '{context}' of {count(number, 'cell')}, and no .dockerignore leaves it out: "
            f"a COPY of everything copies it; add the line '{runs.parent if runs.parent.parts else runs}' to {file}"
        )


def _is_taken(path: str, root: Path, dockerfile: Path) -> bool:
    """Tell whether a build is given a file of its context, and copies or mounts it."""
    ignore = Ignore(load_ignore(root, dockerfile))
    matched = ignore.nothing_matched
    for part in accumulate(path.split("/"), "{}/{}".format):
        matched = ignore.match(part, matched)
    return not ignore.leaves_out(matched) and takes_from_context(dockerfile.read_text(encoding="utf-8", errors="replace"), path)
