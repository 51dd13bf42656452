"""Finds out whether Python and the C library know time zones, and the image's own TZ among them."""

from __future__ import annotations

import os
import re
import zoneinfo
from datetime import datetime, timedelta
from pathlib import Path

from orchestrator.probes._prelude import Result, failed, is_installed, passed, run_probe, run_python

ZONE = "Europe/Berlin"
WINTER, SUMMER = timedelta(hours=1), timedelta(hours=2)
# A zone spelt out, as POSIX has it (CET-1CEST,M3.5.0,M10.5.0/3): a name and how far it is from UTC come first.
_SPELT_OUT = re.compile(r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?\d")
_MAGIC = b"TZif"
# 2026-01-15 and 2026-07-15 at noon, UTC: their offsets are one and two hours.
_LIBC_OFFSETS = "import time; print(*(time.localtime(moment).tm_gmtoff for moment in (1768478400, 1784116800)))"


def probe() -> Result:
    """Ask both for the same zone, in winter and in summer."""
    python = python_offsets()
    libc = run_python(_LIBC_OFFSETS, TZ=ZONE).stdout.split()
    own = os.environ.get("TZ", "")
    detail = {
        "zone": ZONE,
        "zoneinfo": python,
        "libc_offsets_s": libc,
        "tzdata_package": is_installed("tzdata"),
        "TZ": own,
    }
    if python != "right":
        return failed(f"ZoneInfo({ZONE!r}): {python}", **detail)
    if libc != ["3600", "7200"]:
        return failed(f"TZ={ZONE} gives local times of another zone: the base has no time zone data", **detail)
    if own and not knows(own):
        return failed(
            f"the image's own TZ={own} is no zone that it knows, so its local times are UTC",
            **detail,
        )
    return passed(f"{ZONE} is right in Python and in the C library", **detail)


def python_offsets() -> str:
    """Whether the standard library's zone has the offsets of winter and summer, or why not."""
    try:
        zone = zoneinfo.ZoneInfo(ZONE)
    except zoneinfo.ZoneInfoNotFoundError as error:
        return f"{type(error).__name__}: {error.args[0]}"
    offsets = [datetime(2026, month, 15, tzinfo=zone).utcoffset() for month in (1, 7)]
    return "right" if offsets == [WINTER, SUMMER] else f"wrong offsets {offsets}"


def knows(name: str) -> bool:
    """Whether a zone of this name, or at this path, can be loaded; a TZ of another form, such as UTC0, needs no data."""
    zone = name.removeprefix(":")
    if "/" not in zone or _SPELT_OUT.match(zone):
        return True
    try:
        if zone.startswith("/"):
            return Path(zone).read_bytes().startswith(_MAGIC)
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


if __name__ == "__main__":
    run_probe("timezone", probe)
