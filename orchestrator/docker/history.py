"""What a builder remembers of its builds: their traces, as it exports them."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.disk import passing_folder
from orchestrator.docker import process
from orchestrator.docker.engine import child_environment
from orchestrator.errors import EngineError
from orchestrator.measure.progress import parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Engine

_TRACE = "application/vnd.buildkit.otlp.json.v0"
_ANSWER_S = 60.0
_MAX_BYTES = 512 * 1024**2  # of one export; a span takes about 2 kB
_MAX_DEPTH = 4  # of an index within an index


@dataclass(frozen=True, slots=True)
class BuilderHistory:
    """The builds that a builder still knows of."""

    engine: Engine
    builder: Builder
    folder: Path  # for what is read and not kept

    def export(self, refs: Sequence[str]) -> list[str]:
        """Give the traces of these builds as BuildKit wrote them; one may have spans of another in it.

        Several records in one command cost little more than one: starting
        buildx is most of it.
        """
        with passing_folder(self.folder) as folder:
            archive = folder / "history.tar.gz"
            words = ["--finalize", "--output", str(archive), *(ref.rpartition("/")[2] for ref in refs)]
            answer = self._ask("export", *words)
            if not archive.is_file():
                message = f"buildx does not export the trace of a build: {answer.stderr.strip()}"
                raise EngineError(message)
            try:
                return _read_traces(archive)
            except (tarfile.TarError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                message = f"buildx exported a record that cannot be read ({type(error).__name__}: {error})"
                raise EngineError(message) from error

    def failed_since(self, moment: datetime) -> list[str]:
        """Give the builds since a moment that did not succeed: of those buildx writes no reference down."""
        lines = self._ask("ls", "--no-trunc", "--format", "json").stdout.splitlines()
        records = [json.loads(line) for line in lines if line.startswith("{")]
        ended = [record for record in records if record.get("status") != "Completed"]
        return [str(record["ref"]) for record in ended if (made := parse_time(record.get("created_at"))) and made >= moment]

    def _ask(self, command: str, *words: str) -> process.Output:
        argv = [*self.engine.buildx_argv, "history", command, "--builder", self.builder.name, *words]
        answer = process.run(argv, env=child_environment(), timeout_s=_ANSWER_S)
        if not answer.ok:
            message = f"the builder's history cannot be had: {answer.stderr.strip() or f'no answer within {_ANSWER_S:.0f} s'}"
            raise EngineError(message)
        return answer


def _read_traces(archive: Path) -> list[str]:
    """Find the traces in an OCI layout, whose index may hold indexes."""
    files = _read_files(archive)
    left, found = [("index.json", 0)], []
    while left:
        name, depth = left.pop()
        document = json.loads(files[name])
        if depth < _MAX_DEPTH:
            left += [(_path_of(entry), depth + 1) for entry in document.get("manifests") or ()]
        traces = [layer for layer in document.get("layers") or () if layer.get("mediaType") == _TRACE]
        found += [files[_path_of(layer)].decode("utf-8", "replace") for layer in traces]
    return found


def _read_files(archive: Path) -> dict[str, bytes]:
    """Read the whole archive, from front to back, into memory and nowhere else."""
    files, room = {}, _MAX_BYTES
    with tarfile.open(archive, mode="r|*") as records:
        for member in records:
            file = records.extractfile(member) if member.isfile() else None
            if file is not None:
                room -= member.size
                if room < 0:
                    message = f"it holds more than {_MAX_BYTES // 1024**2} MiB"
                    raise ValueError(message)
                files[member.name] = file.read()
    return files


def _path_of(entry: dict[str, str]) -> str:
    return f"blobs/{entry['digest'].replace(':', '/')}"
