"""Durations, sizes and counts as people write them, and what stands for one that nobody knows."""

from __future__ import annotations

import re
from fractions import Fraction

UNKNOWN = "\N{EN DASH}"  # in every table that people read
_NUMBER = r"\d{1,12}(?:\.\d{1,12})?"
_DURATION = re.compile(rf"(?:(?P<h>{_NUMBER})h)?(?:(?P<m>{_NUMBER})m)?(?:(?P<s>{_NUMBER})s)?")
_MILLISECONDS = re.compile(r"(\d{1,12})ms")
_SIZE = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<unit>[kKMGT]?i?B?)")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_LONGEST_S = 7 * 24 * 3600.0

# What an editor can be told of the above: sums of parts are beyond a pattern.
_SHARE = r"(?:\.\d{1,12})?"
_HOURS = rf"0*(?:\d{{1,2}}|1[0-5]\d|16[0-8]){_SHARE}h"
DURATION_PATTERN = rf"^\s*(?:0*\d{{1,9}}ms|(?:{_HOURS})?(?:0*\d{{1,5}}{_SHARE}m)?(?:0*\d{{1,6}}{_SHARE}s)?)\s*$"
_TO_A_BYTE = (  # as many digits behind the point as a unit has of bytes, and zeros
    r"(?:\.0{1,12})?\s*|(?:\.\d{1,3}0{0,9})?\s*[kK]|(?:\.\d{1,6}0{0,6})?\s*M|(?:\.\d{1,9}0{0,3})?\s*G|(?:\.\d{1,12})?\s*T"
)
SIZE_PATTERN = rf"^\s*\d{{1,12}}(?:{_TO_A_BYTE})i?B?\s*$"
MORE_THAN_NOTHING = "[1-9]"
LONGEST_S = int(_LONGEST_S)
LARGEST_PLAIN = 10**12 - 1


def count(number: int, noun: str) -> str:
    """Write how many there are of something."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def parse_duration(value: object) -> float:
    """Give the seconds of `90`, `90s`, `1m30s`, `250ms` or `2h`."""
    text = str(value).strip()
    seconds = -1.0
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = float(value)
    elif found := _MILLISECONDS.fullmatch(text):
        seconds = int(found[1]) / 1000
    elif text and (found := _DURATION.fullmatch(text)):
        hours, minutes, rest = (float(found[part] or 0) for part in "hms")
        seconds = hours * 3600 + minutes * 60 + rest
    if not 0 < seconds <= _LONGEST_S:
        message = f"'{text}' is not a duration; write 90s, 1m30s or 2h (more than 0, up to 7 days)"
        raise ValueError(message)
    return seconds


def parse_size(value: object) -> int:
    """Give the bytes of `250MB` (10^6), `1.5GiB` (2^30, cut to whole bytes) or a plain number."""
    text = str(value).strip()
    size = 0
    if (found := _SIZE.fullmatch(text)) and re.fullmatch(SIZE_PATTERN, text):
        prefix = found["unit"].rstrip("B").lower()
        step = 1024 if prefix.endswith("i") else 1000
        size = int(Fraction(found["number"]) * step ** _POWERS[prefix.removesuffix("i")])
    if size <= 0:
        message = f"'{value}' is not a size in whole bytes; write 250MB or 1.5GiB"
        raise ValueError(message)
    return size


def render_limit(seconds: float) -> str:
    """Write a limit of time in seconds, with as many digits as a short one needs: none was ever 0."""
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"  # noqa: PLR2004  # two digits either way


def render_span(seconds: float) -> str:
    """Write a duration so that it can be read again."""
    return f"{seconds:g}s"


def megabytes(size: float | None, more: int = 0) -> str:
    """Write bytes as MB (10^6), with the digits that a small image needs, and some more where these do not tell."""
    if size is None:
        return UNKNOWN
    value = size / 1_000_000
    return f"{value:.{1 + more}f}" if abs(value) >= 1 or size == 0 else f"{value:.{3 + more}f}"


def signed_megabytes(size: float | None) -> str:
    """Write a difference of bytes as MB, with its sign."""
    return f"+{megabytes(size)}" if size is not None and size > 0 else megabytes(size)
