"""How checks end, in words that name the cause."""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING

import pytest

from orchestrator.docker.containers import Ended
from orchestrator.model import HealthyCheck, HttpCheck, ImportCheck, ProbeCheck, RunCheck, StructureCheck
from orchestrator.record import CheckResult
from orchestrator.smoke.commands import explain_end
from orchestrator.smoke.patterns import Searcher
from orchestrator.smoke.run import describe, say_not_run, summarize
from orchestrator.smoke.services import judge_answer
from orchestrator.smoke.words import explain_code, explain_start, inert, last_line, shorten

if TYPE_CHECKING:
    from orchestrator.model import Check

MIB = 1024**2


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exit 0"),
        (1, "exit 1"),
        (127, "exit 127"),
        (128, "exit 128"),
        (129, "SIGHUP (SIGHUP), exit 129"),
        (132, "illegal instruction (SIGILL), exit 132"),
        (134, "aborted (SIGABRT), exit 134"),
        (135, "bus error (SIGBUS), exit 135"),
        (136, "arithmetic error (SIGFPE), exit 136"),
        (137, "killed (SIGKILL), exit 137"),
        (139, "segmentation fault (SIGSEGV), exit 139"),
        (143, "terminated (SIGTERM), exit 143"),
        (255, "exit 255"),
        (-11, "segmentation fault (SIGSEGV), exit -11"),
        (-99, "exit -99"),
    ],
)
def test_an_exit_code_that_is_a_signal_is_named(code: int, words: str) -> None:
    """137 and 139 say what happened, whether a shell or a parent counts them."""
    assert explain_code(code) == words


def test_the_engine_knows_who_ran_out_of_memory() -> None:
    """A kill for want of memory is told from any other, with the limit."""
    assert explain_code(137, out_of_memory=True, memory_bytes=512 * MIB) == "out of memory (limit 512 MiB), exit 137"
    assert explain_code(137, out_of_memory=True) == "out of memory, exit 137"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            (
                "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
                'unable to start container process: error during container init: exec: "nosuch": executable file not '
                "found in $PATH: unknown"
            ),
            "'nosuch' is not in the image",
        ),
        ('exec: "/no/such": stat /no/such: no such file or directory: unknown', "'/no/such' is not in the image"),
        ("crun: executable file `nosuch` not found in $PATH: No such file or directory", "'nosuch' is not in the image"),
        ("crun: executable file `/no/such` not found: No such file or directory", "'/no/such' is not in the image"),
        (
            "crun: the path `/etc/passwd` exists but it is not executable: Operation not permitted",
            "the command in the image may not be executed (permission denied)",
        ),
        ('exec: "/etc/passwd": permission denied', "the command in the image may not be executed (permission denied)"),
        ("exec /run.sh: exec format error", "the command in the image is for another platform, or no program (exec format error)"),
        (
            "exec /usr/bin/app: no such file or directory",
            "the command in the image needs a loader or interpreter that is not in it (no such file or directory)",
        ),
        ("something\n else \x1b[31m", "something else"),
    ],
)
def test_a_container_that_does_not_start_says_why(error: str, words: str) -> None:
    """The engine's long errors become the one thing that is wrong with the image."""
    assert explain_start(error) == words


def test_what_an_image_prints_is_made_inert() -> None:
    """Colours, cursor movements, bells, carriage returns and turned text go; tabs and lines stay."""
    text = "\x1b[31mred\x1b[0m\x1b[2J\x1b[?25l \x1bMup\a\r\x08 \x9b1m \u202eright\u202c\u2066x\u2069 \x7f\ttab\nline ünïcode"
    assert inert(text) == "red up 1m rightx \ttab\nline ünïcode"
    assert "\x1b" not in inert("\x1b]0;title\a \x1b[38:2:1:2:3m \x1b")


def test_long_words_become_one_short_line() -> None:
    """A reason has room in a table."""
    assert shorten("a\n  b\tc") == "a b c"
    assert (len(shorten("x" * 1000)), shorten("x" * 1000)[-1]) == (300, "…")
    assert shorten("x" * 300) == "x" * 300
    assert last_line("first\n last \n\n \x1b[0m\n") == "last"
    assert last_line(" \n") == ""


def ended(code: int | None = 0, **found: object) -> Ended:
    """Make the end of a container."""
    known: dict[str, object] = {"timed_out": False, "cancelled": False, "start_error": "", "stdout": "", "stderr": ""}
    return Ended(code, bool(found.pop("out_of_memory", False)), **{**known, **found})  # type: ignore[arg-type]  # of any kind


