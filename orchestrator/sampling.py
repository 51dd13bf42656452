"""Isolated measurements after a run: one build at a time, the cells in turn, each sample with all its work."""

from __future__ import annotations

import secrets
import shutil
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.building import follow_build
from orchestrator.disk import passing_folder
from orchestrator.docker.build import Target, Variation, forget_sample_mounts, render_build_argv, sample_mounts
from orchestrator.docker.images import remove_image
from orchestrator.errors import EngineError, UsageError, did_you_mean
from orchestrator.events import Event
from orchestrator.load import foreign_load
from orchestrator.measure.schedule import SCENARIOS, Sample, make_schedule
from orchestrator.measure.statistics import ENOUGH, median_of, noise_of, outliers_of, spread_of
from orchestrator.mirrors import Mirrors, why_not_changed
from orchestrator.model import Status
from orchestrator.paths import cache_folder
from orchestrator.places import is_remote
from orchestrator.record import Measurement, Noise, Scenario
from orchestrator.units import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.model import Cell, Plan
    from orchestrator.record import CellRecord
    from orchestrator.workshop import Workshop

_BUSY = 0.25  # of one core, taken by others just before a sample
_FILES = {"code": "source", "deps": "requirements"}  # the setting that names what a scenario changes

Times = dict[tuple[str, str, bool], list[float]]


class Asked(Struct, frozen=True):
    """What is to be measured: how often, and under which circumstances."""

    rounds: int
    scenarios: tuple[str, ...] = ("cold",)


def check_asked(asked: Asked, plan: Plan, folder: Path) -> None:
    """Refuse what cannot be measured, before anything is built."""
    for name in asked.scenarios:
        if name not in SCENARIOS:
            message = f"--scenario '{name}' is not one of {', '.join(SCENARIOS)}{did_you_mean(name, SCENARIOS)}"
            raise UsageError(message)
        setting = _FILES.get(name)
        lacking = [cell.id for cell in plan.cells if setting and not _can_change(cell, setting)]
        if lacking:
            message = (
                f"--scenario {name} changes the file that the setting '{setting}' names, in a context on this machine; "
                f"{count(len(lacking), 'cell')} without one, {lacking[0]} among them"
            )
            raise UsageError(message)
        if setting:
            _check_files(name, setting, plan, folder)


def _check_files(scenario: str, setting: str, plan: Plan, folder: Path) -> None:
    """Refuse a file that is not the copy's own: to change it would be to change the user's."""
    for cell in plan.cells:
        file = str(getattr(cell.settings, setting))
        if reason := why_not_changed(cell.settings, file, folder):
            message = f"--scenario {scenario}: '{file}', the {setting} of {cell.id}, {reason}; name the file itself, in the context"
            raise UsageError(message)


def _can_change(cell: Cell, setting: str) -> bool:
    return getattr(cell.settings, setting) is not None and not is_remote(cell.settings.context)


class Measured(Struct, frozen=True):
    """The cells with their samples, how these were taken, and whether all were."""

    cells: dict[str, CellRecord]
    how: Measurement | None = None
    is_finished: bool = True


class _Bench(Struct):
    """All that samples share."""

    shop: Workshop
    asked: Asked
    cells: Mapping[str, Cell]
    mirrors: Mirrors
    seed: int
    times: Times = field(default_factory=lambda: defaultdict(list))
    failed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    loads: list[float] = field(default_factory=list)
    known_blobs: set[Path] = field(default_factory=set)
    wanted: int = 0  # samples in all
    is_cut_short: bool = False


