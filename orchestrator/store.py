"""Run folders: written whole or not at all, read back at any time."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.disk import check_link, disk_errors, forget_drafts, write_link, write_pieces, write_whole
from orchestrator.errors import StoreError, UsageError, did_you_mean, unreadable
from orchestrator.names import folder_name, is_run_id, make_run_id
from orchestrator.paths import is_file, remove_folder, try_to_remove
from orchestrator.pieces import Sharing, cut_record
from orchestrator.record import CellRecord, RunRecord
from orchestrator.redact import Redactor
from orchestrator.stored import dump_record, load_cell, load_run, make_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.events import Event

RUNS = "runs"
_RECORD = "run.json"
LATEST = "latest"
SITE = "site"  # where a site is written unless somebody says where
BASELINES = "baselines.json"  # the run that each matrix's growth is held against, where somebody chose one
LARGEST_FILE = 256 * 1024**2  # of a cell, where files are copied from one run to another: logs and traces
_MAX_TRACE = 64 * 1024**2  # of one cell; a span takes about 1 KiB


class RunFolder:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is read or made."""
        self.path = path
        self.redactor = Redactor()
        self._lock = Lock()

    @property
    def id(self) -> str:
        """Give the run's id."""
        return self.path.name

    def leads_out(self, path: Path) -> bool:
        """Tell whether a link leads from a file of the run to somewhere else: a run may come from anywhere."""
        root = self.path.parent if self.path.is_symlink() else self.path
        return not path.resolve().is_relative_to(root.resolve())

    def _check(self, path: Path) -> Path:
        if self.leads_out(path):
            message = f"{path} is reached by a link that leads out of the run's folder, and is not followed"
            raise StoreError(message)
        return path

    def create(self) -> None:
        """Make the folder of a new run."""
        with disk_errors(self.path):
            self.path.mkdir(parents=True)

    def forget_drafts(self) -> None:
        """Remove half-written files, before a run that was killed goes on."""
        cells = self._check(self.path / "cells")
        for folder in (self.path, *(cells.iterdir() if cells.is_dir() else ())):
            if folder.is_dir() and not self.leads_out(folder):
                forget_drafts(folder)

    def cell(self, cell_id: str) -> Path:
        """Give a cell's own folder, made if need be."""
        folder = self._check(self.path / "cells" / folder_name(cell_id))
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def sample(self, cell_id: str, name: str) -> Path:
        """Give the folder of a build of a cell that was only timed."""
        folder = self._check(self.cell(cell_id) / "samples" / name)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def has_samples(self) -> bool:
        """Tell whether builds of the run were only timed."""
        return any(self.path.glob("cells/*/samples/*"))

    def save_text(self, name: str, text: str) -> Path:
        """Write a file of the run."""
        return self._write(self.path / name, text)

    def save_record(self, record: RunRecord) -> Path:
        """Write run.json."""
        pieces = map(self._hide, cut_record(record))
        return write_pieces(self._check(self.path) / _RECORD, chain(pieces, [b"\n"]))

    def save_cell(self, record: CellRecord) -> CellRecord:
        """Write a finished cell's result, which no kill can lose from then on; give it as it was written."""
        text = dump_record(record).decode()
        hidden = self.redactor.json(text)
        path = self._write(self.cell(record.id) / "result.json", hidden)
        return record if hidden == text else make_record(hidden.encode(), CellRecord, path)

    def _write(self, path: Path, text: str) -> Path:
        hide = self.redactor.json if path.suffix == ".json" else self.redactor.text
        return write_whole(self._check(path.parent) / path.name, hide(text).encode(errors="replace"))

    def _hide(self, piece: bytes) -> bytes:
        """Take out of a piece of JSON what is secret."""
        return self.redactor.json(piece.decode()).encode()

    def append_event(self, event: Event) -> None:
        """Add a line to the journal, out of our hands before the next thing happens."""
        line = {"at": event.at.isoformat(), "kind": event.kind}
        line |= {"cell": event.cell} if event.cell else {}
        text = self.redactor.json(json.dumps(line | event.data, ensure_ascii=False)) + "\n"
        path = self._check(self.path / "events.jsonl")
        with self._lock, disk_errors(self.path), path.open("ab", buffering=0) as journal:
            end = journal.seek(0, os.SEEK_END)
            data = text.encode(errors="replace")
            if journal.write(data) < len(data):  # half a line would spoil the next one too
                journal.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def load(self) -> RunRecord:
        """Read run.json, and the cells of a run that did not get to its end."""
        path = self._check(self.path / _RECORD)
        record = load_run(path)
        if record.finished_at is not None:
            return record
        return replace(record, cells=tuple(self.load_cells()), interrupted=True)

    def save_sbom(self, cell_id: str, text: str) -> Path:
        """Write what a cell's image is made of, as CycloneDX has it."""
        return self._write(self.cell(cell_id) / "sbom.cdx.json", text)

    def save_trace(self, cell_id: str | None, text: str) -> None:
        """Write the trace of a cell, or of the run itself."""
        if cell_id is not None:
            self.cell(cell_id)
        self._write(self.trace_path(cell_id), text)

    def read_trace(self, cell_id: str | None) -> str | None:
        """Read the trace of a cell, or of the run itself, as text; None when there is none. What is not a plain file is none."""
        path = self.trace_path(cell_id)
        try:
            if not path.is_file() or self.leads_out(path):
                return None
            if path.stat().st_size > _MAX_TRACE:
                message = f"{path} is too large to be the trace of a cell"
                raise StoreError(message)
            return path.read_bytes().decode()
        except OSError as error:
            raise unreadable(path, error) from error
        except UnicodeDecodeError as error:
            message = f"{path} is damaged: {error}"
            raise StoreError(message) from error

    def read_ends(self, cell_id: str, name: str, head_bytes: int, tail_bytes: int) -> str | None:
        """Read how a cell's log begins and ends, in whole lines; None when there is none. What is not a plain file is none."""
        path = self.path / "cells" / folder_name(cell_id) / name
        try:
            if not path.is_file() or self.leads_out(path):
                return None
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                if size <= head_bytes + tail_bytes:
                    return file.read().decode("utf-8", "replace")
                head = file.read(head_bytes).rpartition(b"\n")[0]
                file.seek(size - tail_bytes)
                tail = file.read(tail_bytes).partition(b"\n")[2]
        except OSError as error:
            raise unreadable(path, error) from error
        return f"{head.decode('utf-8', 'replace')}\n{tail.decode('utf-8', 'replace')}"

    def trace_path(self, cell_id: str | None) -> Path:
        """Say where the trace of a cell lies, or of the run itself, whether or not there is one."""
        if cell_id is None:
            return self.path / "trace.json"
        return self.path / "cells" / folder_name(cell_id) / "trace.json"

    def load_cell(self, cell_id: str) -> CellRecord | None:
        """Read the result of one cell from its own file, which is quicker than the whole run; None when there is none."""
        result = self.path / "cells" / folder_name(cell_id) / "result.json"
        if not result.is_file() or self.leads_out(result):
            return None
        return load_cell(result)

    def load_cells(self) -> Iterator[CellRecord]:
        """Read the results of all cells that have finished; a damaged one is as good as none."""
        sharing = Sharing()
        for result in sorted(self.path.glob("cells/*/result.json")):
            try:
                if not self.leads_out(result):
                    yield sharing.take(load_cell(result))
            except StoreError:
                continue


