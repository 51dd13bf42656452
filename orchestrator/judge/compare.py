"""Two stored runs to what differs between them: cells, outcomes, sizes and times beyond noise, each with its causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.judge.attribution import attribute
from orchestrator.judge.differences import SCHEMA, Cause, CellChange, CellSeen, Comparison, Difference, RunSeen
from orchestrator.judge.noise import size_noise
from orchestrator.judge.surroundings import TIMED, WEIGHED, differing, environment_of
from orchestrator.judge.times import floor_of, medians_of, noises_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.record import CellRecord, Image, RunRecord

COMPRESSED, UNPACKED = "compressed size", "unpacked size"


def compare_runs(old: RunRecord, new: RunRecord, *, force: bool = False) -> Comparison:
    """Compare two runs, cell by cell; times only where both were taken alike, or where that is forced."""
    olds, news = ({cell.id: cell for cell in run.cells} for run in (old, new))
    noises = noise_floors(old, new)
    pairs = [(olds[cell.id], cell) for cell in new.cells if cell.id in olds]
    apart = [differing(environment_of(old, before), environment_of(new, after)) for before, after in pairs]
    environment = _each_once([differing(old.environment, new.environment), *apart])
    are_timed = [any(True for _ in _medians(before, after)) for before, after in pairs]
    timed = any(are_timed)
    added = tuple(_see(cell) for cell in new.cells if cell.id not in olds)
    removed = tuple(_see(cell) for cell in old.cells if cell.id not in news)
    refused = [] if force else [fields for fields, is_timed in zip(apart, are_timed, strict=True) if is_timed]
    return Comparison(
        schema=SCHEMA,
        old=_see_run(old),
        new=_see_run(new),
        added=() if _chose(old, new) else added,
        removed=() if _chose(new, old) else removed,
        not_asked=(*(added if _chose(old, new) else ()), *(removed if _chose(new, old) else ())),
        cells=tuple(
            _compare_cells(before, after, None if fields and not force else noises, (old, new))
            for (before, after), fields in zip(pairs, apart, strict=True)
        ),
        environment=environment,
        times_refused=_each_once(refused),
        notes=tuple(_notes(old, new, timed=timed, forced=force and bool(environment))),
    )


def _chose(run: RunRecord, other: RunRecord) -> bool:
    """Tell whether a run was made for other cells than the other one, so that what it lacks tells nothing of the matrix."""
    mine, others = ((one.only, one.skip, one.shard) for one in (run, other))
    return any(mine) and mine != others


def _each_once(named: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(field for fields in named for field in fields))


def _see(cell: CellRecord) -> CellSeen:
    return CellSeen(cell.id, cell.axes, cell.status)


def _see_run(run: RunRecord) -> RunSeen:
    return RunSeen(run.id, run.name, run.started_at.isoformat(), run.inputs.git_commit)


def noise_floors(old: RunRecord, new: RunRecord) -> Mapping[str, float | None]:
    """Give, for each scenario that both runs measured, the larger of both noise floors; unknown where one of them is."""
    floors = [noises_of(run) for run in (old, new)]
    found: dict[str, float | None] = {}
    for name in floors[0].keys() & floors[1].keys():
        before, after = floors[0][name], floors[1][name]
        found[name] = None if before is None or after is None else max(before, after)
    return found


def _compare_cells(
    old: CellRecord, new: CellRecord, noises: Mapping[str, float | None] | None, runs: tuple[RunRecord, RunRecord]
) -> CellChange:
    """Compare one cell; without noise floors its times are left alone."""
    sizes = _compare_sizes(old.image, new.image) if old.image and new.image else ()
    times = () if noises is None else tuple(_compare_times(old, new, noises))
    change = CellChange(
        id=new.id,
        axes=new.axes,
        old_status=old.status,
        new_status=new.status,
        outcome_changed=(old.status, old.as_expected) != (new.status, new.as_expected),
        reason=new.reason if old.status is not new.status else None,
        sizes=sizes,
        times=times,
    )
    if not change.differs:
        titles = tuple(cause.title for cause in attribute(old, new) if cause.kind != "unexplained")
        return replace(change, unfelt=titles)
    fields = TIMED if any(one.is_real for one in times) else WEIGHED
    return replace(
        change, causes=find_causes(old, new, differing(environment_of(runs[0], old), environment_of(runs[1], new), fields))
    )


def find_causes(old: CellRecord, new: CellRecord, environment: tuple[str, ...]) -> tuple[Cause, ...]:
    """Say what a cell's difference is charged to; where only the packing of the same bytes changed, or nothing known, that."""
    causes = attribute(old, new, environment)
    sizes = _compare_sizes(old.image, new.image) if old.image and new.image else ()
    if sizes and sizes[0].is_real and sizes[1].is_real is False:
        packing = Cause("compression", "as many bytes as before compress otherwise", None)
        return (*(cause for cause in causes if cause.kind != "unexplained"), packing)
    return causes or (Cause("unexplained", "nothing that is recorded changed"),)


