"""Names on disk: of runs, which sort by time, and of cells' folders, which no path can be led out of."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime
from urllib.parse import quote

_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
_PARTS = 256  # of a second, told apart by the first two digits behind it
_MAX_NAME = 200  # of a folder; no disk takes more than 255 bytes


def make_run_id(now: datetime) -> str:
    """Make an id that sorts by time, within a second too, and is not shared by runs that start together."""
    part = now.microsecond * _PARTS // 1_000_000
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{part:02x}{secrets.token_hex(2)}"


def start_of_run(run_id: str) -> datetime:
    """Give the second in which a run began."""
    return datetime.strptime(run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def folder_name(cell_id: str) -> str:
    """Give the name of a cell's folder: its id, with what a path, on any system and in any CI's artifacts, cannot hold escaped."""
    name = quote(cell_id, safe="+@")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) > _MAX_NAME:
        name = f"{name[: _MAX_NAME - 20]}-{hashlib.sha256(cell_id.encode()).hexdigest()[:16]}"
    return name


def is_run_id(name: str) -> bool:
    """Tell whether a name is one that a run has."""
    return _RUN_ID.fullmatch(name) is not None


def spelled_run_id(name: str) -> str:
    """Give a run's id as its folder has it: the names of images and locks have it in small letters."""
    time, dash, rest = name.partition("-")
    return f"{time.upper()}{dash}{rest}"
