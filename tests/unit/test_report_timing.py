"""Isolated times in the table: ranked within their group, and only where chance does not explain the difference."""

from __future__ import annotations

import csv
import io

from msgspec.structs import replace

from orchestrator.record import CellRecord, Measurement, Noise, RunRecord, Scenario
from orchestrator.report.table import make_notes, make_table
from tests.rendering import render
from tests.unit.records import make_record


def measured(*medians: float, noise: float | None = 0.05, warnings: tuple[str, ...] = ()) -> RunRecord:
    """Make a run whose first cells, all of one group, were measured by themselves."""
    record = make_record()
    build = record.cells[0].build
    assert build is not None
    cells: list[CellRecord] = []
    for at, median in enumerate(medians):
        scenario = Scenario("cold", (median,) * 5, median, 0.5)
        axes = {"base": f"b{at}", "python": "3.12"}
        cells.append(
            replace(record.cells[0], id=f"b{at}", axes=axes, build=replace(build, timing="isolated", scenarios=(scenario,)))
        )
    how = Measurement(5, 1234, "b0", (Noise("cold", (1.0,), (1.0,), noise),), warnings)
    return replace(record, cells=tuple(cells), measurement=how)


def column(record: RunRecord, name: str) -> list[str]:
    """Give a column of the table."""
    table = make_table(record)
    return [row[table.headers.index(name)] for row in table.rows]


def test_times_are_ranked_where_the_difference_is_more_than_noise() -> None:
    """What is within it is marked as no difference."""
    record = measured(10.0, 10.4, 14.0)
    assert column(record, "cold s") == ["10.00 ±0.25", "10.40 ±0.25", "14.00 ±0.25"]
    assert column(record, "relative time") == ["1.00", "≈1.04", "1.40"]


def test_what_lies_within_a_cells_own_samples_is_marked_as_chance() -> None:
    """The control was steady, and this cell was not."""
    record = measured(10.0, 14.0)
    build = record.cells[1].build
    assert build is not None
    restless = replace(build, scenarios=(replace(build.scenarios[0], spread_s=9.0),))
    cells = (record.cells[0], replace(record.cells[1], build=restless))
    assert column(replace(record, cells=cells), "relative time") == ["1.00", "≈1.40"]


def test_times_of_unlike_machines_stand_in_no_ranking() -> None:
    """Parts of a merged run whose machines differ: each part has a fastest of its own."""
    record = measured(10.0, 14.0, 20.0, 30.0)
    parts = ("run-1", "run-1", "run-2", "run-2")
    cells = tuple(replace(cell, part=part) for cell, part in zip(record.cells, parts, strict=True))
    assert column(replace(record, cells=cells), "relative time") == ["1.00", "1.40", "1.00", "1.50"]


def test_without_a_noise_floor_nothing_is_better() -> None:
    """A control that failed leaves every difference in doubt."""
    record = measured(10.0, 20.0, noise=None)
    assert column(record, "relative time") == ["1.00", "≈2.00"]
    assert any("no time is better than another" in note for note in make_notes(record))


def test_how_it_was_measured_stands_below_the_table() -> None:
    """Mode, rounds, seed, noise, and what speaks against it."""
    text = " ".join(render(measured(10.0, 11.0, warnings=("3 of 10 samples are far",)), "table", 10_000).split())
    assert "cold: isolated, 5 samples a cell, one build at a time, cells in turn, order shuffled with seed 1234" in text
    assert "Noise of cold: 5.0% (b0 measured as if it were two cells)" in text
    assert "CAUTION: 3 of 10 samples are far." in text


def test_a_spreadsheet_gets_the_exact_figures() -> None:
    """Median, spread and number of samples for each scenario."""
    rows = list(csv.DictReader(io.StringIO(render(measured(10.123, 11.0), "csv", 80))))
    assert [(row["cold_median_s"], row["cold_spread_s"], row["cold_samples"]) for row in rows] == [
        ("10.123", "0.5", "5"),
        ("11.0", "0.5", "5"),
    ]


def test_a_relative_time_in_csv_is_a_number() -> None:
    """What the table marks stands in a column of its own."""
    record = measured(10.0, 10.4, 14.0, 20.0)
    record = replace(record, cells=(*record.cells[:3], replace(record.cells[3], as_expected=False)))
    rows = list(csv.DictReader(io.StringIO(render(record, "csv", 80))))
    assert [(row["relative_time"], row["relative_time_may_be_chance"]) for row in rows] == [
        ("1.00", "false"),
        ("1.04", "true"),
        ("1.40", "false"),
        ("", ""),
    ]


def test_a_run_that_measured_nothing_has_no_such_columns() -> None:
    """Absent, and not empty."""
    assert "relative time" not in make_table(replace(make_record(), measurement=None)).headers
