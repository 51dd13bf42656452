"""What was measured as tables of docs/performance.md."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from tabulate import tabulate

from bench.bars import make_bars
from bench.fit import LIMIT, all_checks, samples_of
from bench.nouns import AFTER, BAKE, BEFORE, MATRIX, WITHOUT_SMOKE, WITHOUT_TRACE, Case, Cost, Measured, Row
from orchestrator.measure.statistics import spread_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_UNKNOWN = "unknown"
_MIB = 2**20


def render_results(measured: Measured, real_cells: int) -> str:
    """Write all that goes between the marks of the page."""
    parts = [
        "### Machine and tools",
        render_machine(measured),
        "### The bars",
        render_bars(measured, real_cells),
        "### Side by side",
        render_rows(measured),
        "### What matrix does besides",
        render_parts(measured),
        "### Our own commands",
        render_commands(measured),
        "### The simulation against runs that it was not fitted to",
        render_checks(measured),
    ]
    return "\n\n".join(parts)


def put_between(text: str, results: str, begin: str = BEGIN, end: str = END) -> str:
    """Put results between two marks of a page."""
    before, mark, rest = text.partition(begin)
    _, other, after = rest.partition(end)
    if not mark or not other:
        message = f"the page lacks {begin} and {end}, between which the results go"
        raise ValueError(message)
    return f"{before}{begin}\n\n{results}\n\n{end}{after}"


def render_machine(measured: Measured) -> str:
    """Write what it was measured on."""
    rows = [(name, value.replace("|", "/")) for name, value in measured.machine.items()]
    return tabulate(rows, ("what", "which"), tablefmt="github", disable_numparse=True)


def render_bars(measured: Measured, real_cells: int) -> str:
    """Write each promise with its figure; one that is not kept says so."""
    words = {True: "met", False: "**not met**", None: "not measured here"}
    rows = [(bar.promise, bar.limit, bar.figure or "–", words[bar.met], bar.beside) for bar in make_bars(measured, real_cells)]  # noqa: RUF001  # a dash for what is unknown
    return _table(rows, ("what", "bar", "measured", "", "of it"))


def render_rows(measured: Measured) -> str:
    """Write each contender in each case, and its median against that of bake in the same rounds."""
    rows = []
    for row in sorted(measured.rows, key=_place):
        if row.case.project == "tiny" and row.contender not in (MATRIX, BAKE) and row.case.cells not in (1, 12, 36, 100):
            continue
        rows.append((*_case_words(row.case), row.contender, *_cost_words(measured, row)))
    heads = (
        "cells", "driver", "state", "who", "time s", "to bake",
        "CPU s", "of it our own", "machine CPU s", "memory MiB", "processes", "results",
    )  # fmt: skip
    return _table(rows, heads, left=7, right=5)


def _place(row: Row) -> tuple[str, str, int, str]:
    return row.case.project, row.case.driver, row.case.cells, row.case.state


def _case_words(case: Case) -> tuple[str, str, str]:
    return f"{case.cells} {case.project}", case.driver, case.state


def _cost_words(measured: Measured, row: Row) -> tuple[str, ...]:
    theirs = samples_of(measured, row.case, BAKE)
    wall_s, cpu_s = _middle(row.samples, lambda cost: cost.wall_s), _middle(row.samples, lambda cost: cost.cpu_s)
    own_s = _middle(row.samples, lambda cost: cost.own_cpu_s)
    ratio = f"{wall_s / _middle(theirs, lambda cost: cost.wall_s):.2f}" if theirs else ""
    busy = [cost.machine_cpu_s for cost in row.samples if cost.machine_cpu_s is not None]
    spread = spread_of([cost.wall_s for cost in row.samples])
    return (
        f"{wall_s:.2f}{f' ± {spread / 2:.2f}' if spread is not None else ''}",
        ratio,
        f"{cpu_s:.2f}",
        f"{own_s / cpu_s:.0%}" if cpu_s and row.contender.startswith(MATRIX) else "",
        f"{median(busy):.1f}" if busy else _UNKNOWN,
        _most(row.samples, lambda cost: cost.peak_bytes, lambda found: f"{found / _MIB:.0f}"),
        _most(row.samples, lambda cost: cost.processes, str),
        _most(row.samples, lambda cost: cost.results, str),
    )


def _middle(samples: Sequence[Cost], figure: Callable[[Cost], float]) -> float:
    return median(figure(cost) for cost in samples)


def _most(samples: Sequence[Cost], figure: Callable[[Cost], int | None], render: Callable[[int], str]) -> str:
    found = [value for value in map(figure, samples) if value is not None]
    return render(max(found)) if found else _UNKNOWN


def render_parts(measured: Measured) -> str:
    """Write what the cells of a run waited for, added up over all cells, which overlap, and what a run takes besides."""
    rows = []
    for row in sorted(measured.rows, key=_place):
        if row.contender != MATRIX or not row.samples[0].parts:
            continue
        parts = row.samples[len(row.samples) // 2].parts
        own = [f"{sum(parts.get(name, ())):.2f}" for name in _SHOWN]
        without = [_less(measured, row, contender) for contender in (WITHOUT_SMOKE, WITHOUT_TRACE)]
        rows.append((*_case_words(row.case), *own, *without))
    heads = ("cells", "driver", "state", *_SHOWN, "less without smoke", "less without trace")
    return _table(rows, heads, left=3, right=len(_SHOWN) + 2)


_SHOWN = (BEFORE, "buildx", "definition", "steps", "export", "load", "analyse", "smoke", "tidy", AFTER)


def _less(measured: Measured, row: Row, contender: str) -> str:
    """Say how much shorter the run is without something, as a share of it."""
    others = samples_of(measured, row.case, contender)
    if not others:
        return ""
    whole = _middle(row.samples, lambda cost: cost.wall_s)
    return f"{1 - _middle(others, lambda cost: cost.wall_s) / whole:.0%}"


def render_commands(measured: Measured) -> str:
    """Write what our own commands take."""
    rows = [
        (
            timed.name,
            len(timed.samples),
            f"{_middle(timed.samples, lambda cost: cost.wall_s):.3f}",
            f"{_middle(timed.samples, lambda cost: cost.cpu_s):.3f}",
            _most(timed.samples, lambda cost: cost.peak_bytes, lambda found: f"{found / _MIB:.0f}"),
        )
        for timed in measured.commands
    ]
    return _table(rows, ("command", "samples", "time s", "CPU s", "memory MiB"), left=1, right=4)


def render_checks(measured: Measured) -> str:
    """Write what the simulation foretold beside what was measured."""
    rows = [
        (
            *_case_words(check.case),
            f"{check.measured_s:.2f}",
            f"{check.simulated_s:.2f}",
            f"{check.share_off:+.0%}",
            "met" if abs(check.share_off) <= LIMIT else "**not met**",
        )
        for check in all_checks(measured)
    ]
    return _table(rows, ("cells", "driver", "state", "measured s", "simulated s", "off by", f"within {LIMIT:.0%}"), left=3, right=3)


def _table(rows: Sequence[Sequence[object]], heads: Sequence[str], left: int = 0, right: int = 0) -> str:
    """Draw a table: so many columns stand left, so many behind them right, and the rest left."""
    if not rows:
        return "Nothing of this has been measured."
    align = ["left"] * left + ["right"] * right
    align += ["left"] * (len(heads) - len(align))
    return tabulate(rows, heads, tablefmt="github", colalign=align, disable_numparse=True)
