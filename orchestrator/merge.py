"""Shards of one plan to one run: the same record that a run of the whole plan would have left, but for where it was built."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator.errors import UsageError
from orchestrator.judge.surroundings import differing
from orchestrator.measure.unique import find_unique
from orchestrator.model import Status
from orchestrator.record import Environment, Measurement, Noise, Part, RunInputs, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.record import CellRecord

_SAME = ("name", "axes", "compare", "planned", "only", "skip", "schema")
_SAME_INPUTS = ("matrix_digest", "lock_digest")


def merge_records(records: Sequence[RunRecord]) -> RunRecord:
    """Put parts of one plan together, in whatever order they are given; one that is given twice counts once."""
    records = sorted({record.id: record for record in records}.values(), key=lambda record: record.id)
    _check_parts(records)
    first = records[0]
    parts = sorted(_all_parts(records), key=lambda part: (part.shard.number, part.run))
    cells = _cells_in_order(first.planned, records, parts)
    ends = [part.finished_at for part in parts]
    return replace(
        first,
        id=_make_id(parts),
        started_at=min(part.started_at for part in parts),
        finished_at=max((end for end in ends if end), default=None),
        complete=all(part.complete for part in parts) and not missing_cells(first.planned, cells),
        interrupted=any(part.interrupted for part in parts),
        environment=_common_environment([part.environment for part in parts]),
        inputs=RunInputs(*(_common(getattr(record.inputs, name) for record in records) for name in RunInputs.__struct_fields__)),
        claims=(),
        decision=None,
        gates=(),
        measurement=_merge_measurements([record.measurement for record in records if record.measurement]),
        cells=cells,
        shard=None,
        parts=tuple(parts),
    )


def missing_cells(planned: Iterable[str], cells: Iterable[CellRecord]) -> list[str]:
    """Name the planned cells that no part has."""
    there = {cell.id for cell in cells}
    return [cell for cell in planned if cell not in there]


def missing_shards(record: RunRecord) -> list[int]:
    """Give the numbers of the shards of which no part is here."""
    there = {part.shard.number for part in record.parts}
    count = max((part.shard.count for part in record.parts), default=0)
    return [number for number in range(1, count + 1) if number not in there]


def are_unlike(environments: Iterable[Environment]) -> bool:
    """Tell whether times of these machines cannot be compared."""
    first, *others = environments
    return any(differing(first, other) for other in others)


def _all_parts(records: Iterable[RunRecord]) -> tuple[Part, ...]:
    return tuple({part.run: part for record in records for part in _parts_of(record)}.values())


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
    parts = _all_parts(records)
    if len(counts := sorted({part.shard.count for part in parts})) > 1:
        message = f"these are parts of {counts[0]} and of {counts[1]} shards; they do not make one run"
        raise UsageError(message)
    for part in parts:
        for cell in part.shard.cells:
            if owners.setdefault(cell, part.run) != part.run:
                message = f"cell {cell} is in two parts, runs {owners[cell]} and {part.run}; leave one of them out"
                raise UsageError(message)


def _cells_in_order(planned: Sequence[str], records: Sequence[RunRecord], parts: Sequence[Part]) -> tuple[CellRecord, ...]:
    """Give the cells in the plan's order, the excluded ones behind them, each once."""
    found = {cell.id: cell for record in records for cell in record.cells}
    of_run = {cell: part.run for part in parts for cell in part.shard.cells} if are_unlike(p.environment for p in parts) else {}
    done = [replace(found[cell], part=of_run.get(cell)) for cell in planned if cell in found]
    excluded = [cell for cell in found.values() if cell.status is Status.EXCLUDED]
    return (*find_unique(done), *excluded)


def _make_id(parts: Sequence[Part]) -> str:
    """Make an id that the same parts always have, and that sorts with the first of them."""
    began = min(part.started_at for part in parts).astimezone(UTC)
    digest = hashlib.sha256("\n".join(sorted({part.run for part in parts})).encode()).hexdigest()
    return f"{began:%Y%m%dT%H%M%SZ}-{digest[:6]}"


def _common_environment(environments: Sequence[Environment]) -> Environment:
    """Give what all machines had in common; what differed is unknown of the whole, and stands with the parts."""
    common = Environment(*(_common(getattr(one, name) for one in environments) for name in Environment.__struct_fields__))
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
