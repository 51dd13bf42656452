"""Shards of one plan to one run: the same record that a run of the whole plan would have left, but for where it was built."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from orchestrator.errors import UsageError
from orchestrator.judge.surroundings import are_near, differing
from orchestrator.measure.unique import find_unique
from orchestrator.model import Status
from orchestrator.plan.shard import MOST_SHARDS
from orchestrator.record import Environment, Measurement, Noise, Part, RunInputs, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from orchestrator.record import CellRecord

_FIRST_YEAR = 1970
_SAME = ("name", "axes", "compare", "planned", "only", "skip", "schema")
_SAME_INPUTS = ("matrix_digest", "lock_digest")


def merge_records(records: Sequence[RunRecord]) -> RunRecord:
    """Put parts of one plan together, in whatever order they are given; one that is given twice counts once."""
    sources = find_sources(records)
    first = sources[0].record
    parts = [source.part for source in sources]
    cells = _cells_in_order(first.planned, sources)
    ends = [part.finished_at for part in parts]
    return replace(
        first,
        id=_make_id(parts),
        started_at=min(part.started_at for part in parts),
        finished_at=max(end or part.started_at for end, part in zip(ends, parts, strict=True)),
        complete=all(part.complete for part in parts) and not missing_cells(first.planned, cells),
        interrupted=any(part.interrupted for part in parts),
        environment=_common_environment([part.environment for part in parts]),
        inputs=RunInputs(*(_common(getattr(one.record.inputs, name) for one in sources) for name in RunInputs.__struct_fields__)),
        claims=(),
        decision=None,
        gates=(),
        measurement=_merge_measurements([one.record.measurement for one in sources if one.record.measurement]),
        cells=cells,
        shard=None,
        parts=tuple(parts),
    )


class Source(NamedTuple):
    """A part of a plan, and the run that is taken for it: its own, or one that it was merged into before."""

    part: Part
    record: RunRecord


def find_sources(records: Sequence[RunRecord]) -> list[Source]:
    """Give each part once, from the run that knows it best: one may have gone on since it was copied, or merged."""
    _check_parts(records)
    found: dict[str, Source] = {}
    for record in sorted(records, key=lambda record: (record.id, record.complete)):
        for part in _parts_of(record):
            known = found.get(part.run)
            if known is None or _state_of(part) > _state_of(known.part):
                found[part.run] = Source(part, record)
    return sorted(found.values(), key=lambda one: (one.part.shard.number, one.part.run))


def _state_of(part: Part) -> tuple[bool, datetime]:
    return part.complete, part.finished_at or part.started_at


def missing_cells(planned: Iterable[str], cells: Iterable[CellRecord]) -> list[str]:
    """Name the planned cells that no part has."""
    there = {cell.id for cell in cells}
    return [cell for cell in planned if cell not in there]


def missing_shards(record: RunRecord) -> list[int]:
    """Give the numbers of the shards of which no part is here."""
    there = {part.shard.number for part in record.parts}
    count = min(max((part.shard.count for part in record.parts), default=0), MOST_SHARDS)
    return [number for number in range(1, count + 1) if number not in there]


def are_unlike(environments: Iterable[Environment]) -> bool:
    """Tell whether times of these machines cannot be compared."""
    first, *others = environments
    return any(differing(first, other) for other in others)


def _parts_of(record: RunRecord) -> tuple[Part, ...]:
    if record.parts:
        return record.parts
    if record.shard is None:
        message = f"run {record.id} is no shard; `matrix run --shard 1/8` makes the first of eight"
        raise UsageError(message)
    return (
        Part(
            record.id, record.shard, record.started_at, record.finished_at, record.environment, record.complete, record.interrupted
        ),
    )


def _check_parts(records: Sequence[RunRecord]) -> None:
    """Refuse what does not belong together: another plan, another tool, or the same cell twice."""
    if not records:
        raise UsageError("there is nothing to merge; name the runs of all shards")
    first = records[0]
    for record in records[1:]:
        tools = {part.environment.tool for one in (first, record) for part in _parts_of(one)}
        if len(tools) > 1:
            message = f"runs {first.id} and {record.id} are of different versions of matrix: {', '.join(sorted(map(str, tools)))}"
            raise UsageError(message)
        apart = [name for name in _SAME if getattr(record, name) != getattr(first, name)]
        apart += [name for name in _SAME_INPUTS if getattr(record.inputs, name) != getattr(first.inputs, name)]
        if apart:
            message = f"runs {first.id} and {record.id} are parts of different plans: they differ in {', '.join(apart)}"
            raise UsageError(message)
    owners: dict[str, str] = {}
    parts = [part for record in records for part in _parts_of(record)]
    for part in parts:
        _check_part(part)
    if len(counts := sorted({part.shard.count for part in parts})) > 1:
        message = f"these are parts of {counts[0]} and of {counts[1]} shards; they do not make one run"
        raise UsageError(message)
    for part in parts:
        for cell in part.shard.cells:
            if owners.setdefault(cell, part.run) != part.run:
                message = f"cell {cell} is in two parts, runs {owners[cell]} and {part.run}; leave one of them out"
                raise UsageError(message)


def _check_part(part: Part) -> None:
    """Refuse what no run of matrix leaves: it may come from anywhere."""
    times = [part.started_at, *([part.finished_at] if part.finished_at else [])]
    if any(time.tzinfo is None or time.year < _FIRST_YEAR for time in times):
        message = f"run {part.run} is damaged: its times are none of a run"
        raise UsageError(message)
    if not 1 <= part.shard.number <= part.shard.count <= MOST_SHARDS:
        message = f"run {part.run} is damaged: there is no shard {part.shard.number} of {part.shard.count}"
        raise UsageError(message)


def _cells_in_order(planned: Sequence[str], sources: Sequence[Source]) -> tuple[CellRecord, ...]:
    """Give the cells in the plan's order, the excluded ones behind them, each once."""
    unlike = are_unlike(one.part.environment for one in sources)
    found: dict[str, CellRecord] = {}
    for part, record in sources:
        mine = frozenset(part.shard.cells)
        found |= {cell.id: replace(cell, part=part.run if unlike else None) for cell in record.cells if cell.id in mine}
    excluded = {cell.id: cell for one in sources for cell in one.record.cells if cell.status is Status.EXCLUDED}
    done = [found[cell] for cell in planned if cell in found]
    return (*find_unique(done), *excluded.values())


