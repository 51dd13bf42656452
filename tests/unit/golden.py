"""Golden files: what people and machines read, kept word for word under tests/golden."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden"


def assert_golden(name: str, text: str) -> None:
    """Compare a text with the golden file of that name.

    After a change that is meant, `UPDATE_GOLDEN=1 pytest tests/unit tests/views`
    writes nearly all golden files anew, and any other test its own; what `git
    diff tests/golden` then shows is what users will see change.
    """
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    assert path.is_file(), f"{path} is not there; UPDATE_GOLDEN=1 writes it"
    assert text == path.read_bytes().decode(), f"{path.name} differs; UPDATE_GOLDEN=1 accepts the change"
