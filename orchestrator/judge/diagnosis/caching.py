"""Rules about a cache that cannot hit: the line before an installation that changes with everything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.failures import plain_step
from orchestrator.judge.diagnosis.nouns import Case, Rule, make_finding
from orchestrator.measure.installing import find_install

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.record import Build, Step
    from orchestrator.verdicts import Finding

_FLAGS = r"(?:--(?!from=)[a-z]+(?:=\S+)? )*"
_WHOLE = re.compile(rf"(?:COPY|ADD) {_FLAGS}(?:\./? \S+|\[ ?\"\./?\", ?\"[^\"]+\" ?\])$")
_OF_THE_CONTEXT = re.compile(r"(?:^|\s)(?:\.(?:\[[^\]]*\])?|\./\S*|-e|--editable)(?=\s|$|&|;)")
_PROJECT_TOO = {"uv sync", "poetry install", "pdm install", "pdm sync"}  # they install it besides what it depends on
_PROJECT_LEFT_OUT = re.compile(r"(?:^|\s)--(?:no-install-(?:project|workspace)|no-root|no-self)(?=\s|$|;)")
_SLOWEST_FREE_S = 2.0  # an installation that is this quick is nobody's worry
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.{0,20}|1[6-9]\d{8}(?:\d{3})?|\d{8}T?\d{6}Z?")
_COMMIT = re.compile(r"[0-9a-f]{40}|(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,12}")  # a short one has both letters and digits


def find_broken_by_context(case: Case) -> Iterator[Finding]:
    """Say that the whole context is copied before an installation that needs only a few files of it."""
    build = case.cell.build
    if build is None:
        return
    before = {_tool_of(step) for step in build.steps if _leaves_project_out(step)}  # what installs the dependencies by themselves
    for stage in dict.fromkeys(step.stage for step in build.steps):
        steps = in_order(build, stage)
        for at, step in enumerate(steps):
            if not copies_context(step):
                continue
            slow = [later for later in steps[at + 1 :] if _is_install(later) and (later.duration_s or 0) >= _SLOWEST_FREE_S]
            behind = [later for later in slow if _leaves_project_out(later) or _tool_of(later) not in before]
            if behind and step.outcome != "cached" and all(later.outcome != "cached" for later in behind):
                yield _by_context(build, steps[:at], step, behind[0])
                return


def _by_context(build: Build, before: Sequence[Step], breaker: Step, install: Step) -> Finding:
    cached = [step.name for step in before if step.outcome == "cached" and not step.instruction.startswith("FROM ")]
    lines = [f"step {plain_step(install.name)}: {install.duration_s or 0:.1f} s", *_again(cached), *_measured(build)]
    title = f"{breaker.instruction} stands before an installation: any changed file runs that again"
    remedy = (
        "Copy only what the installation reads (requirements.txt, pyproject.toml and the lock file, package-lock.json), "
        "install, and copy the rest afterwards; a .dockerignore keeps what changes by itself out of the context."
    )
    return make_finding("cache-broken-by-context", title, f"step {plain_step(breaker.name)}", lines, remedy)


def _again(cached: Sequence[str]) -> list[str]:
    return [f"in this build it ran again although the steps before it came from the cache: {cached[-1]}"] if cached else []


def _measured(build: Build) -> list[str]:
    medians = {one.name: one.median_s for one in build.scenarios}
    code, cold = medians.get("code"), medians.get("cold")
    return (
        [f"with one source file changed the build takes {code:.1f} s, and {cold:.1f} s without any cache"] if code and cold else []
    )


def find_broken_by_argument(case: Case) -> Iterator[Finding]:
    """Say that an installation ran again though all before it came from the cache, and an argument changes with each build."""
    build = case.cell.build
    changing = [(name, value) for name, value in (case.cell.inputs.args or {}).items() if _changes(value)]
    if build is None or not changing:
        return
    for stage in dict.fromkeys(step.stage for step in build.steps):
        steps = in_order(build, stage)
        for at, step in enumerate(steps):
            before = [one for one in steps[:at] if not one.instruction.startswith("FROM ")]
            again = step.outcome == "executed" and (step.duration_s or 0) >= _SLOWEST_FREE_S
            if not (_is_install(step) and again and before and all(one.outcome == "cached" for one in before)):
                continue
            names = ", ".join(name for name, _ in changing)
            lines = [
                f"from the cache: {before[-1].name}",
                f"run again: {step.duration_s or 0:.1f} s",
                *(f"{name}={value}" for name, value in changing),
            ]
            title = f"an installation ran again although all before it came from the cache, and {names} changes with each build"
            remedy = (
                f"Move `ARG {changing[0][0]}` below the installation, to where it is used: an argument that is declared is "
                "part of the key of every RUN behind it, whether the command mentions it or not."
            )
            yield make_finding("cache-broken-by-argument", title, f"step {plain_step(step.name)}", lines, remedy)
            return


def _changes(value: str) -> bool:
    """Tell whether a value looks like a moment or a commit: it will be another one in the next build."""
    return bool(_MOMENT.fullmatch(value.strip()) or _COMMIT.fullmatch(value.strip()))


def _is_install(step: Step) -> bool:
    """Tell whether a step installs dependencies; what installs the context itself needs the context."""
    found = find_install(step.instruction)
    if found is None:
        return False
    return not _OF_THE_CONTEXT.search(step.instruction[found.end() :].partition("&&")[0])


def _tool_of(step: Step) -> str:
    """Name the tool and the verb by which a step installs: `uv sync`."""
    words = found[0].split() if (found := find_install(step.instruction)) else [""]
    return f"{words[0]} {words[-1]}"


def _leaves_project_out(step: Step) -> bool:
    """Tell whether what would install the project as well is told to install its dependencies only."""
    return _tool_of(step) in _PROJECT_TOO and _PROJECT_LEFT_OUT.search(step.instruction) is not None


def copies_context(step: Step) -> bool:
    """Tell whether a step copies the whole context."""
    return _WHOLE.fullmatch(step.instruction) is not None


def in_order(build: Build, stage: str | None) -> list[Step]:
    """Give a stage's steps in the order of the Dockerfile: as their numbers say."""

    def number(step: Step) -> int:
        found = re.match(r"\[[^\]]*?(\d+)/\d+\]", step.name)
        return int(found[1]) if found else 0

    return sorted((step for step in build.steps if step.stage == stage), key=number)


RULES = (
    Rule(
        "cache-broken-by-context",
        "The whole context is copied before an installation, so any changed file runs it again.",
        "The steps' order in one stage, both run in this build, and no step that installs the dependencies without the project "
        "(`uv sync --no-install-project`); that earlier steps came from the cache, and `--scenario code`, where known.",
        "Copying what the installation reads first, the rest afterwards.",
        find_broken_by_context,
    ),
    Rule(
        "cache-broken-by-argument",
        "An argument that changes with each build stands before an installation.",
        "An installation that ran although all before it in its stage came from the cache, and an argument that is a "
        "moment or a commit.",
        "`ARG` below the installation.",
        find_broken_by_argument,
    ),
)
