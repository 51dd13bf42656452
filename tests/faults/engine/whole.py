"""What must be true of a run's files whatever happened to it: each is there as a whole, or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.test_run import leftovers
from tests.faults.engine.test_kill import still_running

if TYPE_CHECKING:
    from tests.e2e.conftest import Project


def check_files(project: Project) -> None:
    """Read everything that a run left."""
    for path in project.latest.rglob("*"):
        assert not path.name.startswith("."), f"half-written: {path.name}"
        if path.suffix == ".json" and path.name != "trace.json":
            json.loads(path.read_bytes())
        if path.name in {"events.jsonl", "trace.json"}:
            for line in path.read_bytes().splitlines():
                json.loads(line)
    assert [path.name for path in project.folder.joinpath("passing").iterdir()] == [], "passing files are left"


def check_ended(project: Project, *, engine: bool = True) -> None:
    """See that nothing of a run goes on, in the engine or outside."""
    left = still_running(project)
    assert left == [], f"still running: {left}"
    if engine:
        left = leftovers(project)
        assert left == [], f"left in the engine: {left}"


def outcomes(record: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Give each cell's status and reason."""
    return {cell["id"]: (cell["status"], cell["reason"]) for cell in record["cells"]}