def measure_cells(shop: Workshop, plan: Plan, records: Mapping[str, CellRecord], asked: Asked) -> Measured:
    """Measure every cell that has an image; what was measured of it stays with a cell, however the run ends."""
    built = {record.id for record in records.values() if record.image is not None and record.status is not Status.ERROR}
    cells = {cell.id: cell for cell in plan.cells if cell.id in built}
    if not cells or shop.cancel.is_set():
        return Measured(dict(records), is_finished=not cells)
    control = next(iter(cells))
    seed = secrets.randbits(32)
    place = shop.store.folder / "mirrors"  # the run's own folder: `matrix clean` leaves it alone
    mirrors = Mirrors(shop.folder, place, (cache_folder(), shop.run.path.parent))
    mirrors.remove()  # of a process that was killed
    bench = _Bench(shop, asked, cells, mirrors, seed)
    try:
        _warm_up(bench)
        _take_all(bench, make_schedule(list(cells), asked.scenarios, asked.rounds, control, seed))
    finally:
        forget_sample_mounts(shop.engine.buildx_argv, shop.builder.name, shop.run.id)
        mirrors.remove()
        shop.store.remove()
    measured = {cell: _with_samples(record, bench) for cell, record in records.items()}
    kept = {cell: record if record is records[cell] else shop.run.save_cell(record) for cell, record in measured.items()}
    return Measured(kept, _describe(bench, control) if any(bench.times.values()) else None, is_finished=not bench.is_cut_short)


def _warm_up(bench: _Bench) -> None:
    """Build each cell once, untimed: afterwards bases and contexts are where they will be in every sample."""
    for cell in bench.cells.values():
        contexts = {bench.mirrors.of(cell.settings) if name in _FILES else None for name in bench.asked.scenarios}
        for context in contexts:
            if not bench.shop.cancel.is_set():
                _build(bench, cell, Variation(context=context), "warm-up")
    bench.known_blobs |= set(bench.shop.store.blobs())


def _take_all(bench: _Bench, schedule: Sequence[Sample]) -> None:
    bench.wanted = len(schedule)
    for sample in schedule:
        if bench.shop.cancel.is_set():
            bench.is_cut_short = True
            break
        _take(bench, sample)
    if bench.is_cut_short:
        bench.shop.emit(Event("warning", None, {"text": _say_what_is_missing(bench)}))


def _say_what_is_missing(bench: _Bench) -> str:
    again = " ".join(f"--scenario {name}" for name in bench.asked.scenarios)
    return (
        f"the measurement was interrupted after {_count_samples(bench)} of {bench.wanted} samples: "
        f"`matrix run --resume {bench.shop.run.id} --measure {bench.asked.rounds} {again}` takes all of them anew"
    )


def _count_samples(bench: _Bench) -> int:
    return sum(map(len, bench.times.values()))


def _take(bench: _Bench, sample: Sample) -> None:
    """Take one sample; a build that fails gives none, and a cell that fails twice is left alone."""
    if bench.failed.get(sample.cell, 0) > 1:
        return
    cell = bench.cells[sample.cell]
    bench.shop.emit(Event("cell-sample", cell.id, {"number": sample.number, "scenario": sample.scenario}))
    if bench.shop.engine.is_local and (load := foreign_load()) is not None:
        bench.loads.append(load)
    with _varied(bench, cell, sample) as variation:
        taken = _build(bench, cell, variation, f"{sample.number:04d}-{sample.scenario}")
    if taken is not None:
        bench.times[sample.cell, sample.scenario, sample.is_control].append(taken)
    bench.shop.store.forget_blobs(bench.known_blobs)


@contextmanager
def _varied(bench: _Bench, cell: Cell, sample: Sample) -> Iterator[Variation]:
    """Make the circumstances of a sample."""
    if sample.scenario == "cold":
        yield Variation(fresh=f"{sample_mounts(bench.shop.run.id)}-{sample.number}")
    elif sample.scenario == "cached":
        yield Variation()
    else:
        file = str(getattr(cell.settings, _FILES[sample.scenario]))
        yield Variation(context=bench.mirrors.change(cell.settings, file, bench.seed << 32 | sample.number))
        bench.mirrors.restore(cell.settings, file)


