"""`--skip-unchanged`: results of an earlier run taken over, where nothing that they follow from has changed."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from orchestrator.disk import disk_errors
from orchestrator.docker.references import find_in_engine, resolve_reference
from orchestrator.ending import ended_as_expected
from orchestrator.errors import EngineError, StoreError, UsageError
from orchestrator.inputs import read_inputs
from orchestrator.judge.surroundings import differing
from orchestrator.model import Status
from orchestrator.names import folder_name
from orchestrator.store import LARGEST_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.model import Cell
    from orchestrator.record import CellInputs, CellRecord, Measurement, RunRecord
    from orchestrator.store import Reports, RunFolder
    from orchestrator.workshop import Workshop

_LOOKED_AT = 10  # stored runs, the newest first; all parts of one are as much to read as one that was never split
_AT_ONCE = 8
_KEPT = (Status.PASSED, Status.SMOKE_FAILED)
_READ = (
    "dockerfile_digest", "context_digest", "requirements_digest", "args", "options", "smoke_digest", "images", "beside_digest",
)  # fmt: skip


def carry_over(shop: Workshop, reports: Reports, record: RunRecord, cells: Iterable[Cell]) -> Iterator[CellRecord]:
    """Give earlier results of the cells that would come out the same, with their files."""
    cells = list(cells)
    olds = _find_results(reports, record, {cell.id for cell in cells})
    same = [cell for cell in cells if cell.id in olds and _is_same(shop, cell, olds[cell.id].cell)]
    moved = _find_moved(shop, {(base.ref, base.digest) for cell in same for base in olds[cell.id].cell.inputs.base})
    for cell in same:
        folder, old, _ = olds[cell.id]
        if not any((base.ref, base.digest) in moved for base in old.inputs.base):
            _copy_files(folder, shop.run, cell.id)
            yield replace(
                old,
                axes=dict(cell.axes),
                expected=cell.expected,
                expected_reason=cell.expected_reason,
                as_expected=ended_as_expected(old, cell),
                carried_from=old.carried_from or folder.id,
            )


def recall_measurement(reports: Reports, record: RunRecord, cells: Iterable[CellRecord]) -> Measurement | None:
    """Say how times were measured that were all taken over from one run; those of several have no noise in common."""
    timed = [cell for cell in cells if cell.build and cell.build.scenarios]
    if len({cell.carried_from for cell in timed}) != 1 or timed[0].carried_from is None:
        return None
    found = _find_results(reports, record, {cell.id for cell in timed})
    first, *others = [found[cell.id].how for cell in timed if cell.id in found] or [None]
    return first if all(other == first for other in others) else None


class _Result(NamedTuple):
    """A cell as an earlier run left it, and how that run measured times."""

    run: RunFolder
    cell: CellRecord
    how: Measurement | None


def _find_results(reports: Reports, record: RunRecord, wanted: set[str]) -> dict[str, _Result]:
    """Find each cell in the newest run like this one that has it, back to one that was of all cells."""
    found: dict[str, _Result] = {}
    left = float(_LOOKED_AT)
    for folder in map(reports.run, reversed([run_id for run_id in reports.run_ids() if run_id != record.id])):
        if left <= 0:
            break
        try:
            earlier = folder.load()
        except StoreError:
            left -= 1
            continue
        left -= 1 / max(1, earlier.shard.count) if earlier.shard else 1
        if _is_like(earlier, record):
            results = {cell.id: _Result(folder, cell, earlier.measurement) for cell in earlier.cells if not cell.status.is_left_out}
            found = results | found
            if wanted <= found.keys() or _is_whole(earlier):
                break
    return found


def _is_like(earlier: RunRecord, record: RunRecord) -> bool:
    """Tell whether a run ended, and was of this matrix, by the same lock, machine and tools; of a merged one its parts are."""
    is_same = earlier.name == record.name and earlier.inputs.lock_digest == record.inputs.lock_digest
    return is_same and bool(earlier.finished_at) and not earlier.parts and not differing(earlier.environment, record.environment)


def _is_whole(run: RunRecord) -> bool:
    return run.complete and not (run.shard or run.only or run.skip)


def _is_same(shop: Workshop, cell: Cell, old: CellRecord) -> bool:
    """Tell whether a cell is built from what it was built from then; what is not known may have changed."""
    settings = cell.settings
    if old.status not in _KEPT or old.image is None or settings.push or shop.keep or (settings.smoke and not shop.smoke):
        return False
    if old.smoke and shop.runner != "auto" and any((check.runner or "container") != shop.runner for check in old.smoke.checks):
        return False
    if old.image.base_layers is None:  # nobody knows what it was built on
        return False
    now = read_inputs(settings, shop.folder, shop.contexts)
    return _are_equal(now, old.inputs) and (old.smoke is not None and (old.smoke.outcome != "skipped") == bool(settings.smoke))


def _are_equal(now: CellInputs, then: CellInputs) -> bool:
    if now.dockerfile_digest is None or now.context_digest is None:
        return False
    return all(getattr(now, name) == getattr(then, name) for name in _READ)


def _find_moved(shop: Workshop, bases: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Give the bases that stand for another image now, or of which nobody can say it."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return {base for base, moved in zip(bases, pool.map(lambda base: _has_moved(shop, *base), bases), strict=True) if moved}


def _has_moved(shop: Workshop, ref: str, digest: str) -> bool:
    """Ask who will be asked by the build: the engine's own BuildKit takes an image that the engine has."""
    engine, builder = shop.engine, shop.builder
    in_engine = None if builder.loads_by_copy else find_in_engine(engine, ref)
    if in_engine is not None:
        return in_engine != digest
    try:
        found = resolve_reference(engine.docker, ref, builder.name if builder.loads_by_copy else None, engine.buildx_argv)
    except (EngineError, UsageError):
        return True
    return digest not in (found.digest, *found.images.values())


def _copy_files(earlier: RunFolder, run: RunFolder, cell: str) -> None:
    """Take a cell's logs and trace along: the earlier run may be removed before this one."""
    source, target = earlier.path / "cells" / folder_name(cell), run.cell(cell)
    if earlier.leads_out(source):
        return
    with disk_errors(target):
        for file in source.iterdir() if source.is_dir() else ():
            is_own = file.is_file() and not file.is_symlink() and file.stat().st_size <= LARGEST_FILE
            if is_own and file.name != "result.json":
                shutil.copyfile(file, target / file.name)
