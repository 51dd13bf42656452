"""What repeated measurements say: the middle, how far they spread, which stand out, and how much is mere chance."""

from __future__ import annotations

import itertools
import random
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENOUGH = 5  # samples below which a median says little
_FAR = 3.0  # typical distances from the median at which a sample stands out
_TYPICAL = 1.4826  # makes the median distance comparable with a standard deviation
_LEAST = 0.05  # of the median: a sample that is nearer stands out of nothing
_SPLITS = 2000
_SURE = 0.95


def median_of(samples: Sequence[float]) -> float | None:
    """Give the middle of the samples."""
    return statistics.median(samples) if samples else None


def spread_of(samples: Sequence[float]) -> float | None:
    """Give the width of the middle half of the samples; of fewer than four, all of it."""
    if len(samples) < 2:  # noqa: PLR2004  # one sample has no spread, which is not none
        return None
    if len(samples) < 4:  # noqa: PLR2004  # a quarter of three is no sample
        return max(samples) - min(samples)
    first, _, third = statistics.quantiles(samples, n=4, method="inclusive")
    return third - first


def outliers_of(samples: Sequence[float]) -> list[float]:
    """Give the samples that are far from the others."""
    if len(samples) < 4:  # noqa: PLR2004  # among three nobody is the odd one
        return []
    middle = statistics.median(samples)
    typical = _TYPICAL * statistics.median(abs(sample - middle) for sample in samples)
    limit = max(_FAR * typical, _LEAST * middle)
    return [sample for sample in samples if abs(sample - middle) > limit]


def noise_of(a: Sequence[float], b: Sequence[float], seed: int) -> float | None:
    """Give the share by which two medians of the very same thing may differ.

    Two measurements of one cell differ by chance only. The floor is the
    difference that they showed, or the one that 95 of 100 ways to deal all the
    samples out into two such halves stay below, whichever is larger: two
    medians may well agree by luck.
    """
    if not a or not b:
        return None
    pooled = [*a, *b]
    middle = statistics.median(pooled)
    if middle <= 0:
        return None
    seen = abs(statistics.median(a) - statistics.median(b))
    dealt = sorted(abs(statistics.median(one) - statistics.median(other)) for one, other in _deal(pooled, len(a), seed))
    return max(seen, dealt[min(len(dealt) - 1, int(_SURE * len(dealt)))]) / middle


def _deal(samples: Sequence[float], size: int, seed: int) -> Iterator[tuple[list[float], list[float]]]:
    """Deal samples out into two hands, in every way there is or in many drawn by lot."""
    places = range(len(samples))
    ways = list(itertools.islice(itertools.combinations(places, size), _SPLITS + 1))
    if len(ways) > _SPLITS:
        lot = random.Random(seed)  # noqa: S311  # nothing to keep secret
        ways = [tuple(lot.sample(places, size)) for _ in range(_SPLITS)]
    for way in ways:
        chosen = set(way)
        yield [samples[at] for at in chosen], [samples[at] for at in places if at not in chosen]
