"""Measurements kept as JSON: each case replaces its own, and another machine replaces all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from bench.nouns import Measured, Row, Timed

FILE = Path(__file__).with_name("measured.json")
_ADAPTER = TypeAdapter(Measured)


def load_measured(path: Path = FILE) -> Measured:
    """Read what was measured before; nothing was where no file is."""
    return _ADAPTER.validate_json(path.read_bytes()) if path.is_file() else Measured({})


def save_measured(measured: Measured, path: Path = FILE) -> None:
    """Write all measurements."""
    path.write_bytes(_ADAPTER.dump_json(measured, indent=1) + b"\n")


def put_in(measured: Measured, machine: dict[str, str], rows: list[Row], commands: list[Timed]) -> Measured:
    """Put new measurements in the place of older ones of the same case; those of another machine or tool are dropped."""
    old = measured if measured.machine == machine else Measured(machine)
    cases = {(row.case, row.contender) for row in rows}
    names = {timed.name for timed in commands}
    return replace(
        old,
        rows=(*(row for row in old.rows if (row.case, row.contender) not in cases), *rows),
        commands=(*(timed for timed in old.commands if timed.name not in names), *commands),
    )
