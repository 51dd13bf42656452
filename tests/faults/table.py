"""What the drills found, as a table in docs/reliability.md: each drill replaces its own rows and leaves all others."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
BEGIN, END = "<!-- drills:begin -->", "<!-- drills:end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was tried: how often, what was lost by it (`nothing` is the promise), and what was seen."""

    drill: str
    tried: str
    times: int
    lost: str
    seen: str


def save_rows(drill: str, rows: Iterable[Row], page: Path = PAGE) -> str:
    """Put the rows of one drill in the place of those it left before; give the table of that drill."""
    kept = page.with_suffix(".json")
    everything: dict[str, list[dict[str, str | int]]] = json.loads(kept.read_text()) if kept.is_file() else {}
    mine = sorted(rows, key=lambda row: row.tried)
    everything[drill] = [asdict(row) for row in mine]
    kept.write_text(json.dumps(everything, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    render_page(page)
    return render_table(mine)


def load_rows(page: Path = PAGE) -> list[Row]:
    """Read what all drills left, drill by drill."""
    stored = json.loads(page.with_suffix(".json").read_text())
    return [Row(**row) for name in sorted(stored) for row in stored[name]]


def render_page(page: Path = PAGE) -> None:
    """Write the table of all drills between the marks of the page."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{render_table(load_rows(page))}\n\n{END}{after}")


def render_table(rows: Iterable[Row]) -> str:
    """Render rows as a table that both a terminal and GitHub can show."""
    cells = [(row.drill, row.tried, f"{row.times:,}", row.lost, row.seen) for row in rows]
    return tabulate(cells, ("drill", "tried", "times", "lost", "seen"), tablefmt="github", colalign=("left",) * 2 + ("right",))
