"""Run a cell's checks, one after another, each in a container of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.errors import EngineError
from orchestrator.model import HealthyCheck, HttpCheck, ImportCheck, ProbeCheck, RunCheck, StructureCheck
from orchestrator.record import CheckResult, Smoke
from orchestrator.smoke.commands import check_command, check_imports
from orchestrator.smoke.probes import check_probe
from orchestrator.smoke.services import check_health, check_http

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    from orchestrator.docker.engine import Engine
    from orchestrator.model import Check, Pairs

DEFAULT_CHECK_S = 60.0


@dataclass(frozen=True, slots=True)
class Subject:
    """The image under test, and what its checks need to know."""

    engine: Engine
    run: str
    cell: str
    image: str
    env: Pairs
    command: tuple[str, ...]
    port: int
    user: str
    cancel: Event
    log: Callable[[str], None]


def run_checks(subject: Subject, checks: Sequence[Check], timeout_s: float) -> Smoke:
    """Run all checks within one time limit; what is left over when it ends is a timeout."""
    deadline = time.monotonic() + timeout_s
    results: list[CheckResult] = []
    for check in checks:
        left = deadline - time.monotonic()
        if subject.cancel.is_set():
            break
        if left <= 0:
            results.append(CheckResult(describe(check), "timeout", f"not started: the cell's checks took {timeout_s:.0f} s"))
            continue
        allowed = min(left, check.limits.timeout_s or _default_s(check))
        results += _run_check(subject, check, allowed)
    return Smoke(summarize(results), tuple(results))


def _default_s(check: Check) -> float:
    """Give a service its own patience and some time to start and stop, and others a minute."""
    return check.within_s + 10 if isinstance(check, (HttpCheck, HealthyCheck)) else DEFAULT_CHECK_S


def _run_check(subject: Subject, check: Check, timeout_s: float) -> list[CheckResult]:
    started = time.monotonic()
    subject.log(f"--- {describe(check)}")
    try:
        match check:
            case ImportCheck():
                results = check_imports(subject, check, timeout_s)
            case RunCheck():
                results = [check_command(subject, check, timeout_s)]
            case HttpCheck():
                results = [check_http(subject, check, timeout_s)]
            case HealthyCheck():
                results = [check_health(subject, check, timeout_s)]
            case ProbeCheck():
                results = [check_probe(subject, check, timeout_s)]
            case StructureCheck():
                results = [CheckResult(describe(check), "error", "this version of matrix cannot run this check yet")]
    except EngineError as error:
        results = [CheckResult(describe(check), "error", str(error))]
    for result in results:
        subject.log(f"{result.name}: {result.outcome}{f' ({result.reason})' if result.reason else ''}")
    took = time.monotonic() - started
    return [result if result.duration_s is not None else replace(result, duration_s=took) for result in results]


def describe(check: Check) -> str:
    """Name a check as reports do."""
    match check:
        case ImportCheck():
            return f"import {', '.join(check.modules)}"
        case RunCheck():
            return f"run {' '.join(check.argv)}"
        case HttpCheck():
            return f"http :{check.port}{check.path}"
        case HealthyCheck():
            return "healthy"
        case ProbeCheck():
            return f"probe {check.probe}"
    return f"structure {check.file}"


def summarize(results: Sequence[CheckResult]) -> str:
    """Give the outcome of all checks: the worst there is, in the order of what it says about the image."""
    outcomes = {result.outcome for result in results}
    if not outcomes or outcomes == {"skipped"}:
        return "skipped"
    return next((outcome for outcome in ("failed", "timeout", "error") if outcome in outcomes), "passed")