def _make_id(parts: Sequence[Part]) -> str:
    """Make an id that the same parts always have, and that sorts with the first of them."""
    began = min(part.started_at for part in parts).astimezone(UTC)
    digest = hashlib.sha256("\n".join(sorted({part.run for part in parts})).encode()).hexdigest()
    return f"{began:%Y%m%dT%H%M%SZ}-{digest[:6]}"


def _common_environment(environments: Sequence[Environment]) -> Environment:
    """Give what all machines had in common; what differed is unknown of the whole, and stands with the parts."""
    common = Environment(*(_common(getattr(one, name) for one in environments) for name in Environment.__struct_fields__))
    memories = [one.memory_bytes for one in environments if one.memory_bytes is not None]
    if len(memories) == len(environments) and are_near(min(memories), max(memories)):
        common = replace(common, memory_bytes=min(memories))
    stand_ins = sorted({base for one in environments for base in one.stand_in_bases})
    return replace(common, stand_in_bases=tuple(stand_ins))


def _common(values: Iterable[object]) -> Any:  # noqa: ANN401  # a field of any kind
    first, *others = values
    return first if all(other == first for other in others) else None


def _merge_measurements(found: Sequence[Measurement]) -> Measurement | None:
    """Take the worst of each part: the fewest rounds, the highest noise, all warnings."""
    if not found:
        return None
    worst: dict[str, Noise] = {}
    for measurement in found:
        for noise in measurement.noise:
            known = worst.get(noise.scenario)
            if known is None or noise.share is None or (known.share is not None and noise.share > known.share):
                worst[noise.scenario] = noise
    return Measurement(
        rounds=min(one.rounds for one in found),
        seed=min(one.seed for one in found),
        control=", ".join(sorted({cell for one in found for cell in one.control.split(", ")})),
        noise=tuple(worst.values()),  # the first scenario that was asked for is the one that ranks
        warnings=tuple(sorted({warning for one in found for warning in one.warnings})),
    )
