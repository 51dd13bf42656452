"""Progress as lines: for people in a log, for machines, and for GitHub Actions."""

from __future__ import annotations

import json
from threading import Lock
from typing import TYPE_CHECKING

from orchestrator.progress.say import say
from orchestrator.smoke.words import one_line, shorten
from orchestrator.units import count

if TYPE_CHECKING:
    from orchestrator.events import Event

BEGINNINGS = ("run-started", "run-resumed")


class PlainProgress:
    """A line with a time for everything that changes a cell's state."""

    def __init__(self) -> None:
        """Count the cells that are done."""
        self._lock = Lock()
        self._done = 0
        self._of = 0

    def __call__(self, event: Event) -> None:
        """Write an event, if it is one that people want to read."""
        with self._lock:
            if text := self._words(event):
                self.write(event, one_line(text))

    def write(self, event: Event, text: str) -> None:
        """Write one line."""
        say(f"{event.at:%H:%M:%S} {text}\n")

    def _words(self, event: Event) -> str | None:  # noqa: PLR0911  # one for each kind of event
        data, cell = event.data, event.cell
        match event.kind:
            case "run-started" | "run-resumed":
                self._of = int(data.get("cells", 0))
                return f"{event.kind.replace('-', ' ')} {data.get('run')}: {count(self._of, 'cell')}, {data.get('builder')}"
            case "cell-started":
                return f"{cell}: building"
            case "cell-step":
                return f"{cell}: {shorten(str(data.get('step')))}"
            case "cell-loading":
                return f"{cell}: loading into the engine"
            case "cell-smoke":
                return f"{cell}: smoke"
            case "cell-retried":
                return f"{cell}: attempt {data.get('attempt')} failed, again in {data.get('wait_s'):.0f} s: {data.get('reason')}"
            case "cell-sample":
                return f"timed: {event.data.get('scenario')}, sample {event.data.get('number')}"
            case "cell-finished":
                self._done += 1
                reason = f": {data['reason']}" if data.get("reason") else ""
                return f"{cell}: {data.get('status')} ({self._done}/{self._of}){reason}"
            case "warning":
                return f"warning: {data.get('text')}"
        return None


class GithubProgress(PlainProgress):
    """GitHub Actions: one group for the run, an annotation for what did not end as expected."""

    def write(self, event: Event, text: str) -> None:
        """Write a line, and the workflow command that goes with it."""
        if event.kind in BEGINNINGS:
            say(f"::group::matrix {_command_text(text)}\n")
        super().write(event, text)
        if event.kind == "cell-finished" and event.data.get("as_expected") is False:
            say(f"::error title=matrix {_property_text(event.cell or '')}::{_command_text(text)}\n")
        if event.kind == "warning":
            say(f"::warning::{_command_text(text)}\n")

    def __call__(self, event: Event) -> None:
        """Write an event; the end of the run closes the group."""
        super().__call__(event)
        if event.kind == "run-finished":
            say("::endgroup::\n")


def _command_text(text: str) -> str:
    """Escape what would end a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property_text(text: str) -> str:
    return _command_text(text).replace(":", "%3A").replace(",", "%2C")


class JsonProgress:
    """One JSON object a line, the same as in the run's journal."""

    def __init__(self) -> None:
        """Keep lines whole when cells report at once."""
        self._lock = Lock()

    def __call__(self, event: Event) -> None:
        """Write an event."""
        line = {"at": event.at.isoformat(), "kind": event.kind, **({"cell": event.cell} if event.cell else {}), **event.data}
        with self._lock:
            say(json.dumps(line, ensure_ascii=False) + "\n")
