"""What pip and uv print while they install: which packages came as wheels, which were compiled, and how long that took."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.packages import normal_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from orchestrator.measure.progress import LogLine

_NAME = r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,200}?)"
_BEGUN = re.compile(rf"\s*Building wheel for {_NAME} \(.{{1,60}}\): started")
_DONE = re.compile(rf"\s*Building wheel for {_NAME} \(.{{1,60}}\): finished with status '(?P<how>\w+)'")
_UV_BEGUN = re.compile(rf"\s*Building {_NAME}==(?P<version>[^\s(]{{1,100}})(?: @ .*)?\s*")
_UV_DONE = re.compile(rf"\s*Built {_NAME}==(?P<version>[^\s(]{{1,100}})(?: @ .*)?\s*")
_WHEEL = re.compile(
    rf"\s*(?:Downloading|Using cached) (?:https?://\S*/)?{_NAME}-(?P<version>[^-\s]{{1,100}})(?:-\d[^-\s]*)?-[^-\s]+-[^-\s]+-[^-\s]+\.whl(?:[\s#].*)?"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}m")
_MAX_LINE = 600
_MAX_NAMED = 20_000


class Origin(Struct, frozen=True):
    """What a package was installed from, and the seconds that compiling it took where that is known."""

    built_from: str
    version: str | None = None
    seconds: float | None = None


class InstallLog:
    """Reads what the steps of a build print, line by line, of several steps at once."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._begun: dict[tuple[str, str], datetime] = {}
        self._origins: dict[str, Origin] = {}

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Give what is known, by the package's name as the index compares it."""
        return self._origins

    def feed(self, log: LogLine) -> None:
        """Take a line that a step printed."""
        line = log.text
        if len(line) <= _MAX_LINE and ("uil" in line or ".whl" in line) and len(self._origins) < _MAX_NAMED:
            self._take(log, _COLOUR.sub("", line.rstrip("\r\n")))

    def _take(self, log: LogLine, line: str) -> None:
        if found := _BEGUN.match(line) or _UV_BEGUN.fullmatch(line):
            if log.at:
                self._begun[log.vertex, normal_name(found["name"])] = log.at
        elif found := _DONE.match(line) or _UV_DONE.fullmatch(line):
            if found.groupdict().get("how", "done") == "done":
                self._built(log, normal_name(found["name"]), found.groupdict().get("version"))
        elif found := _WHEEL.fullmatch(line):
            self._origins.setdefault(normal_name(found["name"]), Origin("wheel", found["version"]))

    def _built(self, log: LogLine, name: str, version: str | None) -> None:
        begun = self._begun.pop((log.vertex, name), None)
        seconds = max(0.0, (log.at - begun).total_seconds()) if begun and log.at else None
        self._origins[name] = Origin("sdist", version, None if seconds is None else round(seconds, 3))