@pytest.mark.parametrize(
    ("end", "wanted", "outcome"),
    [
        (ended(0), 0, None),
        (ended(3), 3, None),
        (ended(1, stdout="out", stderr="ImportError: no x\n"), 0, ("failed", "exit 1: ImportError: no x")),
        (ended(1, stdout="only this"), 0, ("failed", "exit 1: only this")),
        (ended(0), 3, ("failed", "exit 0 instead of 3")),
        (ended(137, out_of_memory=True), 0, ("failed", "out of memory (limit 64 MiB), exit 137")),
        (ended(139), 0, ("failed", "segmentation fault (SIGSEGV), exit 139")),
        (ended(None, timed_out=True), 0, ("timeout", "still running after 5 s")),
        (ended(None, cancelled=True), 0, ("error", "cancelled")),
        (ended(127, start_error='exec: "x": executable file not found in $PATH'), 0, ("failed", "'x' is not in the image")),
        (ended(None), 0, ("error", "the engine does not say how the container ended")),
    ],
)
def test_the_end_of_a_container_is_judged(end: Ended, wanted: int, outcome: tuple[str, str] | None) -> None:
    """A check passes only with the code it wants; everything else has its own words."""
    assert explain_end(end, 5.0, 64 * MIB, wanted=wanted) == outcome


CHECK = HttpCheck(8080, "/health", 200, (("Server", "^uvicorn"), ("X-A", "b")), "ok")
HEADERS = {"server": "uvicorn/1", "x-a": "abc"}


@pytest.mark.parametrize(
    ("check", "status", "headers", "body", "words"),
    [
        (CHECK, 200, HEADERS, "all ok", None),
        (HttpCheck(80), 200, {}, "", None),
        (CHECK, 503, HEADERS, "ok\nstarting up\n", "status 503 instead of 200: starting up"),
        (CHECK, 200, {"server": "uvicorn"}, "ok", "the answer has no header 'X-A'"),
        (CHECK, 200, {**HEADERS, "server": "nginx"}, "ok", "header 'Server' is 'nginx', which does not match '^uvicorn'"),
        (CHECK, 200, HEADERS, "not\nyet", "the body does not match 'ok': not yet"),
    ],
)
def test_an_answer_is_compared_with_what_was_asked_for(
    check: HttpCheck, status: int, headers: dict[str, str], body: str, words: str | None
) -> None:
    """The first thing that is wrong with an answer is named, and what came instead."""
    assert judge_answer(check, status, headers, body, Searcher(time.monotonic() + 60, Event())) == words


@pytest.mark.parametrize(
    ("outcomes", "outcome"),
    [
        ([], "skipped"),
        (["skipped"], "skipped"),
        (["passed", "skipped"], "passed"),
        (["passed", "timeout", "failed", "error"], "failed"),
        (["error", "timeout"], "failed"),
        (["passed", "timeout"], "timeout"),
        (["passed", "error"], "failed"),
    ],
)
def test_the_worst_check_is_the_cells_outcome(outcomes: list[str], outcome: str) -> None:
    """One that could not do its work has not passed, and what says most about the image counts."""
    assert summarize([CheckResult("x", found) for found in outcomes]) == outcome


def test_checks_that_could_not_be_run_are_counted_and_the_first_says_why() -> None:
    """A cell that passed by its other checks says so: a service that nobody could ask has not answered."""
    good, left_out = CheckResult("healthy", "passed"), CheckResult("http :80/", "skipped", "it cannot be asked")
    assert say_not_run([good]) is None
    assert say_not_run([]) is None
    assert say_not_run([left_out]) == "no check was run: http :80/: it cannot be asked"
    assert say_not_run([good, left_out]) == "1 of 2 checks was not run: http :80/: it cannot be asked"
    assert say_not_run([left_out, good, left_out]) == "2 of 3 checks were not run: http :80/: it cannot be asked"


def test_each_check_has_a_name_for_reports() -> None:
    """A check is named as it is written."""
    checks: list[Check] = [
        ImportCheck(("a", "b")),
        RunCheck(("x", "-v")),
        HttpCheck(80, "/h"),
        HealthyCheck(),
        ProbeCheck("tls"),
        StructureCheck("f"),
    ]
    assert [describe(check) for check in checks] == ["import a, b", "run x -v", "http :80/h", "healthy", "probe tls", "structure f"]
