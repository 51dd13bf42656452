"""Which cells cannot be built where stand-in bases take the place of the real ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.errors import UsageError
from orchestrator.plan.expand import matches

if TYPE_CHECKING:
    from orchestrator.model import Cell

VARIABLE = "MATRIX_STAND_IN_BASES"


class StandIns(Struct, frozen=True):
    """Which cells have no stand-in to be built on."""

    lacking: tuple[tuple[dict[str, list[str]], str], ...] = ()


def find_stand_ins() -> StandIns:
    """Read the file that MATRIX_STAND_IN_BASES names; without it, bases are what they say."""
    name = os.environ.get(VARIABLE)
    if not name:
        return StandIns()
    try:
        data = json.loads(Path(name).read_bytes())
        lacking = tuple(({axis: [value] for axis, value in rule["where"].items()}, str(rule["reason"])) for rule in data["lacking"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        message = f"{VARIABLE} names {name}, which cannot be read as a list of stand-ins: {why}"
        raise UsageError(message) from error
    return StandIns(lacking)


def lacking_reason(stand_ins: StandIns, cell: Cell) -> str | None:
    """Say why a cell has no base to be built on, if it has none."""
    return next((reason for where, reason in stand_ins.lacking if matches(where, cell.axes)), None)
