"""Figures as one row of bars, a letter each, and outcomes as one row of marks: plain text that needs no colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.judge.history import Outcome

_BARS = "▁▂▃▄▅▆▇█"
_MISSING = "·"
_FLAT = 0.001  # of the largest


def is_flat(low: float, high: float) -> bool:
    """Tell whether the least and the most of some figures are so near that they are drawn as the same."""
    return high - low <= _FLAT * abs(high)


def draw_figures(figures: Sequence[float | None]) -> str:
    """Draw figures from their least to their most; where they hardly differ, as a line in the middle."""
    known = [figure for figure in figures if figure is not None]
    if not known:
        return _MISSING * len(figures)
    low, high = min(known), max(known)
    if is_flat(low, high):
        return "".join(_MISSING if figure is None else _BARS[3] for figure in figures)
    step = (high - low) / (len(_BARS) - 1)
    return "".join(_MISSING if figure is None else _BARS[round((figure - low) / step)] for figure in figures)


def draw_outcomes(outcomes: Sequence[Outcome | None]) -> str:
    """Draw how a cell ended, run by run."""
    return "".join(map(_mark, outcomes))


def _mark(outcome: Outcome | None) -> str:
    if outcome is None:
        return _MISSING
    if outcome.status.is_left_out:
        return "-"
    return "." if outcome.as_expected else "x"
