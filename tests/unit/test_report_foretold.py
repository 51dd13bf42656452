"""Where a forecast was right: cell by cell, in every report, and kept no longer than it holds."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.foreseen import recall_forecasts, remember_forecasts, with_forecasts
from orchestrator.model import Plan, Status
from orchestrator.paths import cache_folder
from orchestrator.preflight.hindsight import foretell
from orchestrator.preflight.nouns import CellForecast, Outlook, Preflight, Target
from orchestrator.record import Foretold, RunRecord
from orchestrator.report.foretold import make_foretold, render_foretold
from tests.rendering import render
from tests.unit.folders import plan_of
from tests.unit.golden import assert_golden
from tests.unit.records import make_cell, make_record

if TYPE_CHECKING:
    from pathlib import Path

AT = "2026-11-21T05:06:07+00:00"


def make_run() -> RunRecord:
    """Make a run whose cells had every kind of forecast."""
    fates = [
        (Outlook.WHEELS, Status.PASSED),
        (Outlook.WHEELS, Status.BUILD_FAILED),
        (Outlook.LONG, Status.SMOKE_FAILED),
        (Outlook.LIKELY, Status.BUILD_FAILED),
        (Outlook.FAILED, Status.PASSED),
        (Outlook.FAILED, Status.ERROR),
        (Outlook.UNKNOWN, Status.PASSED),
        (Outlook.FAILED, Status.SKIPPED),
    ]
    cells = [
        replace(make_cell("alpine", f"3.{at}", status), foretold=Foretold(outlook, ("why | not",), AT))
        for at, (outlook, status) in enumerate(fates)
    ]
    return replace(make_record(), cells=(*cells, make_cell("slim", "3.12", Status.PASSED)))


def test_a_forecast_is_judged_by_whether_the_cell_was_built() -> None:
    """A failed check is no failed build; what the engine or a time limit ended says nothing; unknown is never wrong."""
    assert [one.right for one in foretell(make_run())] == [True, False, True, True, False, None, None]


@pytest.mark.parametrize("width", [80, 40])
def test_a_terminal_shows_what_says_something(width: int) -> None:
    """The mistakes, and whatever was foretold besides wheels, within the width."""
    lines = render_foretold(make_run(), width)
    assert max(map(len, lines)) <= width
    assert_golden(f"foretold-{width}.txt", "\n".join(lines) + "\n")


def test_what_was_unknown_says_nothing() -> None:
    """Of cells of which nothing was foretold there is nothing to be right about, and no table."""
    cells = [
        replace(make_cell("alpine", f"3.{at}", Status.PASSED), foretold=Foretold(outlook, (), AT))
        for at, outlook in enumerate((Outlook.UNKNOWN, Outlook.UNKNOWN, Outlook.WHEELS))
    ]
    nothing = render_foretold(replace(make_record(), cells=tuple(cells[:2])), 80)
    assert nothing == ["Foretold by matrix preflight: nothing for 2 cells."]
    assert render_foretold(replace(make_record(), cells=tuple(cells)), 80) == [
        "Foretold by matrix preflight: right for 1 of 1 cell."
    ]


def test_every_report_shows_the_comparison() -> None:
    """Terminal, Markdown and page; and none of them where there was no forecast."""
    for kind in ("table", "markdown", "html"):
        assert "oretold" in render(make_run(), kind, 100)
        assert "oretold" not in render(make_record(), kind, 100)
    assert make_foretold(make_record()) is None
    assert "| alpine-3.4 | build-failed | built" in render(make_run(), "markdown", 100).replace("\\", "")
    assert "why | not" in render(make_run(), "html", 100)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Give a plan of two cells."""
    text = "axes: {base: [alpine, slim]}\ndefaults: {requirements: r.txt, libc: musl, args: {BASE: '{base}'}}\n"
    (tmp_path / "r.txt").write_text("a==1\n")
    return plan_of(text, tmp_path)


def forecast(plan: Plan, at: datetime) -> Preflight:
    """Foretell that every cell fails."""
    target = Target("musl", "linux/amd64", "3.12")
    cells = tuple(CellForecast(cell.id, target, None, "r.txt", Outlook.FAILED, ("a==1",)) for cell in plan.cells)
    return Preflight("m", at.isoformat(), "", (), (), (), cells)


def test_a_forecast_holds_for_the_same_cells_and_some_days(plan: Plan, tmp_path: Path) -> None:
    """What is older than a week, or was made from other files, is not recalled; nor is a damaged one."""
    assert recall_forecasts(plan, tmp_path) == {}
    now = datetime.now(UTC)
    remember_forecasts(forecast(plan, now), plan, tmp_path)
    found = recall_forecasts(plan, tmp_path)
    assert found == dict.fromkeys(("alpine", "slim"), Foretold("build-failed", ("a==1",), now.isoformat()))
    (tmp_path / "r.txt").write_text("a==2\n")
    assert recall_forecasts(plan, tmp_path) == {}
    remember_forecasts(forecast(plan, now - timedelta(days=8)), plan, tmp_path)
    assert recall_forecasts(plan, tmp_path) == {}
    for entry in cache_folder("forecasts").iterdir():
        entry.write_text(json.dumps({"schema": 1}))
    assert recall_forecasts(plan, tmp_path) == {}
    (tmp_path / "r.txt").unlink()
    assert recall_forecasts(plan, tmp_path) == {}


def test_forecasts_that_hold_no_more_are_removed_when_others_are_kept(plan: Plan, tmp_path: Path) -> None:
    """Each change of a file that they follow from leaves one behind; a draft may be left, too."""
    remember_forecasts(forecast(plan, datetime.now(UTC)), plan, tmp_path)
    for entry in cache_folder("forecasts").iterdir():
        os.utime(entry, (0, 0))
    (tmp_path / "r.txt").write_text("a==2\n")
    remember_forecasts(forecast(plan, datetime.now(UTC)), plan, tmp_path)
    assert len(list(cache_folder("forecasts").iterdir())) == len(recall_forecasts(plan, tmp_path)) == 2


def test_a_record_keeps_what_was_foretold() -> None:
    """Of the cells of which something was."""
    record = make_record()
    first, *others = with_forecasts(record, {record.cells[0].id: Foretold("long build", (), AT)}).cells
    assert first.foretold == Foretold("long build", (), AT)
    assert {cell.foretold for cell in others} == {None}
