"""What matrix keeps for itself beside runs and in its cache, where others may have changed it: as good as none, or read."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestrator import foreseen, known
from orchestrator.baseline import find_baseline
from orchestrator.figures import load_figures
from orchestrator.layers import cache
from orchestrator.paths import cache_folder
from orchestrator.report.history import FORMATS, render_history
from orchestrator.store import BASELINES, Reports
from orchestrator.trends import load_history
from tests.faults.seeds import compact, pick
from tests.faults.stored import run_folder
from tests.unit.records import make_image
from tests.unit.tars import Item, index_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOMENT = 1_795_000_000_000_000_000
_DIGEST = "sha256:" + "1" * 64


@contextmanager
def _cache_of_its_own(folder: Path | None = None) -> Iterator[None]:
    """Let the cache lie in this folder, or in one that goes away at once."""
    before = os.environ.get("MATRIX_CACHE_DIR")
    with TemporaryDirectory() as own:
        os.environ["MATRIX_CACHE_DIR"] = str(folder / "cache") if folder else own
        try:
            yield
        finally:
            os.environ.pop("MATRIX_CACHE_DIR")
            if before is not None:
                os.environ["MATRIX_CACHE_DIR"] = before


def _sized(folder: Path) -> Reports:
    run = run_folder(folder)
    os.utime(run.path / "run.json", ns=(_MOMENT, _MOMENT))
    return Reports(folder)


def figures() -> tuple[bytes, ...]:
    """Give the figures of a run."""
    with TemporaryDirectory() as folder:
        run = _sized(Path(folder)).run("20261121T050607Z-abc123")
        load_figures(run)
        return (compact(json.loads((run.path / "figures.json").read_bytes())),)


def take_figures(data: bytes, folder: Path) -> str:
    """Show the history of a run by what is kept beside it."""
    reports = _sized(folder)
    (path,) = (reports.run(run_id).path / "figures.json" for run_id in reports.run_ids())
    path.write_bytes(data)
    render_history(load_history(reports, None, (), ()), pick(data, FORMATS), 80)
    return "as good as none" if path.read_bytes() != data else "shown"


def baselines() -> tuple[bytes, ...]:
    """Give a choice of baselines."""
    return (compact({"schema": 1, "baselines": {"otel-python": "20261121T050607Z-abc123", "other": "x"}}),)


def take_baselines(data: bytes, folder: Path) -> str:
    """Find what a run is held against."""
    reports = _sized(folder)
    (folder / BASELINES).write_bytes(data)
    return "none" if find_baseline(reports, "otel-python", None, selection=((), ())) is None else "found"


def _only_entry(folder: str, mark: bytes) -> bytes:
    """Give the body of the one entry of a folder of the cache."""
    (path,) = cache_folder(folder).iterdir()
    return path.read_bytes()[len(mark) + 32 :]


def indices() -> tuple[bytes, ...]:
    """Give a layer's index as the cache holds it."""
    with _cache_of_its_own():
        index = index_of(
            Item("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"), Item("a", b"1"), Item("b", kind="link", target="a")
        )
        cache.save_index(_DIGEST, index)
        return (_only_entry("layers", cache.SHELF.mark),)


def take_index(data: bytes, folder: Path) -> str:
    """Recall a layer's index whose checksum is right, whoever wrote it."""
    with _cache_of_its_own(folder):
        cache.SHELF.save(f"{_DIGEST.replace(':', '-')}.index", data)
        return "as good as none" if cache.load_index(_DIGEST) is None else "recalled"


def images() -> tuple[bytes, ...]:
    """Give what is known of an image."""
    with _cache_of_its_own():
        known.remember_image(_DIGEST, known.KnownImage(make_image(5), ("sha256:1",), {"a": "b"}, ("x",), "u", 80, "{}"))
        return (_only_entry("known", known.SHELF.mark),)


def take_image(data: bytes, folder: Path) -> str:
    """Recall an image whose checksum is right, whoever wrote it."""
    with _cache_of_its_own(folder):
        known.SHELF.save(hashlib.sha256(_DIGEST.encode()).hexdigest(), data)
        return "as good as none" if known.recall_image(_DIGEST) is None else "recalled"


def forecasts() -> tuple[bytes, ...]:
    """Give a forecast of this moment: an old one is not read."""
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return (compact({"schema": foreseen.SCHEMA, "at": moment, "outlook": "builds", "why": ["a"]}),)


def take_forecast(data: bytes, folder: Path) -> str:
    """Recall a forecast."""
    entry = folder / "forecast.json"
    entry.write_bytes(data)
    return "as good as none" if foreseen.load_forecast(entry) is None else "recalled"
