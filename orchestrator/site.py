"""`matrix site`: a folder of pages on all stored runs, brought up to date; each page is there whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator import __version__
from orchestrator.disk import disk_errors, write_whole
from orchestrator.errors import StoreError, UsageError
from orchestrator.names import folder_name
from orchestrator.paths import held
from orchestrator.pieces import cut_record
from orchestrator.report.data import render_csv
from orchestrator.report.evidence import Evidence, find_evidence
from orchestrator.report.html import render_html
from orchestrator.report.junit import render_junit
from orchestrator.report.markdown import render_markdown
from orchestrator.report.overview import LeftOut, RunLine, make_line, render_overview
from orchestrator.report.pages import fingerprint
from orchestrator.report.trendlines import make_trends
from orchestrator.strict import dump_json, read_json
from orchestrator.trends import load_history_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.store import Reports, RunFolder

_STATE = "site.json"  # what the pages were made from; it also marks the folder as one of ours
_DRAFT = re.compile(r"\.draft-[0-9a-f]{8}")
_MOST_RUNS = 1000
_MOST_LOG_BYTES = 1024**2  # of one file
_MOST_LOGS_BYTES = 32 * 1024**2  # of a run
_LOGS = ("build.log", "smoke.log")
_SEEN = ("run.json", "result.json", "trace.json", *_LOGS)  # a change of these is a change of the page


class Kept(Struct, frozen=True):
    """What a run's page was made from, and what the front page says of the run."""

    stamp: str
    line: RunLine


class _State(Struct, frozen=True):
    """What lies beside the pages: what each of them was made from."""

    runs: dict[str, Kept]


class Made(Struct, frozen=True):
    """What became of a site."""

    written: int
    unchanged: int
    removed: int
    left_out: tuple[LeftOut, ...]


def make_site(reports: Reports, folder: Path) -> Made:
    """Bring a site up to date: new and changed runs are written, those that are gone are removed, all others stay."""
    ids = reports.run_ids()
    if not ids:
        message = f"there are no runs in {reports.runs}; `matrix run{reports.options}` makes one"
        raise UsageError(message)
    _check_ours(folder)
    with held(f"site-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}"), disk_errors(folder):
        folder.joinpath("runs").mkdir(parents=True, exist_ok=True)
        return _update(reports, folder, ids)


def _check_ours(folder: Path) -> None:
    """Write into no folder that holds anything else: pages of runs that are gone are removed."""
    if folder.exists() and not folder.is_dir():
        message = f"{folder} is a file; name a folder"
        raise UsageError(message)
    if folder.joinpath("runs").is_symlink():
        message = f"{folder / 'runs'} is a link; name a folder that is matrix's own"
        raise UsageError(message)
    if folder.exists() and not folder.joinpath(_STATE).is_file() and any(folder.iterdir()):
        message = f"{folder} holds files that are no site of matrix's; name an empty folder, or one that is not there"
        raise UsageError(message)


def _update(reports: Reports, folder: Path, ids: list[str]) -> Made:
    known = _load_state(folder / _STATE)
    if not folder.joinpath(_STATE).exists():
        write_whole(folder / _STATE, _dump_state({}))  # from now on the folder is ours, whatever happens
    kept: dict[str, Kept] = {}
    left_out: list[LeftOut] = []
    written = 0
    for run_id in ids[-_MOST_RUNS:]:
        run = reports.run(run_id)
        stamp = _stamp_of(run, reports.path)
        had = known.get(run_id)
        if stamp is not None and had is not None and had.stamp == stamp and (folder / "runs" / run_id / "index.html").is_file():
            kept[run_id] = had
            continue
        try:
            kept[run_id] = Kept(stamp or "", _write_run(run, folder, reports.path))
            written += 1
        except StoreError as error:
            left_out.append(LeftOut(run_id, str(error).replace(f"{reports.path}{os.sep}", "")))
    history = load_history_of(reports, sorted(kept))
    overview = render_overview(
        [one.line for one in kept.values()], left_out, max(0, len(ids) - _MOST_RUNS), make_trends(history) if history else None
    )
    write_whole(folder / "index.html", overview.encode(errors="replace"))
    removed = _remove_others(folder, kept)
    write_whole(folder / _STATE, _dump_state(kept))
    return Made(written, len(kept) - written, removed, tuple(left_out))


