"""Several cells in one buildx: the file and the command line of a bake, and whose each line of its progress is."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from orchestrator.baking import make_target
from orchestrator.docker.build import label_cell, make_metadata, make_outputs, render_secret_argv
from orchestrator.docker.installed import help_of
from orchestrator.measure.progress import split_step
from orchestrator.strict import items_of, parse_json, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.docker.build import BuildMetadata, Target
    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Engine
    from orchestrator.model import Cell

_OWNER = re.compile(r"\[(?P<target>cell\d+)(?:\] | (?=[^\]]*\]))")
_EXECUTION, _ON = "--execution", "defer-error"  # as github.com/docker/buildx/pull/4044 has them
_SAID_OF_A_STEP = ("statuses", "logs", "warnings")


def render_bake_file(cells: Mapping[str, tuple[Cell, Target]], builder: Builder, matrix: str, folder: Path) -> str:
    """Write the targets that build cells, by the names that they have here."""
    return json.dumps({"target": {name: _make_target(*one, builder, matrix, folder) for name, one in cells.items()}})


def _make_target(cell: Cell, target: Target, builder: Builder, matrix: str, folder: Path) -> dict[str, Any]:
    settings = cell.settings
    return make_target(
        settings,
        folder.absolute(),
        labels=dict((*settings.labels, *label_cell(matrix, cell))),
        secret=[word for secret in settings.secrets for word in render_secret_argv(secret, folder)[1:]],
        output=make_outputs(builder, target),
    )


def find_ways_on(engine: Engine) -> tuple[str, ...]:
    """Give the words by which this buildx's bake builds the other targets when one fails; none where it cannot.

    No version is asked for: it is told by what bake says of its options.
    """
    words = help_of(engine.docker, [*engine.buildx_argv, "bake"])
    return (f"{_EXECUTION}={_ON}",) if _EXECUTION in words and _ON in words else ()


def render_bake_argv(
    buildx: Sequence[str], builder: Builder, file: Path, metadata: Path, names: Sequence[str], ways_on: Sequence[str] = ()
) -> list[str]:
    """Write the command of a bake; contexts and secrets lie wherever matrix.yaml says."""
    argv = [*buildx, "bake", "--builder", builder.name, "--progress=rawjson", "--metadata-file", str(metadata), "--file", str(file)]
    return [*argv, *ways_on, "--allow=fs.read=*", "--allow=network.host", *names]


def make_untraced_parent() -> str:
    """Give a parent for a bake that BuildKit takes no spans for: it would keep those of all its builds with each of them."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def load_all_metadata(path: Path) -> dict[str, BuildMetadata]:
    """Read what buildx says of each build that has succeeded; a bake that ends with the first that fails says nothing of any."""
    try:
        found = parse_object(path.read_bytes())
    except OSError:
        return {}
    return {name: make_metadata(data) for name, data in found.items() if isinstance(data, dict)}


class Sorter:
    """Tells the lines of a bake apart: each build gets the lines that it would have printed by itself.

    Bake puts a target's name before that of each step. What is said of a step
    later names it by its digest, which builds may have in common: then each of
    them is told, and what was printed is told once.
    """

    def __init__(self) -> None:
        """Know no step yet."""
        self._owners: dict[str, set[str]] = defaultdict(set)
        self._printed: set[int] = set()
        self._running: dict[str, float] = {}

    def count_running(self, longer_than_s: float) -> int:
        """Count the builds of which a step has been run for longer than that: one that the cache holds is over in a moment."""
        latest = time.monotonic() - longer_than_s
        return len({owner for step, began in self._running.items() if began <= latest for owner in self._owners[step]})

    def sort(self, line: bytes) -> Iterator[tuple[str, bytes]]:
        """Give what a line tells each build."""
        try:
            data = parse_json(line)
        except ValueError:
            return
        parts: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        for vertex in items_of(data, "vertexes"):
            if found := _OWNER.match(str(vertex.get("name", ""))):
                rest = str(vertex["name"])[found.end() :]
                own = vertex | {"name": rest if found[0].endswith("] ") else f"[{rest}"}
                self._note(found["target"], own)
                parts[found["target"]]["vertexes"].append(own)
        for kind in _SAID_OF_A_STEP:
            for said in items_of(data, kind):
                if kind == "logs" and not self._is_new(said):
                    continue
                for owner in self._owners.get(str(said.get("vertex", "")), ()):
                    parts[owner][kind].append(said)
        for owner, part in parts.items():
            yield owner, json.dumps(part).encode()

    def _note(self, owner: str, vertex: dict[str, Any]) -> None:
        digest, step = str(vertex.get("digest", "")), split_step(str(vertex["name"]))
        self._owners[digest].add(owner)
        if vertex.get("completed"):
            self._running.pop(digest, None)
        elif vertex.get("started") and step and not step.instruction.startswith("FROM "):
            self._running.setdefault(digest, time.monotonic())

    def _is_new(self, log: dict[str, Any]) -> bool:
        before = len(self._printed)
        self._printed.add(hash((str(log.get("vertex")), str(log.get("timestamp")), str(log.get("data")))))
        return len(self._printed) > before
