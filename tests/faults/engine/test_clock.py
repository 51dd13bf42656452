"""A clock that somebody sets back in the middle of a run."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.engine.conftest import times
from tests.faults.engine.tally import Tally
from tests.faults.engine.test_engine import strike, write_slow
from tests.faults.engine.whole import check_ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Project

CLOCK = """\
# The clock of the day as a process sees it that somebody sets; no other clock is touched.
import datetime, os, time

real, real_time, real_time_ns = datetime.datetime, time.time, time.time_ns

def shift():
    with open(os.environ["DRILLED_CLOCK"]) as file:
        return int(file.read() or 0)

class Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real)

class Set(real, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return real.now(tz) + datetime.timedelta(seconds=shift())

datetime.datetime = Set
time.time = lambda: real_time() + shift()
time.time_ns = lambda: real_time_ns() + shift() * 10**9
"""
LONGEST_S = 60.0  # that anything in such a run takes


def durations(value: Any) -> list[float]:
    """Give all that a record says in seconds."""
    if isinstance(value, dict):
        own = [item for key, item in value.items() if key.endswith("_s") and isinstance(item, float | int)]
        return [*own, *(found for item in value.values() for found in durations(item))]
    return [found for item in value for found in durations(item)] if isinstance(value, list) else []


@pytest.mark.whole
@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_set_changes_no_figure(hours: int, fresh: Callable[[str], Project]) -> None:
    """Times are taken from a clock that nobody can set; the run ends after it began."""
    tally = Tally()
    for number in range(times(1, 10)):
        project = fresh(f"clock{hours}-{number}")
        write_slow(project)
        project.traced = True
        clock = project.folder / "clock"
        clock.write_text("0")
        project.folder.joinpath("sitecustomize.py").write_text(CLOCK)
        project.environment |= {"PYTHONPATH": str(project.folder), "DRILLED_CLOCK": str(clock)}
        with tally.one():
            code, record = strike(project, lambda _: clock.write_text(str(hours * 3600)))  # noqa: B023  # called at once
            assert (code, {cell["status"] for cell in record["cells"]}) == (0, {"passed"})
            assert all(0 <= seconds <= LONGEST_S for seconds in durations(record)), durations(record)
            took = datetime.fromisoformat(record["finished_at"]) - datetime.fromisoformat(record["started_at"])
            assert 0 <= took.total_seconds() <= LONGEST_S, took
            shown = project.matrix("trace", "latest", "a").stdout
            assert "buildkit" in project.latest.joinpath("cells/a/trace.json").read_text()
            assert "RUN eval" in shown
            check_ended(project)
            tally.seen["exit 0, all passed, no time below 0 or beyond a minute"] += 1
    tally.save("faults under way", f"the clock is set by {hours:+} hours")
