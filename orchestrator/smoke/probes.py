"""The check `probe`: one of matrix's own scripts, run by the image's Python."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.docker.containers import Confinement
from orchestrator.probes import INPUT_VARIABLE, PROBE_NEEDS, load_probe
from orchestrator.record import CheckResult
from orchestrator.smoke.choose import GRAPH
from orchestrator.smoke.commands import NO_PYTHON, PYTHON, explain_end, parse_answers, run_python, tail_of_output
from orchestrator.smoke.runners import Call
from orchestrator.smoke.words import inert, shorten

if TYPE_CHECKING:
    from orchestrator.docker.containers import Ended
    from orchestrator.model import ProbeCheck
    from orchestrator.smoke.run import Caller, Subject

PROBE_S = 120.0
_OUTCOMES = ("passed", "failed", "skipped", "error")


def make_probe_call(caller: Caller, check: ProbeCheck) -> Call:
    """Say how a probe is run: with what its container must have, and what it must know of the image."""
    needs = PROBE_NEEDS[check.probe]
    limits = replace(
        check.limits,
        user=needs.user,
        writable=check.limits.writable or needs.writable_root,
        capabilities=(*check.limits.capabilities, *needs.capabilities),
    )
    patience = max(1.0, (check.limits.timeout_s or PROBE_S) / PROBE_S)  # what it waits for may take as much longer
    question = json.dumps({"command": list(caller.command), "port": caller.port, "user": caller.user, "patience": patience})
    confinement = Confinement(caller.run, caller.cell, limits, (*caller.env, (INPUT_VARIABLE, question)), tuple(needs.sysctls))
    return Call((PYTHON,), confinement, load_probe(check.probe))


def check_probe(subject: Subject, check: ProbeCheck, timeout_s: float) -> CheckResult:
    """Feed a probe to the image's Python and read the one line that it answers."""
    name = f"probe {check.probe}"
    if subject.runner.name == GRAPH and (why := PROBE_NEEDS[check.probe].no_graph):
        return CheckResult(name, "skipped", f"it needs a container: {why}")
    ended = run_python(subject, make_probe_call(subject.caller, check), timeout_s)
    if ended is None:
        return CheckResult(name, "skipped", NO_PYTHON)
    return replace(_judge(name, ended, check, timeout_s), duration_s=ended.took_s)


def _judge(name: str, ended: Ended, check: ProbeCheck, timeout_s: float) -> CheckResult:
    answers = parse_answers(ended.stdout, "probe")
    answer = answers.get(check.probe)
    if answer is None or answer.get("outcome") not in _OUTCOMES:
        failure = explain_end(ended, timeout_s, check.limits.memory_bytes)
        return CheckResult(name, *(failure or ("error", "the probe gave no answer")), detail=tail_of_output(ended))
    detail = inert(json.dumps(answer.get("detail"), ensure_ascii=False)) if answer.get("detail") else None
    return CheckResult(name, str(answer["outcome"]), shorten(str(answer.get("reason") or "")) or None, detail)
