"""Measurements kept as JSON: each case replaces its own, and another machine replaces all."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from bench.nouns import Measured, Row, Timed
from orchestrator.strict import dump_json, read_json

FILE = Path(__file__).with_name("measured.json")


def load_measured(path: Path = FILE) -> Measured:
    """Read what was measured before; nothing was where no file is."""
    return read_json(path.read_bytes(), Measured) if path.is_file() else Measured({})


def save_measured(measured: Measured, path: Path = FILE) -> None:
    """Write all measurements."""
    path.write_bytes(dump_json(measured, indent=1) + b"\n")


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
