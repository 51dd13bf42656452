"""What grew since the baseline, against what may grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.judge.compare import noise_floors
from orchestrator.judge.noise import size_noise
from orchestrator.judge.surroundings import differing, environment_of
from orchestrator.judge.times import COLD, cold_median_of, floor_of
from orchestrator.verdicts import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.record import CellRecord, Image, RunRecord
    from orchestrator.rules import Limit

SIZE, TIME = "growth.size", "growth.build_time"
NO_BASELINE = "there is no baseline: no earlier run ended well; `matrix baseline RUN` names one"


def judge_growth(record: RunRecord, baseline: RunRecord | None, cells: Sequence[CellRecord], limit: Limit) -> Iterator[Gate]:
    """Hold the growth of each cell against its limit."""
    limits = ((SIZE, limit.size_growth_share), (TIME, limit.build_time_growth_share))
    if baseline is None:
        yield from (Gate(name, None, share, None, None, "share", NO_BASELINE) for name, share in limits if share is not None)
        return
    earlier = {cell.id: cell for cell in baseline.cells}
    for name, share in limits:
        for cell in cells if share is not None else ():
            gate = Gate(name, cell.id, share, None, None, "share")
            old = earlier.get(cell.id)
            if old is None or (cell.image is None or old.image is None):
                yield _unknown(gate, _why_lacking(cell, old, baseline))
            elif name == SIZE:
                yield _judge_size(gate, old.image, cell.image, baseline, stand_ins=(old.inputs.stand_in, cell.inputs.stand_in))
            else:
                yield _judge_time(gate, (baseline, old), (record, cell))


def _unknown(gate: Gate, reason: str) -> Gate:
    return Gate(gate.gate, gate.cell, gate.limit, None, None, gate.unit, reason)


def _why_lacking(cell: CellRecord, old: CellRecord | None, baseline: RunRecord) -> str:
    if old is None:
        return f"the baseline {baseline.id} has no such cell"
    return f"the cell ended {cell.status}" if cell.image is None else f"the cell ended {old.status} in the baseline {baseline.id}"


def _judge_size(gate: Gate, old: Image, new: Image, baseline: RunRecord, stand_ins: tuple[str | None, str | None]) -> Gate:
    """Compare compressed sizes; where one of them is an estimate, unpacked ones, which mean the same everywhere."""
    if (stand_ins[0] is None) != (stand_ins[1] is None):
        return _unknown(gate, f"one of this run and the baseline {baseline.id} was made on stand-in bases")
    alike = old.compressed_estimated == new.compressed_estimated
    before, after = (image.compressed_bytes if alike else image.uncompressed_bytes for image in (old, new))
    if before is None or after is None:
        return _unknown(gate, f"a size is not known, here or in the baseline {baseline.id}")
    is_noise = abs(after - before) <= size_noise(before)
    if not before and not is_noise:
        return _unknown(gate, f"its size was 0 in the baseline {baseline.id}, of which more is no share")
    reason = f"against {baseline.id}"
    reason += "" if alike else ", by unpacked sizes, since one compressed size is an estimate"
    grown = (after - before) / before if before else 0.0
    return _with_share(gate, grown, reason, is_noise=is_noise, noise_passes=True)


def _judge_time(gate: Gate, old: tuple[RunRecord, CellRecord], new: tuple[RunRecord, CellRecord]) -> Gate:
    """Compare isolated medians of like machines; growth that may be chance neither keeps nor breaks a limit."""
    baseline = old[0]
    before, after = cold_median_of(old[1]), cold_median_of(new[1])
    if before is None or after is None:
        which = "this run" if after is None else f"the baseline {baseline.id}"
        return _unknown(gate, f"{which} has no isolated time (`matrix run --measure 7`)")
    if fields := differing(environment_of(*old), environment_of(*new)):
        return _unknown(gate, f"times of unlike machines or tools say nothing; {baseline.id} differs in {'; '.join(fields)}")
    floor = floor_of(noise_floors(baseline, new[0]).get(COLD), COLD, old[1], new[1])
    if floor is None:
        return _unknown(gate, f"the noise of this run, or of the baseline {baseline.id}, is not known")
    grown = (after - before) / before if before else 0.0
    reason = f"against {baseline.id}, noise {floor:.1%}"
    return _with_share(gate, grown, reason, is_noise=abs(grown) <= floor, noise_passes=False)


def _with_share(gate: Gate, grown: float, reason: str, *, is_noise: bool, noise_passes: bool) -> Gate:
    within = grown <= (gate.limit or 0.0)
    passed: bool | None = within
    if not within and is_noise:
        passed = True if noise_passes else None
        reason += "; the difference is within the noise"
    return Gate(gate.gate, gate.cell, gate.limit, round(grown, 6), passed, gate.unit, reason)
