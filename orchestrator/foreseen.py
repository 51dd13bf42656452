"""Forecasts kept from `matrix preflight` until a run of the same cells; a run itself asks no index."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import to_builtins
from msgspec.structs import replace

from orchestrator.errors import MatrixError
from orchestrator.paths import cache_folder, forget_old
from orchestrator.places import dockerfile_of, is_remote
from orchestrator.record import Foretold, RunRecord
from orchestrator.requirements import load_requirements
from orchestrator.strict import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.model import Cell, Plan
    from orchestrator.preflight.nouns import Preflight

SCHEMA = 1
_FRESH = timedelta(days=7)  # then the index has moved on


def remember_forecasts(found: Preflight, plan: Plan, folder: Path) -> None:
    """Keep each cell's forecast under what it was made from, and none that holds no more."""
    places = _Places(folder)
    by_cell = {forecast.cell: forecast for forecast in found.cells}
    for cell in plan.cells:
        forecast = by_cell[cell.id]
        text = json.dumps({"schema": SCHEMA, "at": found.at, "outlook": forecast.outlook, "why": forecast.why}, ensure_ascii=False)
        entry = places.of(cell)
        draft = entry.with_suffix(f".{secrets.token_hex(4)}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(entry)
    forget_old(cache_folder("forecasts"), _FRESH.total_seconds())


def recall_forecasts(plan: Plan, folder: Path) -> dict[str, Foretold]:
    """Give the forecasts for cells that are as they were when they were foretold."""
    if next(cache_folder("forecasts").iterdir(), None) is None:
        return {}
    places = _Places(folder)
    found = {cell.id: load_forecast(places.of(cell)) for cell in plan.cells}
    return {cell: forecast for cell, forecast in found.items() if forecast is not None}


def load_forecast(entry: Path) -> Foretold | None:
    """Read a forecast; None when there is none that still holds."""
    try:
        data = parse_json(entry.read_bytes())
        is_fresh = timedelta() <= datetime.now(UTC) - datetime.fromisoformat(data["at"]) <= _FRESH
        if data["schema"] != SCHEMA or not is_fresh:
            return None
        return Foretold(str(data["outlook"]), tuple(map(str, data["why"])), str(data["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, damaged, or of another version


class _Places:
    """Where forecasts lie: under a digest of all that they follow from, each file read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache = cache_folder("forecasts")
        self._digests: dict[Path, str] = {}

    def of(self, cell: Cell) -> Path:
        settings = cell.settings
        words = [
            dict(cell.axes).get("python"),
            settings.libc,
            settings.platform,
            settings.target,
            settings.args,
            settings.contexts,
            None if is_remote(settings.context) else self._dockerfile(dockerfile_of(settings, self._folder)),
            None if settings.requirements is None else self._requirements(self._folder / settings.requirements),
        ]
        return self._cache / f"{hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]}.json"

    def _dockerfile(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        return self._digests[path]

    def _requirements(self, path: Path) -> str:
        if path not in self._digests:
            try:
                self._digests[path] = load_requirements(path).digest
            except MatrixError:
                self._digests[path] = ""  # the build will say what is wrong with it
        return self._digests[path]


def render_forecasts(forecasts: Mapping[str, Foretold]) -> str:
    """Write the forecasts that a run knew, for its folder."""
    cells = [{"cell": cell, **to_builtins(forecast)} for cell, forecast in forecasts.items()]
    return json.dumps({"schema": SCHEMA, "cells": cells}, indent=2, ensure_ascii=False) + "\n"


def with_forecasts(record: RunRecord, forecasts: Mapping[str, Foretold]) -> RunRecord:
    """Put into each cell's record what was foretold of it."""
    return replace(record, cells=tuple(replace(cell, foretold=forecasts.get(cell.id)) for cell in record.cells))
