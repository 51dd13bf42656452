"""Rules about builds that ended before a step could fail, and about expectations that no longer hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.judge.diagnosis.nouns import Case, Rule, make_finding
from orchestrator.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.verdicts import Finding


def find_base(case: Case) -> Iterator[Finding]:
    """Say that a base image is not there, or may not be pulled."""
    reason = _reason(case)
    if reason.startswith("the base image ") and " does not exist, or may not be pulled" in reason:
        remedy = (
            "Correct the name or the tag in FROM or in `args`; where it is private, `docker login` to its registry; "
            "see that it has this platform."
        )
        yield make_finding("base-missing", "a base image does not exist, or may not be pulled", _place(case), [reason], remedy)


def find_registry(case: Case) -> Iterator[Finding]:
    """Say that a base's registry cannot be reached, or wants a login."""
    reason = _reason(case)
    if reason.startswith("the registry of the base image "):
        remedy = (
            "See that the builder reaches the registry: its network, a proxy, or a mirror in `builder: {mirrors: …}`; "
            "then `matrix run --resume`. A base that only the engine has is seen by the engine's own builder alone: "
            "`builder: {driver: docker}`."
        )
        yield make_finding("registry-unreachable", "a base image's registry cannot be reached", _place(case), [reason], remedy)
    elif reason.startswith("no login to the registry of "):
        remedy = (
            "Log in with `docker login`, or mend the credential helper that Docker's configuration names; then `matrix "
            "run --resume`."
        )
        yield make_finding("registry-unreachable", "there is no login to a base image's registry", _place(case), [reason], remedy)


def find_unreadable(case: Case) -> Iterator[Finding]:
    """Say that the Dockerfile or the context cannot be read."""
    reason = _reason(case)
    if reason.startswith("the Dockerfile cannot be read: "):
        remedy = "Correct the line that it names; `docker buildx build --check` says more about a Dockerfile without building it."
        yield make_finding("inputs-unreadable", "the Dockerfile cannot be read", _place(case), [reason], remedy)
    elif reason.startswith("the context cannot be read: "):
        remedy = "Make the file readable for the user who runs matrix, or leave it out by a line in .dockerignore."
        yield make_finding("inputs-unreadable", "the context cannot be read", _place(case), [reason], remedy)


def find_not_there(case: Case) -> Iterator[Finding]:
    """Say that a file is to be copied that is not there."""
    reason = _reason(case)
    if not reason.startswith("there is no "):
        return
    if reason.endswith(" in the context"):
        remedy = (
            "Correct the path in COPY or ADD, which begins at the folder that the setting `context` names; and see that no line of "
            ".dockerignore leaves the file out."
        )
        yield make_finding("source-missing", "a file that is copied is not in the context", _place(case), [reason], remedy)
    elif reason.endswith(" in the stage or image that it is copied from"):
        remedy = (
            "Correct the path, which begins at the root of what `--from` names; or see that a step there writes it on this base."
        )
        yield make_finding("source-missing", "a file that is copied is not where `--from` says", _place(case), [reason], remedy)


def find_unexpected_pass(case: Case) -> Iterator[Finding]:
    """Say that a failure was expected, and the cell passed: what was true no longer is."""
    cell = case.cell
    if (
        cell.status is Status.PASSED
        and cell.expected is not Status.PASSED
        and not cell.expected.is_left_out
        and not cell.as_expected
    ):
        smoke = f"{len(cell.smoke.checks)} checks passed" if cell.smoke and cell.smoke.checks else ""
        lines = [f"expected: {cell.expected}", f"ended: {cell.status}", smoke, cell.reason or ""]
        remedy = "Remove this cell from `expect` in matrix.yaml: what failed works now (a wheel was published, a base was mended)."
        yield make_finding("unexpected-pass", f"the cell passed, and {cell.expected} was expected", "the cell", lines, remedy)


def _place(case: Case) -> str:
    return case.build.where if case.build else "the build"


def _reason(case: Case) -> str:
    return case.cell.reason or "" if case.cell.status in (Status.BUILD_FAILED, Status.ERROR) else ""


RULES = (
    Rule(
        "base-missing",
        "A base image does not exist, or may not be pulled.",
        "The builder's last error.",
        "Its name, its tag, or a login.",
        find_base,
    ),
    Rule(
        "registry-unreachable",
        "A base image's registry cannot be reached, or wants a login.",
        "The builder's last error.",
        "Network, proxy, mirror or login; then `matrix run --resume`.",
        find_registry,
        hides=("name-not-resolved", "network-unreachable", "index-refuses"),
    ),
    Rule(
        "inputs-unreadable",
        "The Dockerfile or the context cannot be read.",
        "The builder's last error.",
        "The line or the file that it names.",
        find_unreadable,
        hides=("permission-denied",),
    ),
    Rule(
        "source-missing",
        "A file that COPY or ADD names is not in the context, or not in the stage that it is copied from.",
        "The builder's last error.",
        "The path, a line of .dockerignore, or the step that should have written it.",
        find_not_there,
    ),
    Rule(
        "unexpected-pass",
        "A failure was expected, and the cell passed.",
        "The cell's outcome against `expect`.",
        "Removing the expectation.",
        find_unexpected_pass,
    ),
)
