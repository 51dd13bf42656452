"""Durations and sizes as people write them."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_MILLISECONDS = re.compile(r"(\d+)ms")
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kKMGT]?i?B?)")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_LONGEST_S = 7 * 24 * 3600.0

DURATION_PATTERN = r"^(\d+ms|(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?)$"
SIZE_PATTERN = r"^\d+(\.\d+)?\s*[kKMGT]?i?B?$"


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
    """Give the bytes of `250MB` (10^6), `1.5GiB` (2^30) or a plain number."""
    found = _SIZE.fullmatch(str(value).strip())
    if not found or isinstance(value, bool):
        message = f"'{value}' is not a size; write 250MB or 1.5GiB"
        raise ValueError(message)
    prefix = found["unit"].rstrip("B").lower()
    step = 1024 if prefix.endswith("i") else 1000
    return int(float(found["number"]) * step ** _POWERS[prefix.removesuffix("i")])


def render_size(size: int | None) -> str:
    """Write a size in MB (10^6 bytes), the unit that registries and pulls are counted in."""
    if size is None:
        return ""
    if size < 100_000:  # noqa: PLR2004  # below this, MB with one digit says nothing
        return f"{size / 1000:.1f} kB"
    return f"{size / 1_000_000:.1f} MB"


def render_duration(seconds: float | None) -> str:
    """Write a time as a table has it: one digit below a minute, minutes above."""
    if seconds is None:
        return ""
    if seconds < 59.95:  # noqa: PLR2004  # rounds to 60.0 otherwise
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s"