def _build(bench: _Bench, cell: Cell, variation: Variation, name: str) -> float | None:
    """Build once, and give the seconds that it took; its log lies beside the cell's other files."""
    shop = bench.shop
    image = None if shop.builder.exports_oci else f"matrix.local/{shop.name}:{shop.run.id.lower()}-sample"
    target = Target(shop.store.prepare(cell.id) if image is None else None, image)
    folder = shop.run.sample(cell.id, name)
    with passing_folder(shop.store.folder) as passing:
        metadata = passing / "metadata.json"
        argv = render_build_argv(shop.engine.buildx_argv, shop.builder, shop.name, cell, shop.folder, target, metadata, variation)
        followed = follow_build(replace(shop, emit=_say_nothing), cell, argv, folder, {})
    if target.oci:
        shutil.rmtree(target.oci, ignore_errors=True)
    if image:
        _remove(shop, image)
    if shop.cancel.is_set() and followed.ended.cancelled:
        bench.is_cut_short = True
        return None
    if followed.ended.code != 0:
        bench.failed[cell.id] += 1
        text = f"{cell.id}: a build that was only timed failed ({name}); its log is {folder / 'build.log'}"
        shop.emit(Event("warning", None, {"text": text}))
        return None
    return followed.wall_s


def _say_nothing(event: Event) -> None:
    """Leave out the steps: the cell has ended, and only its time is of interest now."""


def _remove(shop: Workshop, image: str) -> None:
    try:
        remove_image(shop.engine, image)
    except EngineError as error:
        shop.emit(Event("warning", None, {"text": str(error)}))


def _with_samples(record: CellRecord, bench: _Bench) -> CellRecord:
    if record.build is None or record.id not in bench.cells:
        return record
    found = [_summarize(name, bench.times[record.id, name, False]) for name in bench.asked.scenarios]
    if not any(scenario.samples_s for scenario in found):
        return record
    first = found[0]
    build = replace(
        record.build,
        timing="isolated",
        samples_s=first.samples_s,
        median_s=first.median_s,
        spread_s=first.spread_s,
        scenarios=tuple(found),
    )
    return replace(record, build=build)


def _summarize(name: str, samples: Sequence[float]) -> Scenario:
    times = tuple(round(sample, 3) for sample in samples)
    return Scenario(name, times, _rounded(median_of(times)), _rounded(spread_of(times)), len(outliers_of(times)))


def _rounded(time_s: float | None) -> float | None:
    return None if time_s is None else round(time_s, 3)


def _describe(bench: _Bench, control: str) -> Measurement:
    noise = []
    for name in bench.asked.scenarios:
        a, b = (tuple(round(one, 3) for one in bench.times[control, name, is_control]) for is_control in (False, True))
        noise.append(Noise(name, a, b, noise_of(a, b, bench.seed)))
    return Measurement(_rounds(bench), bench.seed, control, tuple(noise), tuple(_warnings(bench)))


def _rounds(bench: _Bench) -> int:
    """Count the samples that every cell has, apart from builds that failed."""
    if not bench.is_cut_short:
        return bench.asked.rounds
    going = [cell for cell in bench.cells if not bench.failed.get(cell)]
    return min((len(bench.times[cell, name, False]) for cell in going for name in bench.asked.scenarios), default=0)


def _warnings(bench: _Bench) -> Iterator[str]:
    """Say what makes the figures less than they look."""
    if bench.is_cut_short:
        yield _say_what_is_missing(bench)
    if (rounds := _rounds(bench)) < ENOUGH:
        yield f"{rounds} samples a cell: medians of fewer than {ENOUGH} say little"
    odd = sum(len(outliers_of(samples)) for samples in bench.times.values())
    if odd:
        yield f"{odd} of {_count_samples(bench)} samples are far from the others of their cell"
    busy = [load for load in bench.loads if load > _BUSY]
    if busy:
        yield (
            f"other programs kept the machine busy before {len(busy)} of {len(bench.loads)} samples "
            f"(up to {max(busy):.1f} cores): measure on a quiet one"
        )
    if not bench.shop.engine.is_local:
        yield "the engine is on another machine: whether it was busy with other work is not known"
    for cell, times in sorted(bench.failed.items()):
        yield f"{cell}: {times} builds that were only timed failed"