def _compare_sizes(old: Image, new: Image) -> tuple[Difference, ...]:
    """Compare what a pull moves and what lies on the disk; an estimate is compared with a sum, and decides nothing."""
    alike = old.compressed_estimated == new.compressed_estimated
    note = None if alike else "one of the two is an estimate, so only the unpacked size decides"
    packed = _difference(COMPRESSED, old.compressed_bytes, new.compressed_bytes)
    packed = replace(packed, estimated=(old.compressed_estimated, new.compressed_estimated))
    if not alike:
        packed = replace(packed, is_real=None, note=note)
    return packed, _difference(UNPACKED, old.uncompressed_bytes, new.uncompressed_bytes)


def _difference(metric: str, old: int | None, new: int | None) -> Difference:
    if old is None or new is None:
        return Difference(metric, "bytes", old, new, note="not known in both runs")
    noise = size_noise(old)
    return Difference(metric, "bytes", old, new, noise, abs(new - old) > noise)


def _medians(old: CellRecord, new: CellRecord) -> Iterator[tuple[str, float, float]]:
    """Give the isolated medians that both records have, by scenario."""
    before, after = medians_of(old), medians_of(new)
    yield from ((name, before[name], median_s) for name, median_s in after.items() if name in before)


def _compare_times(old: CellRecord, new: CellRecord, noises: Mapping[str, float | None]) -> Iterator[Difference]:
    for name, before, after in _medians(old, new):
        share = floor_of(noises.get(name), name, old, new)
        noise = None if share is None else share * before
        real = None if noise is None else abs(after - before) > noise
        yield Difference(name, "s", before, after, noise, real, "the noise is not known" if noise is None else None)


def _notes(old: RunRecord, new: RunRecord, *, timed: bool, forced: bool) -> Iterator[str]:
    """Say what the comparison is not, and what speaks against its figures."""
    if old.name != new.name:
        yield f"the runs are of different matrices: {old.name} and {new.name}"
    for run, other, side in ((old, new, "old"), (new, old, "new")):
        if not run.complete:
            yield f"the {side} run is incomplete: cells that it lacks may only not have been built"
        if _chose(run, other):
            yield f"the {side} run was made with --only, --skip or --shard: cells that it lacks were not asked for"
        if run.environment.stand_in_bases:
            yield f"the {side} run was made on stand-in bases: its sizes and times say nothing about the real images"
    if _estimates(old) != _estimates(new):
        yield "one run's compressed sizes are estimates (its image store keeps none): they are shown, and unpacked sizes decide"
    if not timed:
        yield "times are not compared: both runs need isolated ones (`matrix run --measure 7`)"
    elif forced:
        yield "times are compared by force: the machines or tools differ, so a difference may be theirs"
    for run, side in ((old, "old"), (new, "new")):
        yield from (f"{side} run: {warning}" for warning in (run.measurement.warnings if run.measurement and timed else ()))


def _estimates(run: RunRecord) -> bool:
    return any(cell.image.compressed_estimated for cell in run.cells if cell.image)
