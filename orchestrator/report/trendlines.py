"""A history as the front page of a site has it: each cell's newest figures, pictures of its last runs, and what shifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.model import Status
from orchestrator.report.history import describe_shift, group_shifts, make_heading
from orchestrator.report.sparkline import is_flat
from orchestrator.report.table import seconds
from orchestrator.units import UNKNOWN, count, megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.judge.history import History, Outcome, Shift, Trend

MOST_RUNS = 60  # that a picture shows
MOST_CELLS = 300
STEP, HEIGHT = 4, 20  # of a picture's own units: from run to run, and from the top to the bottom
_EDGE = 3  # left free above and below, for the width of the line


class Line(Struct, frozen=True):
    """Figures of a cell over runs: the newest one, their course as a path, its end and its shifts as dots, all in words."""

    newest: str
    path: str
    end: str
    shifts: str
    words: str


class Marks(Struct, frozen=True):
    """How a cell ended, run by run, as paths of marks, and in words."""

    newest: str
    kind: str  # good, bad or left-out: how its row is drawn
    good: str
    bad: str
    left_out: str
    words: str


class TrendRow(Struct, frozen=True):
    """A cell over the last runs; no line where no run has such a figure."""

    cell: str
    outcomes: Marks
    size: Line | None
    time: Line | None
    last_shift: str | None
    last_run: str | None


class Trends(Struct, frozen=True):
    """What the front page shows of a history."""

    heading: str
    width: int
    shown: int
    runs: int
    timed: bool
    estimated: bool
    rows: tuple[TrendRow, ...]
    more_cells: int
    shifts: tuple[tuple[str, tuple[str, ...]], ...]


def make_trends(history: History) -> Trends:
    """Make of a history what fits on a page: so many cells, so many runs, the newest on the right."""
    shown = min(MOST_RUNS, len(history.runs))
    names = [run.id for run in history.runs[-shown:]]
    trends = history.trends[:MOST_CELLS]
    return Trends(
        heading=make_heading(history),
        width=max(1, shown) * STEP,
        shown=shown,
        runs=len(history.runs),
        timed=any(time_s is not None for trend in trends for time_s in trend.cold_s),
        estimated=any(any(trend.estimated) for trend in trends),
        rows=tuple(_make_row(trend, names) for trend in trends),
        more_cells=len(history.trends) - len(trends),
        shifts=tuple((head, tuple(causes)) for head, causes in group_shifts(history)),
    )


def _make_row(trend: Trend, names: Sequence[str]) -> TrendRow:
    last = trend.shifts[-1] if trend.shifts else None
    return TrendRow(
        cell=trend.cell,
        outcomes=_draw_outcomes(trend.outcomes[-len(names) :]),
        size=_draw_line(trend.sizes_bytes, names, _shifted(trend.shifts, "size"), megabytes, "MB", trend.estimated),
        time=_draw_line(trend.cold_s, names, _shifted(trend.shifts, "time"), seconds, "s"),
        last_shift=f"{last.at:%Y-%m-%d} {describe_shift(last)}" if last else None,
        last_run=last.run if last else None,
    )


def _shifted(shifts: Sequence[Shift], metric: str) -> frozenset[str]:
    return frozenset(shift.run for shift in shifts if shift.metric == metric)


def _draw_line(
    figures: Sequence[float | None],
    names: Sequence[str],
    shifted: frozenset[str],
    write: Callable[[float | None], str],
    unit: str,
    estimated: Sequence[bool] = (),
) -> Line | None:
    """Draw figures from their least to their most as one line that is broken where a run has none."""
    known = [at for at, figure in enumerate(figures) if figure is not None]
    if not known:
        return None
    newest = figures[known[-1]]
    mark = "~" if estimated and estimated[known[-1]] else ""
    figures = figures[-len(names) :]
    there = [figure for figure in figures if figure is not None]
    places = _places(figures)
    dots = {name: f"M{x} {y:g}h0" for (x, y), name in zip(places, names, strict=True) if y is not None}
    return Line(
        newest=mark + write(newest),
        path=_join(places),
        end=next(reversed(dots.values()), ""),
        shifts="".join(dot for name, dot in dots.items() if name in shifted),
        words=_words(there, write, unit),
    )


def _words(there: Sequence[float], write: Callable[[float | None], str], unit: str) -> str:
    if not there:
        return "not known in these runs"
    first, last, low, high = map(write, (there[0], there[-1], min(there), max(there)))
    return f"from {first} to {last} {unit} over {count(len(there), 'run')}; least {low}, most {high}"


def _places(figures: Sequence[float | None]) -> list[tuple[int, float | None]]:
    known = [figure for figure in figures if figure is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    flat = is_flat(low, high)
    room = HEIGHT - 2 * _EDGE

    def place(figure: float | None) -> float | None:
        if figure is None:
            return None
        return HEIGHT / 2 if flat else round(HEIGHT - _EDGE - room * (figure - low) / (high - low), 1)

    return [(at * STEP + STEP // 2, place(figure)) for at, figure in enumerate(figures)]


def _join(places: Sequence[tuple[int, float | None]]) -> str:
    """Write places as a path; one that stands alone is a line of no length, which round ends make a dot."""
    parts: list[str] = []
    previous = None
    for at, (x, y) in enumerate(places):
        if y is not None:
            alone = previous is None and (at + 1 == len(places) or places[at + 1][1] is None)
            parts.append(f"{'M' if previous is None else 'L'}{x} {y:g}{'h0' if alone else ''}")
        previous = y
    return "".join(parts)


def _draw_outcomes(outcomes: Sequence[Outcome | None]) -> Marks:
    """Draw a mark for each run: what ended as expected stands low, what did not stands over the whole height."""
    good, bad, left_out = [], [], []
    for at, outcome in enumerate(outcomes):
        x = at * STEP + STEP // 2
        if outcome is None:
            continue
        if outcome.status.is_left_out:
            left_out.append(f"M{x} {HEIGHT - _EDGE}h0")
        elif outcome.as_expected:
            good.append(f"M{x} {HEIGHT - _EDGE}V{HEIGHT // 2}")
        else:
            bad.append(f"M{x} {HEIGHT - _EDGE}V{_EDGE}")
    newest = next((outcome for outcome in reversed(outcomes) if outcome is not None), None)
    words = f"{_ended(newest)}; not as expected in {len(bad)} of {count(len(good) + len(bad), 'run')}"
    return Marks(_ended(newest), _kind_of(newest), "".join(good), "".join(bad), "".join(left_out), words)


def _ended(outcome: Outcome | None) -> str:
    """Say how a cell ended as the table of a run does."""
    if outcome is None:
        return UNKNOWN
    if outcome.as_expected and outcome.status != Status.PASSED and not outcome.status.is_left_out:
        return f"{outcome.status} (expected)"
    return outcome.status if outcome.as_expected or outcome.status != Status.PASSED else "passed (unexpected)"


def _kind_of(outcome: Outcome | None) -> str:
    if outcome is None or outcome.status.is_left_out:
        return "left-out"
    return "good" if outcome.as_expected else "bad"
