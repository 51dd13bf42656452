"""Checks that run a command to its end: `import` and `run`."""

from __future__ import annotations

import time
from importlib import resources
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.cuts import cut_begin
from orchestrator.docker.containers import Confinement
from orchestrator.record import CheckResult
from orchestrator.smoke.patterns import Searcher
from orchestrator.smoke.runners import Call
from orchestrator.smoke.words import explain_code, explain_start, inert, last_line, shorten
from orchestrator.strict import parse_json
from orchestrator.units import render_limit

if TYPE_CHECKING:
    from orchestrator.docker.containers import Ended
    from orchestrator.model import ImportCheck, RunCheck
    from orchestrator.smoke.run import Caller, Subject

DEFAULT_CHECK_S = 60.0
PYTHON = "python3"
NO_PYTHON = "there is no Python in the image ('python3' and 'python' are not on its PATH)"
_MATCH_LENGTH = 100_000  # a pattern meets no more of an image's output than this


def check_command(subject: Subject, check: RunCheck, timeout_s: float) -> CheckResult:
    """Run one command and compare its exit code and output."""
    name, until = f"run {' '.join(check.argv)}", time.monotonic() + timeout_s
    ended = run_to_the_end(subject, make_command_call(subject.caller, check), timeout_s)
    judged = _judge_command(name, ended, check, timeout_s, Searcher(until, subject.cancel))
    return replace(judged, duration_s=ended.took_s)


def _judge_command(name: str, ended: Ended, check: RunCheck, timeout_s: float, searcher: Searcher) -> CheckResult:
    if failure := explain_end(ended, timeout_s, check.limits.memory_bytes, wanted=check.exit):
        return CheckResult(name, *failure, detail=tail_of_output(ended))
    if check.stdout is not None and not searcher.finds(check.stdout, ended.stdout[:_MATCH_LENGTH]):
        if "stdout" in ended.clipped:
            return CheckResult(name, "error", f"BuildKit left out a part of its output; the rest does not match '{check.stdout}'")
        shown = shorten(ended.stdout) or "nothing"
        return CheckResult(name, "failed", f"its output does not match '{check.stdout}': {shown}", tail_of_output(ended))
    return CheckResult(name, "passed")


def make_command_call(caller: Caller, check: RunCheck) -> Call:
    """Say how a command is run."""
    wanted = () if check.stdout is None else ("stdout",)
    return Call(check.argv, Confinement(caller.run, caller.cell, check.limits, caller.env), wanted=wanted)


def make_import_call(caller: Caller, check: ImportCheck) -> Call:
    """Say how modules are imported: each may take as long as the whole check."""
    source = resources.files("orchestrator.smoke").joinpath("import_modules.py").read_text(encoding="utf-8")
    limit_s = check.limits.timeout_s or DEFAULT_CHECK_S
    confinement = Confinement(caller.run, caller.cell, check.limits, caller.env)
    return Call((PYTHON, f"{limit_s:.1f}", *check.modules), confinement, source)


def explain_end(ended: Ended, timeout_s: float, memory_bytes: int, *, wanted: int = 0) -> tuple[str, str] | None:
    """Say what is wrong with how a container ended, or None when nothing is."""
    if ended.cancelled:
        return "error", "cancelled"
    if ended.timed_out:
        return "timeout", f"still running after {render_limit(timeout_s)}"
    if ended.start_error:
        return "failed", explain_start(ended.start_error)
    if ended.code is None:
        return "error", "the engine does not say how the container ended"
    if ended.code == wanted:
        return None
    code = explain_code(ended.code, out_of_memory=ended.out_of_memory, memory_bytes=memory_bytes)
    words = last_line(ended.stderr) or last_line(ended.stdout)
    expected = f" instead of {wanted}" if wanted else ""
    return "failed", shorten(f"{code}{expected}{f': {words}' if words else ''}")


def check_imports(subject: Subject, check: ImportCheck, timeout_s: float) -> list[CheckResult]:
    """Import modules in the image's own Python, each in a process of its own."""
    ended = run_python(subject, make_import_call(subject.caller, check), timeout_s)
    if ended is None:
        return [CheckResult(f"import {module}", "failed", NO_PYTHON) for module in check.modules]
    answers = parse_answers(ended.stdout, "module")
    return [_judge_import(module, answers.get(module), ended, check, timeout_s) for module in check.modules]


def run_to_the_end(subject: Subject, call: Call, timeout_s: float) -> Ended:
    """Run a program, and keep what it printed in the log."""
    ended = subject.runner.run(call, timeout_s)
    log_output(subject, ended)
    return ended


def run_python(subject: Subject, call: Call, timeout_s: float) -> Ended | None:
    """Give a script to the image's Python: no path of this machine is needed there."""
    for python in (PYTHON, "python"):
        ended = run_to_the_end(subject, replace(call, words=(python, *call.words[1:])), timeout_s)
        if "not in the image" not in explain_start(ended.start_error):
            return ended
    return None


def parse_answers(text: str, key: str) -> dict[str, dict[str, object]]:
    """Find the JSON lines among all that was printed, by the name that each gives under a key."""
    answers: dict[str, dict[str, object]] = {}
    for line in text.splitlines():
        try:
            answer = parse_json(line.encode("utf-8", "surrogatepass"))
        except ValueError:  # something that the image's Python printed at start-up
            continue
        if isinstance(answer, dict) and isinstance(answer.get(key), str):
            answers[answer[key]] = answer
    return answers


def _judge_import(module: str, answer: dict[str, object] | None, ended: Ended, check: ImportCheck, timeout_s: float) -> CheckResult:
    name = f"import {module}"
    if answer is None:
        failure = explain_end(ended, timeout_s, check.limits.memory_bytes)
        return CheckResult(name, *(failure or ("error", "the image's Python did not say how the import went")))
    duration = answer.get("duration_s")
    duration_s = float(duration) if isinstance(duration, (int, float)) and 0 <= duration <= timeout_s else None
    code, words = answer.get("code"), str(answer.get("stderr", ""))
    if code == 0:
        return CheckResult(name, "passed", duration_s=duration_s)
    if not isinstance(code, int):
        return CheckResult(name, "timeout", f"still importing after {timeout_s:.0f} s", duration_s=duration_s)
    reason = explain_code(code) + f" while importing {module}" if code < 0 else last_line(words) or explain_code(code)
    return CheckResult(name, "failed", shorten(reason), cut_begin(inert(words)) or None, duration_s)


def tail_of_output(ended: Ended) -> str | None:
    """Give the end of what a program printed, as a check's detail; of one that never began, the reason says all."""
    if ended.start_error:
        return None
    text = inert(ended.stdout + ended.stderr).strip()
    return cut_begin(text) or None


def log_output(subject: Subject, ended: Ended) -> None:
    """Keep what a program printed, and that it was run twice."""
    if ended.repeated:
        subject.log("(run once more, since nothing was heard of it the first time)")
    for text in (ended.stdout, ended.stderr):
        if text.strip():
            subject.log(inert(text).rstrip())
