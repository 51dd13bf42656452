"""Progress as a live table of cells, on a terminal of any width."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, cast

from msgspec import Struct
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orchestrator.progress.lines import BEGINNINGS
from orchestrator.progress.say import Lasting
from orchestrator.smoke.words import one_line, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.events import Event

_COLOURS = {"passed": "green", "build-failed": "red", "smoke-failed": "red", "timeout": "red", "error": "magenta"}
_NARROW = 60
_TINY = 30


class _Row(Struct):
    state: str = "waiting"
    detail: str = ""
    began: datetime | None = None
    ended: datetime | None = None


class LiveTable:
    """The state of all cells; rich asks for a picture of it when it wants one."""

    def __init__(self, cells: Sequence[str]) -> None:
        """Start with every cell waiting."""
        self.begin(cells)

    def begin(self, cells: Sequence[str]) -> None:
        """Take the cells of the run."""
        self._rows = {cell: _Row() for cell in cells}

    def take(self, event: Event) -> None:
        """Let an event change its cell's row."""
        row = self._rows.get(event.cell or "")
        if row is None:
            return
        match event.kind:
            case "cell-started":
                row.state, row.began = "building", event.at
            case "cell-step":
                step = str(event.data.get("step"))
                row.state, row.detail = "pulling" if " FROM " in step else "building", step
            case "cell-measuring" | "cell-loading" | "cell-smoke":
                row.state, row.detail = event.kind.removeprefix("cell-"), ""
            case "cell-sample":
                row.detail = f"timed: {event.data.get('scenario')}, sample {event.data.get('number')}"
            case "cell-retried":
                row.state, row.detail = "retrying", str(event.data.get("reason"))
            case "cell-finished":
                row.state, row.detail = str(event.data.get("status")), str(event.data.get("reason") or "")
                row.ended = event.at

    def draw(self, width: int, height: int) -> Table:
        """Draw as many rows as fit, those under way first, and count the others."""
        table = Table(box=None, pad_edge=False, show_edge=False, expand=False, header_style="none", caption_style="none")
        for name, columns in _widths(width, max(map(len, self._rows), default=4)).items():
            table.add_column(name, width=columns, no_wrap=True, overflow="ellipsis", justify="right" if name == "time" else "left")
        shown = sorted(self._rows.items(), key=lambda item: _rank(item[1]))[: max(1, height - 4)]
        names = {name for name, _ in shown}
        for name, row in self._rows.items():
            if name in names:
                texts = [
                    Text(name),
                    Text(row.state, style=_COLOURS.get(row.state, "")),
                    Text(_seconds(row)),
                    Text(shorten(row.detail)),
                ]
                table.add_row(*texts[: len(table.columns)])
        done = sum(row.ended is not None for row in self._rows.values())
        table.caption = f"{done} of {len(self._rows)} done" + (
            f", {len(self._rows) - len(names)} not shown" if len(names) < len(self._rows) else ""
        )
        table.caption_justify = "left"
        return table


def _widths(width: int, longest: int) -> dict[str, int]:
    """Share a terminal's columns out: the state always, then the cell, the time, and what is left for the step."""
    state, time, gap = 12, 6, 2  # rich keeps a gap behind the last column as well
    if width < _TINY:
        return {"cell": max(4, width - state - 2 * gap), "state": state}
    if width < _NARROW:
        return {"cell": width - state - time - 3 * gap, "state": state, "time": time}
    cell = max(12, min(longest, width // 2 - state))
    return {"cell": cell, "state": state, "time": time, "step": width - cell - state - time - 4 * gap}


def _rank(row: _Row) -> int:
    if row.ended is not None:
        return 2 if row.state == "passed" else 1
    return 0 if row.began is not None else 3


def _seconds(row: _Row) -> str:
    if row.began is None:
        return ""
    return f"{((row.ended or datetime.now(UTC)) - row.began).total_seconds():.0f} s"


@contextmanager
def live_progress() -> Iterator[Callable[[Event], None]]:
    """Show the table from the moment that the run says which cells it has until the block ends; other words go above it."""
    table = LiveTable(())
    console = Console(file=cast("IO[str]", Lasting(sys.stderr)))

    class Picture:
        def __rich__(self) -> Table:
            return table.draw(console.width, console.height)

    with ExitStack() as until_the_end:

        def take(event: Event) -> None:
            if event.kind in BEGINNINGS:
                table.begin(event.data.get("ids", ()))
                until_the_end.enter_context(Live(Picture(), console=console, refresh_per_second=4, transient=True))
            table.take(event)
            if event.kind == "warning":
                console.print(f"warning: {one_line(str(event.data.get('text')))}", markup=False, highlight=False)

        yield take
