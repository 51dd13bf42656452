"""What a machine tells of itself, and what it need not tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import load

if TYPE_CHECKING:
    import pytest

STAT = "cpu  100 0 50 {idle} 10 0 0 0 0 0\ncpu0 1\ncpu1 1\nintr 5\n"


def test_the_cores_that_are_busy_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was neither idle nor waiting for a disk, of all cores."""
    stat = tmp_path / "stat"
    stat.write_text(STAT.format(idle=0).replace("cpu  100", "cpu  40"))
    monkeypatch.setattr(load, "_STAT", stat)
    monkeypatch.setattr("time.sleep", lambda _: stat.write_text(STAT.format(idle=60)))
    assert load.foreign_load() == 1.0


def test_a_system_that_does_not_tell_is_no_idle_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Unknown is not zero."""
    monkeypatch.setattr(load, "_STAT", Path("/nowhere"))
    monkeypatch.setattr(load, "_CPUS", tmp_path / "cpuinfo")
    assert load.foreign_load() is None
    assert load.cpu_model() is None
    tmp_path.joinpath("cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n")
    assert load.cpu_model() == "Some CPU @ 2 GHz"
