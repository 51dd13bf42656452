"""Times our own commands that need no engine: help, plans, reports of many cells."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bench.contenders import MATRIX_COMMAND
from bench.gauge import run
from bench.nouns import FULL, FULL_PAGE, FULL_RECORD, HELP, LARGE_PLAN, PAGE, PLAN, REPORT, Cost, Timed
from orchestrator.inside import Package, Packages
from orchestrator.store import Reports
from tests.unit.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

_CELLS = 10_000
_PACKAGES = 170  # as the cells of the default matrix have on average
_ROUNDS = {HELP: 10, PLAN: 10, LARGE_PLAN: 3, REPORT: 3, PAGE: 1, FULL: 1, FULL_PAGE: 1, FULL_RECORD: 1}


def time_commands(folder: Path) -> list[Timed]:
    """Time each command, in turn where it is short."""
    twelve, many = _plan(folder / "twelve", 12, 1), _plan(folder / "many", 100, 1000)
    stored, full = folder / "stored", folder / "full"
    words = {
        HELP: (folder, ["--help"]),
        PLAN: (twelve, ["plan"]),
        LARGE_PLAN: (many, ["plan", "--format", "ids"]),
        REPORT: (stored, ["report", "latest", "-o", "report.txt"]),
        PAGE: (stored, ["report", "latest", "--format", "html", "-o", "report.html"]),
        FULL: (full, ["report", "latest", "-o", "report.txt"]),
        FULL_PAGE: (full, ["report", "latest", "--format", "html", "-o", "report.html"]),
        FULL_RECORD: (full, ["report", "latest", "--format", "json", "-o", "report.json"]),
    }
    _save_run(stored, 0)
    _save_run(full, _PACKAGES)
    found: dict[str, list[Cost]] = {name: [] for name in words}
    for number in range(max(_ROUNDS.values())):
        for name, (where, argv) in words.items():
            if number < _ROUNDS[name]:
                found[name].append(run([MATRIX_COMMAND, *argv], folder=where, environment=os.environ, log=folder / "log.txt"))
    return [Timed(name, tuple(costs)) for name, costs in found.items()]


def _plan(folder: Path, first: int, second: int) -> Path:
    folder.mkdir(parents=True)
    folder.joinpath("Dockerfile").touch()
    axes = f"a: [{', '.join(f'a{at}' for at in range(first))}], b: [{', '.join(f'b{at}' for at in range(second))}]"
    folder.joinpath("matrix.yaml").write_text(f"version: 1\nname: bench\naxes: {{{axes}}}\n", encoding="utf-8")
    return folder


def _save_run(folder: Path, packages: int) -> None:
    """Store a run of many cells, each with figures, layers, steps and checks, and so many packages."""
    reports = Reports(folder / "reports")
    stored = reports.new_run()
    record = make_record()
    first = record.cells[0]
    if first.image and packages:
        many = tuple(Package(f"package-{at}", f"1.{at}", bytes=at) for at in range(packages))
        first = replace(first, image=replace(first.image, packages=Packages(os=many)))
    cells = tuple(
        replace(first, id=f"{base}-{python}", axes={"base": f"{base}", "python": f"{python}"})
        for base in range(100)
        for python in range(_CELLS // 100)
    )
    stored.save_record(replace(record, id=stored.id, cells=cells))
    reports.point_latest(stored)
