"""Texts of matrix.yaml that were checked and found right: to import what checks them takes longer than most commands do."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from msgspec import Struct

import orchestrator
from orchestrator.cached import Shelf
from orchestrator.model import BuilderSpec, Plan  # noqa: TC001  # msgspec looks at them when it reads one
from orchestrator.rules import Rules  # noqa: TC001  # as above
from orchestrator.strict import dump_json, read_json

_SHELF = Shelf("matrices", b"matrix-checked-1\n", max_bytes=16 * 1024**2, max_entry_bytes=1024**2)
_MOST_CELLS = 1000  # a plan of more takes long to write, and the rest of its run longer


class Checked(Struct, frozen=True):
    """What a text of matrix.yaml says: the plan that follows from it, and what its cells are built with and judged by."""

    plan: Plan
    builder: BuilderSpec
    rules: Rules
    traces_ui: str | None = None


def recall(text: str) -> Checked | None:
    """Give what this text says, where it was found right before. Files that it names may be gone since then."""
    body = _SHELF.load(_name(text))
    if body is None:
        return None
    try:
        return read_json(bytes(body), Checked)
    except ValueError:  # the nouns have changed
        return None


def remember(text: str, checked: Checked) -> None:
    """Keep what a text says."""
    if len(checked.plan.cells) <= _MOST_CELLS:
        _SHELF.save(_name(text), dump_json(checked))


def _name(text: str) -> str:
    """Name a text as this very program understands it: while somebody works on it, its version stays the same."""
    root = Path(orchestrator.__file__).parent
    modules = [item for folder in (root, root / "config", root / "plan") for item in os.scandir(folder) if item.is_file()]
    made_by = sorted(f"{item.name} {item.stat().st_size} {item.stat().st_mtime_ns}" for item in modules)
    return hashlib.sha256("\0".join([orchestrator.__version__, *made_by, text]).encode()).hexdigest()
