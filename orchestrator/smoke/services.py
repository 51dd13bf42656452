"""Checks of the running image: `http` and `healthy`."""

from __future__ import annotations

import http.client
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.cuts import cut, cut_begin
from orchestrator.docker.containers import (
    Confinement,
    address_of,
    inspect_state,
    service,
    tail_of,
)
from orchestrator.record import CheckResult
from orchestrator.smoke.patterns import Searcher
from orchestrator.smoke.words import explain_code, explain_start, inert, last_line, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.docker.engine import Engine
    from orchestrator.model import HealthyCheck, HttpCheck, Limits
    from orchestrator.smoke.run import Subject

_POLL_S = 0.2
_HEALTH_INTERVAL_NS = 1_000_000_000
_STARTING = "it is still starting"
_BODY_BYTES = 256 * 1024


class NotStartedError(Exception):
    """The image does not start as it is: that is what the check found out."""

    outcome = "failed"


@contextmanager
def _service(subject: Subject, limits: Limits, **options: object) -> Iterator[str]:
    """Start the image as it is; say so when it does not even start."""
    confinement = Confinement(subject.caller.run, subject.caller.cell, limits, subject.caller.env)
    with service(subject.engine, subject.image, confinement, **options) as (box, why):
        if why is not None:
            raise NotStartedError(explain_start(why))
        try:
            yield box
        finally:
            subject.log(inert(tail_of(subject.engine, box)).rstrip())


def check_http(subject: Subject, check: HttpCheck, timeout_s: float) -> CheckResult:
    """Ask the image until it answers as it should, or its time is over."""
    name = f"http :{check.port}{check.path}"
    network = "bridge" if check.limits.network == "bridge" else "internal"
    latest = time.monotonic() + timeout_s
    with _service(subject, replace(check.limits, network=network)) as box:
        until = min(time.monotonic() + check.within_s, latest)  # from when it was started, however long that took
        address = address_of(subject.engine, box)
        problem = None if address else "it has no address"
        while address and not subject.cancel.is_set():
            answered = _ask(address, check, Searcher(until, subject.cancel))
            if answered is None:
                return CheckResult(name, "passed")
            if problem is None or time.monotonic() < until:  # else it was cut short, and the one before says more
                problem = answered
            if _gone(subject.engine, box, check) or time.monotonic() >= until:
                break
            subject.cancel.wait(_POLL_S)
        gone, tail = _gone(subject.engine, box, check), cut_begin(inert(tail_of(subject.engine, box)).rstrip()) or None
    if subject.cancel.is_set():
        return CheckResult(name, "error", "cancelled")
    return CheckResult(name, "failed", gone or shorten(f"after {check.within_s:.0f} s: {problem}"), tail)


def _ask(address: str, check: HttpCheck, searcher: Searcher) -> str | None:
    """Send one request; give what is wrong with the answer, or None."""
    connection = http.client.HTTPConnection(address, check.port, timeout=max(0.1, min(5.0, searcher.until - time.monotonic())))
    try:
        connection.request("GET", check.path, headers={"Host": "localhost", "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(_BODY_BYTES).decode("utf-8", "replace")
    except ConnectionRefusedError:
        return f"nothing listens on port {check.port}"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer on port {check.port} ({type(error).__name__}: {error})"
    finally:
        connection.close()
    return judge_answer(check, answer.status, {name.lower(): value for name, value in answer.getheaders()}, body, searcher)


def judge_answer(  # what was asked for, what came, and by what it is compared
    check: HttpCheck, status: int, headers: dict[str, str], body: str, searcher: Searcher, *, fits: bool | None = None
) -> str | None:
    """Compare an answer with what the check asks for; who had all of a body may have found out whether it fits."""
    if status != check.status:
        return f"status {status} instead of {check.status}: {last_line(body)}"
    for name, pattern in check.header:
        value = headers.get(name.lower())
        if value is None:
            return f"the answer has no header '{name}'"
        if not searcher.finds(pattern, value[:8192]):
            return f"header '{name}' is '{cut(value, 100)}', which does not match '{pattern}'"
    if check.body is not None and not (searcher.finds(check.body, body) if fits is None else fits):
        return f"the body does not match '{check.body}': {shorten(body)}"
    return None


def _gone(engine: Engine, box: str, check: HttpCheck | HealthyCheck) -> str | None:
    """Say how the container ended, if it did."""
    state = inspect_state(engine, box)
    if state.running:
        return None
    code = explain_code(state.exit_code, out_of_memory=state.out_of_memory, memory_bytes=check.limits.memory_bytes)
    return describe_end(code, tail_of(engine, box))


def describe_end(code: str, tail: str) -> str:
    """Say how an image's command ended, with the last that it said."""
    words = last_line(tail)
    return shorten(f"the container ended: {code}{f': {words}' if words else ''}")


def check_health(subject: Subject, check: HealthyCheck, timeout_s: float) -> CheckResult:
    """Wait until the image's own HEALTHCHECK passes; it is asked every second."""
    latest = time.monotonic() + timeout_s
    problem = _STARTING
    with _service(subject, check.limits, Healthcheck={"Interval": _HEALTH_INTERVAL_NS}) as box:
        until = min(time.monotonic() + check.within_s, latest)
        while time.monotonic() < until and not subject.cancel.is_set():
            state = inspect_state(subject.engine, box)
            if not state.health:
                return CheckResult("healthy", "failed", "the image has no HEALTHCHECK")
            if state.health == "healthy":
                return CheckResult("healthy", "passed")
            if state.health_said:
                problem = f"HEALTHCHECK says: {last_line(state.health_said[-1]) or 'nothing'}"
            gone = _gone(subject.engine, box, check)  # the engine calls a container that has ended unhealthy
            if gone or state.health == "unhealthy":
                problem = gone or problem
                break
            subject.cancel.wait(_POLL_S)
    if subject.cancel.is_set():
        return CheckResult("healthy", "error", "cancelled")
    if problem == _STARTING and subject.engine.product == "Podman":
        words = f"no HEALTHCHECK was run within {check.within_s:.0f} s: Podman leaves that to systemd, which may not be there"
        return CheckResult("healthy", "error", words)
    return CheckResult("healthy", "failed", shorten(f"not healthy within {check.within_s:.0f} s: {problem}"))
