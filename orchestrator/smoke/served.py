"""`http` and `healthy` from inside, in a build or where containers cannot be reached: the image's Python starts its command."""

from __future__ import annotations

import json
import secrets
import time
from importlib import resources
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.cuts import cut_begin
from orchestrator.docker.containers import Confinement
from orchestrator.record import CheckResult
from orchestrator.smoke.choose import CONTAINER, GRAPH
from orchestrator.smoke.commands import PYTHON, explain_end, parse_answers, run_python
from orchestrator.smoke.patterns import Searcher
from orchestrator.smoke.runners import Call
from orchestrator.smoke.services import describe_end, judge_answer
from orchestrator.smoke.words import explain_code, inert, last_line, shorten

if TYPE_CHECKING:
    from orchestrator.model import HealthyCheck, HttpCheck
    from orchestrator.smoke.run import Caller, Subject

_NO_STARTER = "only a Python could start the image's command and ask it there, and the image has none"
NO_STARTER = {
    GRAPH: f"it needs a container: inside a build {_NO_STARTER}",
    CONTAINER: f"the engine's containers cannot be asked from here: inside one {_NO_STARTER}",
}
_SHELL = ("/bin/sh", "-c")  # also where the image has another by SHELL: a container is not told of that one
_SECOND_NS = 10**9
_NONCE = secrets.token_hex(8)  # of this process: it keeps a report from being taken for something printed


class Health(Struct, frozen=True):
    """What an image says of its own HEALTHCHECK."""

    test: tuple[str, ...]
    each_s: float
    start_s: float
    retries: int


def check_http_inside(subject: Subject, check: HttpCheck, timeout_s: float) -> CheckResult:
    """Ask the image's command until it answers as it should, or its time is over."""
    name, until = f"http :{check.port}{check.path}", time.monotonic() + timeout_s
    answer = _serve(subject, check, name, make_http_call(subject.caller, check), timeout_s)
    if isinstance(answer, CheckResult):
        return answer
    tail = cut_begin(inert(str(answer.get("tail", ""))).rstrip()) or None
    problem = _judge_http(check, _found(answer), Searcher(until, subject.cancel))
    if problem is None:
        return CheckResult(name, "passed")
    if gone := _gone(answer):
        return CheckResult(name, "failed", gone, tail)
    return CheckResult(name, "failed", shorten(f"after {check.within_s:.0f} s: {problem}"), tail)


def check_health_inside(subject: Subject, check: HealthyCheck, timeout_s: float) -> CheckResult:
    """Run the image's own HEALTHCHECK every second, beside the image's command, until it passes."""
    if subject.caller.health is None:
        return CheckResult("healthy", "failed", "the image has no HEALTHCHECK")
    answer = _serve(subject, check, "healthy", make_health_call(subject.caller, check), timeout_s)
    if isinstance(answer, CheckResult):
        return answer
    found = _found(answer)
    if found.get("code") == 0:
        return CheckResult("healthy", "passed")
    problem = _gone(answer) or f"HEALTHCHECK says: {last_line(str(found.get('output', ''))) or 'nothing'}"
    return CheckResult("healthy", "failed", shorten(f"not healthy within {check.within_s:.0f} s: {problem}"))


def make_http_call(caller: Caller, check: HttpCheck) -> Call | None:
    """Say how the image's command is started and asked over HTTP; None where it has none."""
    task = {"port": check.port, "path": check.path, "status": check.status, "header": check.header, "body": check.body}
    return _make_call(caller, check, task)


def make_health_call(caller: Caller, check: HealthyCheck) -> Call | None:
    """Say how the image's command is started and its HEALTHCHECK run; None where it lacks one of them."""
    health = caller.health
    if health is None:
        return None
    task = {"test": health.test, "each_s": health.each_s, "start_s": health.start_s, "retries": health.retries}
    return _make_call(caller, check, task)


def _make_call(caller: Caller, check: HttpCheck | HealthyCheck, task: dict[str, Any]) -> Call | None:
    if not caller.command:
        return None
    within_s = min(check.within_s, check.limits.timeout_s or check.within_s)
    question = {**task, "command": caller.command, "within_s": within_s, "nonce": _NONCE}
    source = resources.files("orchestrator.smoke").joinpath("service_inside.py").read_text(encoding="utf-8")
    network = "bridge" if check.limits.network == "bridge" else "none"
    confinement = Confinement(caller.run, caller.cell, replace(check.limits, network=network), caller.env)
    return Call((PYTHON, json.dumps(question)), confinement, source)


def _serve(
    subject: Subject, check: HttpCheck | HealthyCheck, name: str, call: Call | None, timeout_s: float
) -> dict[str, Any] | CheckResult:
    """Have the image's command started and asked; give what was found, or why that is not known.

    The image's Python reports it, so an image could report what it likes. It
    could answer what it likes as well, which is all that these checks are about.
    """
    if call is None:
        return CheckResult(name, "failed", "the image has no command to start")
    ended = run_python(subject, call, timeout_s)
    if ended is None:
        return CheckResult(name, "skipped", NO_STARTER[subject.runner.name])
    answer = parse_answers(ended.stdout, "service").get(_NONCE)
    if answer is None:
        failure = explain_end(ended, timeout_s, check.limits.memory_bytes)
        return CheckResult(name, *(failure or ("error", "the image's Python did not say what came of it")))
    subject.log(inert(str(answer.get("tail", ""))).rstrip())
    if why := answer.get("not_started"):
        return CheckResult(name, "failed", _explain_start(str(why), subject.caller.command[0]))
    return answer


def _explain_start(error: str, program: str) -> str:
    """Say why the image's command did not start, in the words that a container's start has."""
    if "No such file" in error:
        return f"'{inert(program)}' is not in the image"
    return "the command in the image may not be executed (permission denied)" if "denied" in error else shorten(error)


def _found(answer: dict[str, Any]) -> dict[str, Any]:
    found = answer.get("last")
    return found if isinstance(found, dict) else {}


def _judge_http(check: HttpCheck, found: dict[str, Any], searcher: Searcher) -> str | None:
    if found.get("refused"):
        return f"nothing listens on port {check.port}"
    status, headers = found.get("status"), found.get("headers")
    if not isinstance(status, int) or not isinstance(headers, dict):
        return f"no answer on port {check.port} ({inert(str(found.get('error', 'nothing was asked')))})"
    known = {str(header): str(value) for header, value in headers.items()}
    return judge_answer(check, status, known, str(found.get("body", "")), searcher, fits=found.get("fits") is True)


def _gone(answer: dict[str, Any]) -> str | None:
    """Say how the image's command ended, if it did."""
    code = answer.get("code")
    if not isinstance(code, int):
        return None
    shown = explain_code(128 - code if code < 0 else code)  # a child's signal as a container's code
    return describe_end(shown, str(answer.get("tail", "")))


def read_health(config: dict[str, Any]) -> Health | None:
    """Read the HEALTHCHECK in an image's configuration, with the engine's own defaults."""
    inner = config.get("config") or {}
    found = inner.get("Healthcheck") or {}
    kind, *words = found.get("Test") or ["NONE"]
    if kind not in ("CMD", "CMD-SHELL") or not words:
        return None
    test = [*_SHELL, *words] if kind == "CMD-SHELL" else words
    return Health(
        test=tuple(map(str, test)),
        each_s=(found.get("Timeout") or 30 * _SECOND_NS) / _SECOND_NS,
        start_s=(found.get("StartPeriod") or 0) / _SECOND_NS,
        retries=int(found.get("Retries") or 3),
    )