class Reports:
    """The folder in which all runs of a project are kept."""

    def __init__(self, path: Path, options: str = "") -> None:
        """Name the folder, and what to type after a command so that it finds this one; nothing is read or made."""
        self.path = path
        self.options = options

    @property
    def runs(self) -> Path:
        """Give the folder that has a folder for each run."""
        return self.path / RUNS

    def run(self, run_id: str) -> RunFolder:
        """Give the folder of a run by its whole id; nothing is read."""
        return RunFolder(self.runs / run_id)

    def own_paths(self) -> tuple[Path, ...]:
        """Name all that matrix itself writes here, while runs go on and between them."""
        return tuple(self.path / name for name in (RUNS, LATEST, BASELINES, SITE))

    def new_run(self) -> RunFolder:
        """Make the folder of a new run."""
        check_link(self.path / LATEST)
        folder = self.run(make_run_id(datetime.now(UTC)))
        folder.create()
        return folder

    def find(self, name: str) -> RunFolder:
        """Find a stored run by its id, the start of its id, `latest`, or the path of its folder or of its run.json."""
        ids = self.run_ids()
        is_path = os.sep in name or name in (os.curdir, os.pardir)
        folder = Path(name).parent if Path(name).name == _RECORD else Path(name)
        if is_file(folder / _RECORD) and (is_path or name not in ids):
            return RunFolder(folder.resolve())
        if is_path:
            message = f"'{name}' is not the folder of a run: there is no {folder / _RECORD}"
            raise UsageError(message)
        if not ids:
            message = f"there are no runs in {self.runs}; `matrix run{self.options}` makes one"
            raise UsageError(message)
        if name == LATEST:
            pointed = self._pointed_at()
            return self.run(pointed if pointed in ids else ids[-1])
        found = [run for run in ids if run.startswith(name)]
        if len(found) == 1:
            return self.run(found[0])
        if found:
            message = f"'{name}' is the start of {len(found)} runs; the newest is {found[-1]}"
        else:
            message = f"there is no run '{name}' in {self.runs}; the newest is {ids[-1]}{did_you_mean(name, ids)}"
        raise UsageError(message)

    def _pointed_at(self) -> str | None:
        """Give the run that `latest` points to: what was merged last is not what began last."""
        try:
            return (self.path / LATEST).readlink().name
        except OSError:
            return None

    def run_ids(self) -> list[str]:
        """List the stored runs, oldest first."""
        try:
            names = [item.name for item in self.runs.iterdir() if is_run_id(item.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise unreadable(self.runs, error) from error
        return sorted(name for name in names if is_file(self.runs / name / _RECORD, unless_hidden=False))

    def point_latest(self, run: RunFolder) -> None:
        """Let `latest` point to the newest run; two runs at once leave one of them. One that lies elsewhere is none of these."""
        if run.path.resolve().parent != self.runs.resolve():
            return
        write_link(self.path / LATEST, Path(RUNS, run.id))

    def remove_all(self, wanted: Callable[[str], bool]) -> tuple[int, list[str]]:
        """Remove the stored runs that are wanted gone; give how many there were, and why something could not be removed."""
        runs = [self.runs / run for run in self.run_ids() if wanted(run)]
        kept = [f"the stored run {why}" for run in runs if (why := try_to_remove(run, _remove_run))]
        gone = len(runs) - len(kept)
        return gone, [*kept, *(why for path in self._pointers() if (why := try_to_remove(path, Path.unlink)))]

    def _pointers(self) -> Iterator[Path]:
        """Name the files that are about runs which are not here any more."""
        if not self.run_ids():
            yield self.path / BASELINES
        if not (self.path / LATEST).exists():
            yield self.path / LATEST


def _remove_run(folder: Path) -> None:
    folder.unlink() if folder.is_symlink() else remove_folder(folder)
