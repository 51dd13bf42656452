"""Text in the columns of a terminal: made inert, and cut, filled and wrapped by the room that it takes there."""

from __future__ import annotations

import unicodedata

from msgspec import Struct
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from orchestrator.smoke.words import one_line, shorten

NARROWEST = 40
WIDEST = 120  # a pipe has lines of any length, and people none so long
_RULES = Console()  # rich asks it how to break lines; nothing is written to it
_UNSEEN = {"Cc", "Cf", "Cs", "Cn", "Co"}  # what orders, turns or joins letters, and what is no letter


class Sheet(Struct, frozen=True):
    """What is drawn on: a width, and whether there may be colour."""

    width: int
    colour: bool = False

    @property
    def columns(self) -> int:
        """Give the width that is used."""
        return min(max(self.width, NARROWEST), WIDEST)

    def render(self, lines: list[Text]) -> str:
        """Write lines down, none wider than the columns, with escape sequences only where there may be colour."""
        for line in lines:
            line.truncate(self.columns)
        if not self.colour:
            return "".join(f"{line.plain.rstrip()}\n" for line in lines)
        console = Console(force_terminal=True, color_system="standard", width=WIDEST + 1, highlight=False, legacy_windows=False)
        with console.capture() as capture:
            for line in lines:
                console.print(line, soft_wrap=True)
        return capture.get()


def plain(text: str) -> str:
    """Make one line of anything, in which nothing is but what can be seen."""
    return "".join(letter for letter in one_line(text) if unicodedata.category(letter) not in _UNSEEN).strip()


def fit(text: str, width: int) -> str:
    """Make any text take exactly so many columns."""
    line = plain(shorten(text))
    return set_cell_size(line, width) if cell_len(line) <= width else set_cell_size(line, width - 1) + "…"


def wrap(text: str, width: int, *, label: str = "", style: str = "") -> list[Text]:
    """Lay any text out in lines beside a label, from the second on two columns further in."""
    room = max(width - len(label) - 2, 10)
    parts = [part.plain.rstrip() for part in Text(plain(text)).wrap(_RULES, room)]
    return [Text(" " * (len(label) + 2) + part if at else label + part, style) for at, part in enumerate(parts)]
