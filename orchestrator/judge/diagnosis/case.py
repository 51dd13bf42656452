"""A cell and its logs to what the rules look at: who failed, what that one printed, and on which system."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from orchestrator.failures import plain_step
from orchestrator.judge.diagnosis.nouns import Case, Evidence, Said
from orchestrator.model import Status
from orchestrator.providers import ALPINE, DEBIAN, WOLFI
from orchestrator.smoke.words import inert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.record import CellRecord, CheckResult

_BAD = ("failed", "error", "timeout")
_NAMES = {
    ALPINE: r"alpine",
    WOLFI: r"wolfi|chainguard",
    DEBIAN: r"slim|debian|ubuntu|bookworm|bullseye|trixie|library/python:[\d.]+(?:@|$)",
}
_SYSTEMS = {ALPINE: ALPINE, WOLFI: WOLFI, "chainguard": WOLFI, DEBIAN: DEBIAN, "ubuntu": DEBIAN}
_STAGE = re.compile(r"\[(?:(?P<stage>[^\]]*?) +)?\d+/\d+\]")
_QUOTED = re.compile(r"^\S{0,300}:\d{1,6}\n-{20}\n", re.MULTILINE)  # buildx ends a log with the Dockerfile's own lines
_SECTION = re.compile(r"^--- ", re.MULTILINE)
_LONGEST_LINE = 2000
_CLIPPED = re.compile(rf"^(.{{{_LONGEST_LINE}}}).+$", re.MULTILINE)


def make_case(cell: CellRecord, evidence: Evidence) -> Case:
    """Say what failed in a cell and what it printed; a cell that passed has nothing but its figures."""
    return Case(cell, _failed_build(cell, evidence), tuple(_failed_checks(cell, evidence.smoke_log)), find_system(cell, evidence))


def _failed_build(cell: CellRecord, evidence: Evidence) -> Said | None:
    """Give what the build's failed step printed; without word of which it was, all that the build printed."""
    if cell.image is not None or cell.status not in (Status.BUILD_FAILED, Status.TIMEOUT, Status.ERROR):
        return None
    text = evidence.step_log
    if text is None:
        quoted = list(_QUOTED.finditer(evidence.build_log))
        text = evidence.build_log[: quoted[-1].start()] if quoted else evidence.build_log
    where = f"step {plain_step(evidence.step)}" if evidence.step else "the build"
    return Said(where, _clip(text), whole=inert(text))


def _failed_checks(cell: CellRecord, log: str) -> Iterator[Said]:
    for check in cell.smoke.checks if cell.smoke else ():
        if check.outcome in _BAD:
            detail = _parse_detail(check.detail)
            said = "" if detail else check.detail or _section_of(log, check)
            yield Said(f"check {check.name}", _clip(f"{check.reason or ''}\n{said}"), check, detail)


def _parse_detail(text: str | None) -> dict[str, object]:
    """Read what a probe answered; anything else has no fields."""
    if text is None or not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _section_of(log: str, check: CheckResult) -> str:
    """Find what a check printed into the log, by the line with its result."""
    wanted = f"\n{check.name}: {check.outcome}"
    return next((part for part in _SECTION.split(log) if wanted in part), "")


def _clip(text: str) -> str:
    return _CLIPPED.sub(r"\1", inert(text))


def find_system(cell: CellRecord, evidence: Evidence) -> str | None:
    """Tell the system of the base: by the image, else by the names of what it is built on, else it is unknown."""
    inside = cell.image.inventory if cell.image else None
    if inside and inside.system in _SYSTEMS:
        return _SYSTEMS[inside.system]
    stage = _STAGE.match(evidence.step or "")
    froms = [step for step in (cell.build.steps if cell.build else ()) if step.instruction.startswith("FROM ")]
    own = [step.instruction for step in froms if stage and step.stage == stage["stage"]]
    refs = [base.ref for base in cell.inputs.base]
    for names in (own, [step.instruction for step in froms], refs, list((cell.inputs.args or {}).values())):
        found = {system for name in names for system, words in _NAMES.items() if re.search(words, name[:500])}
        if len(found) == 1:
            return found.pop()
    return None


def was_copied(case: Case, said: Said, name: str) -> bool:
    """Tell whether the stage of the step that failed copies a program of that name: a shell does not find one that cannot start."""
    stage = _STAGE.match(said.where.removeprefix("step "))
    steps = case.cell.build.steps if said is case.build and case.cell.build else ()
    copies = re.compile(rf"(?:COPY|ADD) .*(?:^|[\s/]){re.escape(name)}(?:\s|$)")
    return any(step.stage == (stage and stage["stage"]) and copies.match(step.instruction) for step in steps)
