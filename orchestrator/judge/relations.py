"""Whether a relation holds between two figures, beyond what chance may do to them."""

from __future__ import annotations

import math

from orchestrator.judge.figures import BUILT, FAILS, PASSES


def relation_holds(relation: str, left: float, right: float, by: float | None, floor: float) -> bool | None:
    """Tell whether `left` is smaller, larger or equal to `right`; None where the floor of differences leaves it open.

    A share is one of `right`, except for `equal`: there it is one of the larger
    figure, so that it does not matter which is which.
    """
    if left == right == 0:  # no share of nothing tells the two apart
        return relation == "equal"
    if relation in ("smaller", "faster"):
        return _is_less(left, right * (1 - (by or 0.0)), floor, strictly=not by)
    if relation in ("larger", "slower"):
        return _is_less(right * (1 + (by or 0.0)), left, floor, strictly=not by)
    if relation == "equal":
        return _are_equal(min(left, right), max(left, right), by, floor)
    return None


def outcome_holds(relation: str, left: float, right: float | None) -> bool | None:
    """Tell whether the left cell fails, or passes, and the right one, where there is one, does the opposite.

    Where both fail, what they differ in is not what makes them fail, so nothing
    is known. A cell that was built and not tested may yet fail; beside one that
    fails it is the better one all the same.
    """
    if relation == "equal":
        return None if right is None or BUILT in (left, right) else left == right
    if right is None:
        return None if left == BUILT else (left == FAILS) == (relation == "fails")
    failing, passing = (left, right) if relation == "fails" else (right, left)
    if FAILS in (failing, passing):
        return failing == FAILS if failing != passing else None
    return False if failing == PASSES else None


def _is_less(lesser: float, greater: float, floor: float, *, strictly: bool) -> bool | None:
    """Tell whether one figure is less than another, whichever way each may be off."""
    if floor == 0:
        return lesser < greater or (not strictly and math.isclose(lesser, greater))
    if lesser * (1 + floor) < greater:
        return True
    return False if greater * (1 + floor) < lesser else None


def _are_equal(lesser: float, greater: float, by: float | None, floor: float) -> bool | None:
    """Tell whether two figures differ by no more than a share; without one, by no more than chance."""
    if by is None:
        return greater <= lesser * (1 + floor)
    at_most = greater * (1 - by)  # how small the lesser may be
    if floor == 0:
        return lesser >= at_most or math.isclose(lesser, at_most)
    if lesser >= at_most * (1 + floor):
        return True
    return False if lesser * (1 + floor) < at_most else None
