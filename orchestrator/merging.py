"""`matrix merge`: the folders of several shards to the folder of one run, made anew each time and whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.baseline import find_baseline, wants_baseline
from orchestrator.disk import disk_errors
from orchestrator.errors import StoreError
from orchestrator.judge.run import judge_record
from orchestrator.merge import find_sources, merge_records
from orchestrator.names import folder_name
from orchestrator.report.files import save_reports
from orchestrator.store import LARGEST_FILE, RunFolder
from orchestrator.strict import parse_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from orchestrator.merge import Source
    from orchestrator.record import RunRecord
    from orchestrator.store import Reports

_LARGEST_JOURNAL = 32 * 1024**2  # a run of 2,000 cells takes four


def merge_runs(reports: Reports, parts: Sequence[RunFolder], baseline: str | None = None) -> tuple[RunFolder, RunRecord]:
    """Merge stored runs; the same parts make the same run, in the place of the one that they made before."""
    records = [part.load() for part in parts]
    record = _judge(reports, merge_records(records), baseline)
    sources = [(one, _folder_of(one, records, parts)) for one in find_sources(records)]
    folders = sorted({folder for _, folder in sources})
    place = reports.runs / record.id
    draft = RunFolder(place.with_name(f".{record.id}.{secrets.token_hex(4)}"))
    draft.create()
    try:
        with disk_errors(draft.path):
            for source, folder in sources:
                _copy_cells(folder, draft.path, {folder_name(cell) for cell in source.part.shard.cells})
            join_lines([folder / "events.jsonl" for folder in folders], draft.path / "events.jsonl", by="at")
            join_lines([folder / "trace.json" for folder in folders], draft.path / "trace.json")
        draft.save_record(record)
        save_reports(draft, record)
        with disk_errors(place):
            old = draft.path.with_name(f"{draft.path.name}-old")
            if place.is_symlink():
                place.unlink()  # what it leads to is not ours
            elif place.exists():
                place.rename(old)
            draft.path.rename(place)
            if old.exists():
                shutil.rmtree(old)
    finally:
        shutil.rmtree(draft.path, ignore_errors=True)
    run = RunFolder(place)
    reports.point_latest(run)
    return run, record


def _judge(reports: Reports, record: RunRecord, asked: str | None) -> RunRecord:
    """Judge a merged run as one that was never split: by its own rules, against the run that it grew from."""
    held_against = None
    if asked or wants_baseline(record.rules):
        held_against = find_baseline(reports, record.name, asked, selection=(record.only, record.skip), before=record.id)
    return judge_record(replace(record, baseline=held_against.id if held_against else None), held_against)


def _folder_of(source: Source, records: Sequence[RunRecord], parts: Sequence[RunFolder]) -> Path:
    return next(part.path for record, part in zip(records, parts, strict=True) if record is source.record)


def _copy_cells(part: Path, whole: Path, wanted: Collection[str]) -> None:
    """Copy what a part kept of its cells: plain files and folders, and no link to anywhere."""
    if (part / "cells").is_symlink():
        return
    for folder, names, files in os.walk(part / "cells", followlinks=False):
        is_top = Path(folder) == part / "cells"
        names[:] = [name for name in names if not Path(folder, name).is_symlink() and (name in wanted or not is_top)]
        target = whole / Path(folder).relative_to(part)
        target.mkdir(parents=True, exist_ok=True)
        for name in files:
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink() and file.stat().st_size <= LARGEST_FILE:
                shutil.copyfile(file, target / name)


def join_lines(files: Iterable[Path], target: Path, by: str | None = None) -> None:
    """Put the lines of several files into one, each once, sorted by a field where there is one."""
    lines = (line for file in files if file.is_file() and not file.is_symlink() for line in _lines_of(file))
    found = list(dict.fromkeys(lines))
    if by is not None:
        found.sort(key=lambda line: _field(line, by))
    if found:
        target.write_bytes(b"\n".join(found) + b"\n")


def _lines_of(file: Path) -> list[bytes]:
    if file.stat().st_size > _LARGEST_JOURNAL:
        message = f"{file} is larger than {_LARGEST_JOURNAL // 1024**2} MiB; take it out of the part's folder, and merge again"
        raise StoreError(message)
    return file.read_bytes().splitlines()


def _field(line: bytes, name: str) -> str:
    try:
        found = parse_json(line)
    except ValueError:
        return ""
    return str(found.get(name, "")) if isinstance(found, dict) else ""
