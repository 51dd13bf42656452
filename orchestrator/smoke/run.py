"""Run a cell's checks, one after another, each in a container of its own."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.model import HealthyCheck, HttpCheck, ImportCheck, ProbeCheck, RunCheck, StructureCheck
from orchestrator.record import CheckResult, Smoke
from orchestrator.smoke.commands import check_command, check_imports
from orchestrator.smoke.probes import check_probe
from orchestrator.smoke.services import NotStartedError, check_health, check_http
from orchestrator.smoke.structure import check_structure
from orchestrator.tracing.attributes import describe_check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from threading import Event

    from orchestrator.docker.engine import Engine
    from orchestrator.model import Check, Pairs
    from orchestrator.tracing.trace import Trace

DEFAULT_CHECK_S = 60.0
PROBE_S = 120.0


@dataclass(frozen=True, slots=True)
class Subject:
    """The image under test, and what its checks need to know."""

    engine: Engine
    run: str
    cell: str
    image: str
    folder: Path
    env: Pairs
    command: tuple[str, ...]
    port: int
    user: str
    cancel: Event
    log: Callable[[str], None]
    trace: Trace


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
        with subject.trace.span(describe(check)) as span:
            found = _run_check(subject, check, min(left, _limit_s(check)))
            describe_check(span, found)
        results += found
    return Smoke(summarize(results), tuple(results))


def _limit_s(check: Check) -> float:
    """Give each kind its patience, unless the check says its own; the tests of a file have a limit each."""
    match check:
        case StructureCheck():
            return math.inf
        case HttpCheck() | HealthyCheck():
            default_s = check.within_s + 10  # to start and to stop
        case ProbeCheck():
            default_s = PROBE_S
        case _:
            default_s = DEFAULT_CHECK_S
    return check.limits.timeout_s or default_s


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
                results = check_structure(subject, check, timeout_s)
    except NotStartedError as error:
        results = [CheckResult(describe(check), "failed", str(error))]
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
    """Give the outcome of all checks; one that could not do its work has not passed."""
    outcomes = {result.outcome for result in results}
    if outcomes & {"failed", "error"}:
        return "failed"
    if "timeout" in outcomes:
        return "timeout"
    return "passed" if "passed" in outcomes else "skipped"
