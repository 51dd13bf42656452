"""Cells as real logs left them: what steps and checks printed under tests/golden/logs, made by tests/e2e/faults."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from orchestrator.inside import Inventory, Package, Packages
from orchestrator.judge.diagnosis.nouns import Evidence
from orchestrator.model import Status
from orchestrator.record import Build, CellRecord, CheckResult, Image, Smoke, Step

FOLDER = Path(__file__).parents[1] / "golden" / "logs"
_RESULT = re.compile(
    r"^(?P<name>(?:run|import|probe|http|healthy|structure)\b.*?): (?P<outcome>passed|failed|error)(?: \((?P<reason>.*)\))?$"
)
_FROM = {
    "alpine": "FROM docker.io/library/python:3.13-alpine@sha256:0",
    "debian": "FROM docker.io/library/python:3.13-slim@sha256:0",
    "wolfi": "FROM cgr.dev/chainguard/wolfi-base:latest@sha256:0",
}


def read_golden(name: str) -> str:
    """Read a file under tests/golden."""
    return (FOLDER.parent / name).read_text(encoding="utf-8")


@cache
def read_log(name: str) -> str:
    """Read a log as it lies under tests/golden/logs."""
    return read_golden(f"logs/{name}.log")


def failed_build(
    printed: str, system: str | None = "debian", *, code: int = 1, step: str = "[2/2] RUN make"
) -> tuple[CellRecord, Evidence]:
    """Make a cell whose build failed in a step that printed this."""
    steps = (Step("[1/2] FROM x", None, _FROM[system], None, 0.0, "cached"),) if system else ()
    build = Build("shared", 1, 9.0, steps=steps)
    reason = f"{step}: exit {code}"
    cell = CellRecord("c", {"base": "x"}, Status.BUILD_FAILED, Status.PASSED, as_expected=False, reason=reason, build=build)
    return cell, Evidence(step, printed, printed)


def failed_checks(
    *checks: CheckResult, system: str = "debian", packages: tuple[str, ...] = (), user: str = "", log: str = ""
) -> tuple[CellRecord, Evidence]:
    """Make a cell whose checks ended like this."""
    inside = Packages(os=tuple(Package(name, "1") for name in packages))
    image = Image("sha256:0", packages=inside, inventory=Inventory(system=system, user=user))
    cell = CellRecord(
        "c", {"base": "x"}, Status.SMOKE_FAILED, Status.PASSED, as_expected=False, image=image, smoke=Smoke("failed", checks)
    )
    return cell, Evidence(smoke_log=log)


def failed_check(reason: str, detail: str | None = None, *, name: str = "run x", outcome: str = "failed") -> CheckResult:
    """Make a check that failed."""
    return CheckResult(name, outcome, reason, detail)


def load_case(
    name: str, system: str = "debian", *, code: int = 1, packages: tuple[str, ...] = (), user: str = ""
) -> tuple[CellRecord, Evidence]:
    """Make the cell that left a log: of a build, or of checks where the log is one of those."""
    text = read_log(name)
    if text.startswith("step: "):
        step, _, printed = text.removeprefix("step: ").partition("\n")
        return failed_build(printed, system, code=code, step=step)
    answers = {
        answer["probe"]: answer for line in text.splitlines() if line.startswith('{"probe"') and (answer := json.loads(line))
    }
    checks = []
    for line in text.splitlines():
        if found := _RESULT.match(line):
            answer = answers.get(found["name"].removeprefix("probe "))
            detail = json.dumps(answer["detail"]) if answer else None
            checks.append(CheckResult(found["name"], found["outcome"], found["reason"], detail))
    return failed_checks(*checks, system=system, packages=packages, user=user, log=text)
