"""How far two figures must be apart to differ at all, and when they cannot be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.judge.figures import scenario_of
from orchestrator.judge.times import noises_of
from orchestrator.rules import BYTES, METRICS, SECONDS

if TYPE_CHECKING:
    from orchestrator.judge.figures import Figure
    from orchestrator.record import RunRecord

# What gzip makes of a layer is known to differ by less from what a registry stores, whatever level or tool packed it.
ESTIMATE_SHARE = 0.05
SIZE_NOISE_BYTES = 10_000
_SIZE_NOISE_SHARE = 0.0005


class Floor(Struct, frozen=True):
    """The share up to which a difference is none; unknown where nothing can be compared, and then why."""

    share: float | None
    why: str | None = None


def size_noise(size: float) -> float:
    """Give the bytes by which an image may differ though nothing changed: times in archives and logs of installers."""
    return max(SIZE_NOISE_BYTES, _SIZE_NOISE_SHARE * size)


def floor_between(record: RunRecord, metric: str, one: Figure, other: Figure) -> Floor:
    """Say how far two cells' figures must be apart to differ, as a share of the lesser; counts differ by one."""
    for figure in (one, other):
        if figure.value is None or not figure.ranked:
            return Floor(None, figure.note)
    if one.part != other.part and one.part and other.part:
        return Floor(None, f"they were timed on unlike machines, in runs {one.part} and {other.part}")
    if METRICS.get(metric) == SECONDS:
        return _floor_of_times(noises_of(record).get(scenario_of(metric)), metric, one, other)
    if metric == "vulnerabilities" and one.how != other.how:
        return Floor(None, f"they were counted with different knowledge: {one.how}, and {other.how}")
    if one.estimated != other.estimated:
        return Floor(ESTIMATE_SHARE)
    return Floor(_SIZE_NOISE_SHARE if METRICS.get(metric) == BYTES else 0.0)


def _floor_of_times(noise: float | None, metric: str, one: Figure, other: Figure) -> Floor:
    """Take the run's noise, or how far the samples of one lie apart: another cell may have been disturbed more than the control."""
    if noise is None:
        return Floor(None, f"the noise of {scenario_of(metric)} builds was not measured")
    return Floor(max(noise, one.width, other.width))


def render_noise(record: RunRecord) -> str:
    """Say in a sentence which differences decide nothing."""
    sizes = (
        "Sizes differ from 0.05% on, since a build that is repeated differs by its times and logs; "
        "an estimated size differs from an exact one from 5% on."
    )
    known = [f"{scenario} {share:.1%}" for scenario, share in noises_of(record).items() if share is not None]
    if not known:
        return f"No times can be compared: `matrix run --measure 5` times builds by themselves. {sizes}"
    words = "Differences of times up to the noise, or within the middle half of a cell's samples, decide nothing"
    return f"{words} ({', '.join(known)}). {sizes}"
