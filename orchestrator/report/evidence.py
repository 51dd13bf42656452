"""What lies beside a stored run's record: each cell's logs, and where its time went."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import Struct

from orchestrator.errors import StoreError
from orchestrator.tracing.stored import load_waterfall

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.record import CellRecord
    from orchestrator.store import RunFolder
    from orchestrator.tracing.waterfall import Waterfall

_LOGS = ("build.log", "smoke.log", "progress.jsonl", "trace.json", "result.json")
_TRACES_BYTES = 64 * 1024**2  # of all cells together


class Log(Struct, frozen=True):
    """A file of a cell, and how a report leads to it."""

    name: str
    href: str
    size: str


class Evidence(Struct, frozen=True):
    """What a report can show of a cell besides its record."""

    logs: tuple[Log, ...] = ()
    waterfall: Waterfall | None = None
    problem: str | None = None  # why a trace that is there is not shown


EvidenceOf = Callable[["CellRecord"], Evidence]


def no_evidence(_cell: CellRecord) -> Evidence:
    """Give nothing: a record alone is a report too."""
    return Evidence()


def find_evidence(run: RunFolder, beside: Path) -> EvidenceOf:
    """Look into a run's folder, cell by cell as a report asks; links lead there from the folder `beside`."""
    return _Folder(run, os.path.relpath(run.path, beside)).evidence_of


class _Folder:
    """A run's folder while a report reads it: so much of its traces, and no more, that a report of any run is soon there."""

    def __init__(self, run: RunFolder, way: str) -> None:
        self._run = run
        self._way = way
        self._read_bytes = 0

    def evidence_of(self, cell: CellRecord) -> Evidence:
        trace = self._run.trace_path(cell.id)
        sizes = self._sizes_of_files(trace.parent)
        way = os.path.join(self._way, trace.parent.relative_to(self._run.path))  # noqa: PTH118  # keeps `..` as it is
        logs = tuple(Log(name, quote(f"{way}/{name}"), _size_of(sizes[name])) for name in _LOGS if sizes.get(name))
        if trace.name not in sizes:
            return Evidence(logs)
        # Cells that did not end as expected may take what is kept for them besides.
        limit = _TRACES_BYTES if cell.as_expected else 2 * _TRACES_BYTES
        if self._read_bytes + sizes[trace.name] > limit:
            return Evidence(logs, problem=f"the run's traces are too large for one page; `matrix trace` shows {cell.id}")
        self._read_bytes += sizes[trace.name]
        try:
            return Evidence(logs, load_waterfall(self._run, cell))
        except StoreError as error:
            return Evidence(logs, problem=str(error).replace(f"{self._run.path}{os.sep}", ""))

    def _sizes_of_files(self, folder: Path) -> dict[str, int]:
        """List a folder's own files: a link may lead anywhere, and is no file of the run, nor is what lies behind one."""
        if not folder.is_dir() or not folder.resolve().is_relative_to(self._run.path.resolve()):
            return {}
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file(follow_symlinks=False)}


def _size_of(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{-(-size_bytes // 1000)} kB"  # noqa: PLR2004  # 1 MB
