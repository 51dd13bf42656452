"""Figures and lists as the sentences of a judgement have them, with the rounding of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from orchestrator.rules import BYTES, COUNT, SECONDS, SHARE
from orchestrator.units import UNKNOWN, megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

T = TypeVar("T")

_SMALL = 0.001
_MOST_MORE = 6  # digits, where fewer would make two figures the same
_TWICE = 2.0  # from here on people say how many times, not how many percent
_DIFFERENT = {BYTES: ("smaller", "larger"), SECONDS: ("faster", "slower"), COUNT: ("fewer", "more"), SHARE: ("less", "more")}


def render_amount(value: float | None, unit: str, more: int = 0) -> str:
    """Write a figure with its unit, and with more digits than usual if asked."""
    if value is None:
        return UNKNOWN
    if unit == BYTES:
        return f"{megabytes(value, more)} MB"
    if unit == SECONDS:
        return f"{value:.{2 + more}f} s"
    return f"{value:.{1 + more}%}" if unit == SHARE else f"{value:.{6 + more}g}"


def write_apart(value: T, other: T, write: Callable[[T, int], str]) -> tuple[str, str]:
    """Write two figures with as many more digits as it takes to see that they differ."""
    more = 0
    while value != other and more < _MOST_MORE and write(value, more) == write(other, more):
        more += 1
    return write(value, more), write(other, more)


def render_apart(value: float, other: float, unit: str) -> tuple[str, str]:
    """Write two figures with their unit, told apart if they differ."""
    return write_apart(value, other, lambda one, more: render_amount(one, unit, more))


def render_factor(factor: float) -> str:
    """Write how many times, and never 1.00 for what is more or less than that."""
    return write_apart(factor, 1.0, lambda one, more: f"{one:.{2 + more}f}")[0]


def render_share(share: float) -> str:
    """Write a share that may be small."""
    return f"{share:.1%}" if share >= _SMALL else f"{share:.2%}"


def render_difference(value: float, other: float, unit: str) -> str:
    """Say how a figure differs from another, as a share of that other."""
    less, more = _DIFFERENT.get(unit, ("less", "more"))
    if value == other:
        return "the same"
    if other == 0:
        return more
    if unit == SECONDS and value < other:
        return f"{1 - value / other:.1%} less time"
    if unit == SECONDS:
        return f"{value / other - 1:.1%} more time" if value / other < _TWICE else f"{value / other:.2f} times as long"
    if value < other:
        return f"{1 - value / other:.1%} {less}"
    return (
        f"{value / other - 1:.1%} {more}" if value / other < _TWICE else f"{value / other:.2f} times as {_MUCH.get(unit, 'much')}"
    )


_MUCH = {BYTES: "large", COUNT: "many"}


def join_words(words: Sequence[str], comma: str = ", ") -> str:
    """Write `a, b and c`; what has commas of its own is told apart by another mark."""
    last = " and " if comma == ", " else f"{comma}and "
    return f"{comma.join(words[:-1])}{last}{words[-1]}" if len(words) > 1 else "".join(words)


def join_some(words: Sequence[str], most: int, comma: str = ", ") -> str:
    """Write the first words, and how many more there are."""
    left = len(words) - most
    return join_words([*words[:most], f"{left} more"] if left > 0 else words, comma)


def join_places(places: Sequence[str], most: int) -> str:
    """Write the first places, of which each has commas where groups are told apart by several axes."""
    return join_some(places, most, "; " if any("," in place for place in places) else ", ")


def order_axes(axes: Mapping[str, str], order: Sequence[str], without: Collection[str] = ()) -> tuple[tuple[str, str], ...]:
    """Give a cell's values in the order of the matrix's axes, whatever the order in which they were stored."""
    known = [axis for axis in order if axis in axes]
    found = [*known, *sorted(axis for axis in axes if axis not in known)]
    return tuple((axis, axes[axis]) for axis in found if axis not in without)


def render_place(axes: Sequence[tuple[str, str]]) -> str:
    """Write where a group lies: `python 3.13, deps fastapi`."""
    return ", ".join(f"{axis} {value}" for axis, value in axes) or "the whole matrix"
