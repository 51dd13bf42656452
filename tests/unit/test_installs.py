"""What pip and uv print, to where packages came from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.measure.installs import InstallLog, Origin
from orchestrator.measure.lines import Lines
from orchestrator.measure.progress import LogLine

BEGAN = datetime(2026, 11, 21, 5, 6, 7, tzinfo=UTC)


class Log(InstallLog):
    """An install log that is told pieces, as a build's is."""

    def __init__(self) -> None:
        """Start with nothing read."""
        super().__init__()
        self.lines = Lines()


def say(log: Log, text: str, at_s: float | None = 0.0, step: str = "sha256:s") -> None:
    """Let a step print something."""
    at = None if at_s is None else BEGAN + timedelta(seconds=at_s)
    for line in log.lines.feed(LogLine(step, "RUN pip install", text, at)):
        log.feed(line)


def test_what_pip_compiles_has_its_time() -> None:
    """From `started` to `finished`, whatever was printed between and wherever the pieces are cut."""
    log = Log()
    say(log, "  Building wheel for Py_Yaml (pyproject.toml): started\n  Building wheel for psu", 1.0)
    say(log, "til (setup.py): started\n", 1.5)
    say(log, "  Building wheel for Py_Yaml (pyproject.toml): still running...\n", 60)
    say(log, "  Building wheel for Py_Yaml (pyproject.toml): finished with status 'done'\n", 61.25)
    say(log, "  Building wheel for psutil (setup.py): finished with status 'error'\n", 62)
    assert log.origins == {"py-yaml": Origin("sdist", None, 60.25)}


def test_what_uv_builds_has_its_time_and_version() -> None:
    """Colours are passed over."""
    log = Log()
    say(log, "   \x1b[36mBuilding\x1b[39m psutil==7.0.0\n", 2)
    say(log, "   \x1b[32m   Built\x1b[39m psutil==7.0.0\n", 9.5)
    say(log, "      Built app==0.1 @ file:///app\n", 9.5)
    assert log.origins == {"psutil": Origin("sdist", "7.0.0", 7.5), "app": Origin("sdist", "0.1", None)}


def test_a_wheel_that_was_fetched_is_a_wheel() -> None:
    """Downloaded or from a cache; its metadata alone, or an archive, is none."""
    log = Log()
    say(log, "Downloading grpcio-1.85.1-cp312-cp312-musllinux_1_2_x86_64.whl (6.1 MB)\n")
    say(log, "Using cached typing_extensions-4.1-py3-none-any.whl (1 kB)\n")
    say(log, "Downloading six-1.17.0-py2.py3-none-any.whl.metadata (1.7 kB)\n")
    say(log, "  Downloading psutil-7.0.0.tar.gz (497 kB)\n")
    assert log.origins == {"grpcio": Origin("wheel", "1.85.1"), "typing-extensions": Origin("wheel", "4.1")}


def test_two_steps_that_print_at_once_are_kept_apart() -> None:
    """A piece of one step's line is not glued to another's, and times need both ends in one step."""
    log = Log()
    say(log, "Building wheel for a (x): st", 0, "one")
    say(log, "Building wheel for b (x): started\n", 0, "two")
    say(log, "arted\n", 1, "one")
    say(log, "Building wheel for a (x): finished with status 'done'\n", 3, "one")
    say(log, "Building wheel for b (x): finished with status 'done'\n", 3, "one")
    assert log.origins == {"a": Origin("sdist", None, 2.0), "b": Origin("sdist", None, None)}


def test_without_the_time_there_is_no_duration() -> None:
    """A builder that sends no timestamps leaves it unknown."""
    log = Log()
    say(log, "Building wheel for a (x): started\nBuilding wheel for a (x): finished with status 'done'\n", None)
    assert log.origins == {"a": Origin("sdist")}


def test_chatter_is_neither_kept_nor_slow() -> None:
    """A line without end, and lines made to be hard to match, cost nothing."""
    log = Log()
    for _ in range(50):
        say(log, "Building " * 10_000)
        say(log, "Downloading " + "a-" * 280 + ".whl x\n")
    assert log.origins == {}