def _stamp_of(run: RunFolder, root: Path) -> str | None:
    """Name what a page would be made from; None where a link leads out of the reports folder."""
    if not _is_inside(run.path / "run.json", root):
        return None
    seen = [__version__, fingerprint()]
    for folder, folders, files in os.walk(run.path):
        folders.sort()
        for name in sorted(set(files) & set(_SEEN)):
            path = Path(folder, name)
            about = path.lstat()
            seen.append(f"{path.relative_to(run.path)} {about.st_size} {about.st_mtime_ns}")
    return hashlib.sha256("\n".join(seen).encode(errors="replace")).hexdigest()


def _is_inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _write_run(run: RunFolder, folder: Path, root: Path) -> RunLine:
    """Write a run's page and files under another name, then put them in the place of what was there."""
    if not _is_inside(run.path / "run.json", root):
        message = "a link leads out of the reports folder, and is not followed"
        raise StoreError(message)
    record = replace(run.load(), id=run.id)
    draft = folder / f".draft-{secrets.token_hex(4)}"
    draft.mkdir()
    try:
        line = _fill(draft, run, record)
        final = folder / "runs" / run.id
        if final.exists():
            final.replace(folder / f".draft-{secrets.token_hex(4)}")  # removed with whatever else an earlier try has left
        draft.replace(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return line


def _fill(draft: Path, run: RunFolder, record: RunRecord) -> RunLine:
    copied = _copy_logs(draft, run, record)
    found = find_evidence(run, run.path)

    def evidence_of(cell: CellRecord) -> Evidence:
        evidence = found(cell)
        return replace(evidence, logs=tuple(log for log in evidence.logs if (cell.id, log.name) in copied))

    texts = {
        "report.md": render_markdown(record),
        "report.csv": render_csv(record),
        "junit.xml": render_junit(record),
    }
    for name, text in {"index.html": render_html(record, evidence_of), **texts}.items():
        draft.joinpath(name).write_bytes(text.encode(errors="replace"))
    with draft.joinpath("run.json").open("wb") as file:  # as large as all others together
        file.writelines(chain(cut_record(record), [b"\n"]))
    return make_line(record, (*texts, "run.json"))


def _copy_logs(draft: Path, run: RunFolder, record: RunRecord) -> set[tuple[str, str]]:
    """Take the logs along that are small, of the cells that did not end as expected first."""
    room = _MOST_LOGS_BYTES
    copied = set()
    for cell in sorted(record.cells, key=lambda cell: cell.as_expected):
        for path in _logs_of(run, cell):
            size = path.stat().st_size
            if size > min(room, _MOST_LOG_BYTES):
                continue
            room -= size
            target = draft / "cells" / folder_name(cell.id) / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes()[:size])
            copied.add((cell.id, path.name))
    return copied


def _logs_of(run: RunFolder, cell: CellRecord) -> Iterator[Path]:
    folder = run.path / "cells" / folder_name(cell.id)
    for name in _LOGS:
        path = folder / name
        if path.is_file() and not path.is_symlink() and _is_inside(path, run.path):
            yield path


def _remove_others(folder: Path, kept: Mapping[str, Kept]) -> int:
    """Remove the pages of runs that are gone, and what an earlier try has left half done."""
    gone = [path for path in folder.joinpath("runs").iterdir() if path.name not in kept]
    drafts = [path for path in folder.iterdir() if _DRAFT.fullmatch(path.name)]
    for path in (*gone, *drafts):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return len(gone)


def _load_state(path: Path) -> Mapping[str, Kept]:
    """Read what the pages were made from; what cannot be read means that all are made anew."""
    try:
        return read_json(path.read_bytes(), _State).runs
    except (OSError, ValueError):
        return {}


def _dump_state(kept: dict[str, Kept]) -> bytes:
    return dump_json(_State(kept), indent=1) + b"\n"
