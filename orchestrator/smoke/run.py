"""Run a cell's checks, one after another, each in a container of its own or as a step of a throw-away build."""

from __future__ import annotations

import math
import time
from itertools import takewhile
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.docker.containers import NotMadeError
from orchestrator.docker.networks import reaches_containers
from orchestrator.model import HealthyCheck, HttpCheck, ImportCheck, ProbeCheck, RunCheck, StructureCheck
from orchestrator.probes import PROBE_NEEDS
from orchestrator.record import CheckResult, Smoke
from orchestrator.smoke.choose import GRAPH, find_unheld_limits, find_unlimited
from orchestrator.smoke.commands import DEFAULT_CHECK_S, check_command, check_imports, make_command_call, make_import_call
from orchestrator.smoke.patterns import UndecidedError
from orchestrator.smoke.probes import PROBE_S, check_probe, make_probe_call
from orchestrator.smoke.runners import make_step
from orchestrator.smoke.served import check_health_inside, check_http_inside, make_health_call, make_http_call
from orchestrator.smoke.services import NotStartedError, check_health, check_http
from orchestrator.smoke.structure import check_structure
from orchestrator.tracing.attributes import describe_check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from orchestrator.docker.engine import Engine
    from orchestrator.docker.graph import Graph
    from orchestrator.docker.stages import Timed
    from orchestrator.model import Check, Pairs
    from orchestrator.smoke.runners import Call, Runner
    from orchestrator.smoke.served import Health
    from orchestrator.tracing.trace import Trace


class Caller(Struct, frozen=True):
    """Who has programs run in an image, and what they are told of it."""

    run: str
    cell: str
    env: Pairs
    command: tuple[str, ...]
    port: int
    user: str
    health: Health | None = None  # its HEALTHCHECK, as far as its configuration is known


class Subject(Struct, frozen=True):
    """The image under test, and what its checks need to know."""

    caller: Caller
    engine: Engine
    image: str
    folder: Path
    cancel: Event
    log: Callable[[str], None]
    trace: Trace
    runner: Runner
    graph: Graph | None = None


def run_checks(subject: Subject, checks: Sequence[Check], runners: Mapping[Check, Runner], timeout_s: float) -> Smoke:
    """Run all checks within one time limit, each by its runner; what is left over when it ends is a timeout.

    A check counts while it is run, also before its cell comes to it where the
    builder was ahead, and not while it waits for the builder.
    """
    deadline = time.monotonic() + timeout_s
    results: list[CheckResult] = []
    foresee_calls(subject, checks, runners)
    try:
        for check in checks:
            ahead_s = subject.graph.ahead_s if subject.graph else 0.0
            left = deadline - ahead_s - time.monotonic()
            if subject.cancel.is_set():
                break
            if left <= 0:
                late = f"not started: the cell's checks took {timeout_s:.0f} s"
                results.append(CheckResult(describe(check), "timeout", late))
                continue
            with subject.trace.span(describe(check)) as span:
                found = _run_check(replace(subject, runner=runners[check]), check, min(left, _limit_s(check)))
                describe_check(span, found)
            results += found
    finally:
        for runner in runners.values():
            runner.close()
    return Smoke(summarize(results), tuple(results))


def foresee_calls(subject: Subject, checks: Sequence[Check], runners: Mapping[Check, Runner]) -> None:
    """Tell each runner what it will be asked for, as far as that is known before any check has ended."""
    for runner in set(runners.values()):
        runner.foresee([_foresee(subject.caller, check) for check in checks if runners[check] is runner])


def foresee_steps(caller: Caller, checks: Sequence[Check]) -> list[Timed]:
    """Give the steps that checks will be, and their time limits, up to the first that is not known yet, or waits for a service."""
    busy = takewhile(lambda check: not isinstance(check, HttpCheck | HealthyCheck), checks)
    known = takewhile(lambda one: one is not None, (_foresee(caller, check) for check in busy))
    return [(make_step(one[0]), one[1]) for one in known if one is not None]


def _foresee(caller: Caller, check: Check) -> tuple[Call, float] | None:
    call = _make_call(caller, check)
    return (call, _limit_s(check)) if call else None


def _make_call(caller: Caller, check: Check) -> Call | None:
    found = None
    match check:
        case _ if any(find_unheld_limits(check)):
            pass
        case ImportCheck():
            found = make_import_call(caller, check)
        case RunCheck():
            found = make_command_call(caller, check)
        case HttpCheck():
            found = make_http_call(caller, check)
        case HealthyCheck():
            found = make_health_call(caller, check)
        case ProbeCheck() if PROBE_NEEDS[check.probe].no_graph is None:
            found = make_probe_call(caller, check)
    return found


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
    in_graph = subject.runner.name == GRAPH
    subject.log(f"--- {describe(check)}")
    if why := _why_skipped(subject, check):
        return [CheckResult(describe(check), "skipped", why, runner=subject.runner.name)]
    try:
        match check:
            case ImportCheck():
                results = check_imports(subject, check, timeout_s)
            case RunCheck():
                results = [check_command(subject, check, timeout_s)]
            case HttpCheck():
                inside = in_graph or not reaches_containers(subject.engine, subject.caller.run)
                results = [(check_http_inside if inside else check_http)(subject, check, timeout_s)]
            case HealthyCheck():
                results = [(check_health_inside if in_graph else check_health)(subject, check, timeout_s)]
            case ProbeCheck():
                results = [check_probe(subject, check, timeout_s)]
            case StructureCheck():
                results = check_structure(subject, check, timeout_s)
    except (NotMadeError, NotStartedError, UndecidedError) as error:
        results = [CheckResult(describe(check), error.outcome, str(error))]
    for result in results:
        subject.log(f"{result.name}: {result.outcome}{f' ({result.reason})' if result.reason else ''}")
    took = time.monotonic() - started
    name = subject.runner.name
    return [replace(result, duration_s=took if result.duration_s is None else result.duration_s, runner=name) for result in results]


def _why_skipped(subject: Subject, check: Check) -> str:
    """Say why a check is not run: it asks for limits to which its runner cannot hold it."""
    if subject.runner.name == GRAPH:
        unheld = ", ".join(find_unheld_limits(check))
        return f"it needs a container, since it asks for {unheld}" if unheld else ""
    unheld = " and ".join(find_unlimited(check, subject.engine.unlimited))
    return f"it asks for {unheld}, to which this engine can hold no container" if unheld else ""


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


def say_not_run(results: Sequence[CheckResult]) -> str | None:
    """Say of checks none of which failed how many could not be run, and why the first could not: they have not passed either."""
    left_out = [result for result in results if result.outcome == "skipped"]
    if not left_out:
        return None
    if len(left_out) == len(results):
        many = "no check was"
    else:
        many = f"{len(left_out)} of {len(results)} checks {'was' if len(left_out) == 1 else 'were'} not"
    return f"{many} run: {left_out[0].name}: {left_out[0].reason}"
