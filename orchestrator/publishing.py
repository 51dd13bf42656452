"""Reports put where others read them: marked blocks of a file, and the summary of a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.disk import write_whole
from orchestrator.errors import ExitCode, UsageError, unreadable
from orchestrator.report.comment import SUMMARY_BYTES, render_within
from orchestrator.report.update import make_parts, update_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.record import RunRecord

SUMMARY = "GITHUB_STEP_SUMMARY"
_LARGEST_FILE = 16 * 1024**2
_LEAST_SUMMARY = 4096  # what is too little to say anything


def update_files(record: RunRecord, files: Sequence[Path], say: Callable[[str], None], *, write: bool) -> ExitCode:
    """Refresh the blocks of files, or only tell which are out of date; every file is read before any is written."""
    parts = make_parts(record)
    found = [(path, update_text(_read(path), parts, str(path))) for path in files]
    code = ExitCode.OK
    for path, updated in found:
        if not updated.changed:
            say(f"{path} is up to date")
            continue
        if write:
            target = path.resolve()  # behind a link, the file itself: the link stays
            write_whole(target, updated.text.encode(), target.stat().st_mode & 0o7777)
        else:
            code = ExitCode.UNEXPECTED
        for place in updated.changed:
            say(f"{place} {'updated' if write else 'is out of date'}")
    return code


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            message = f"{path} is too large to hold a report"
            raise UsageError(message)
        return path.read_bytes().decode()
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8: {error.reason} at byte {error.start}"
        raise UsageError(message) from error


def append_summary(record: RunRecord, environment: Mapping[str, str]) -> str | None:
    """Add a run to the job's summary, within what GitHub takes for one step; say what went wrong, if anything did."""
    name = environment.get(SUMMARY)
    if not name:
        return None
    path = Path(name)
    try:
        room = SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0)
        if room < _LEAST_SUMMARY:
            return f"${SUMMARY} is full: the report of this run is not in it"
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write("\n" * bool(file.tell()) + render_within(record, room - 1))  # a heading begins a line
    except OSError as error:
        return f"{path}, which ${SUMMARY} names, cannot be written: {error.strerror}"
    return None
