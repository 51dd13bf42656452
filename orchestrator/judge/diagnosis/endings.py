"""Rules about builds that ended before a step could fail, and about expectations that no longer hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from orchestrator.judge.diagnosis.nouns import Case, Rule, make_finding
from orchestrator.model import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.verdicts import Finding


class _Ending(NamedTuple):
    """What the builder's last error comes to: how the reason begins and ends, and what it means."""

    code: str
    begins: str | tuple[str, ...]
    title: str
    remedy: str
    ends: str = ""


_ENDINGS = (
    _Ending(
        "base-missing",
        "the base image ",
        "a base image does not exist, or may not be pulled",
        "Correct the name or the tag in FROM or in `args`; where it is private, `docker login` to its registry; see that it has "
        "this platform.",
    ),
    _Ending(
        "registry-unreachable",
        "the registry of the base image ",
        "a base image's registry cannot be reached",
        "See that the builder reaches the registry: its network, a proxy, or a mirror in `builder: {mirrors: …}`; then `matrix "
        "run --resume`. A base that only the engine has is seen by the engine's own builder alone: `builder: {driver: docker}`.",
    ),
    _Ending(
        "registry-unreachable",
        "no login to the registry of ",
        "there is no login to a base image's registry",
        "Log in with `docker login`, or mend the credential helper that Docker's configuration names; then `matrix run --resume`.",
    ),
    _Ending(
        "frontend-missing",
        ("the frontend ", "the registry of the frontend "),
        "the image that `# syntax=` names, which reads the Dockerfile, cannot be had",
        "Take the line `# syntax=…` out of the Dockerfile: the builder reads it by itself, as far as its own version goes. Or name "
        "an image that can be reached (a mirror: `builder: {mirrors: …}`, the build argument BUILDKIT_SYNTAX).",
    ),
    _Ending(
        "address-unreachable",
        "failed to load cache key: ",
        "what ADD names cannot be fetched",
        "See that the builder itself reaches the address, and that something is there: ADD is done by the builder, with its "
        "network and proxy, not by a step; `RUN curl` with a secret is what an address that wants a login needs.",
    ),
    _Ending(
        "policy-denied",
        "a policy does not allow ",
        "a policy does not allow what the build asks for",
        "Build from what the policy allows, or change the policy: the file beside the Dockerfile that ends with .rego, or what "
        "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY names.",
    ),
    _Ending(
        "inputs-unreadable",
        "the Dockerfile cannot be read: ",
        "an argument that FROM takes has no value",
        "Give the argument a default, by an `ARG NAME=…` before the first FROM, or a value in `args` of matrix.yaml.",
        ends=" should not be blank",
    ),
    _Ending(
        "inputs-unreadable",
        "the Dockerfile cannot be read: ",
        "the Dockerfile cannot be read",
        "Correct the line that it names; `docker buildx build --check` says more about a Dockerfile without building it.",
    ),
    _Ending(
        "inputs-unreadable",
        "the Dockerfile has no stage ",
        "the Dockerfile has no stage of the name that `target` has",
        "Correct the setting `target`, or the name behind AS in the Dockerfile.",
    ),
    _Ending(
        "inputs-unreadable",
        "the context cannot be read: ",
        "the context cannot be read",
        "Make the file readable for the user who runs matrix, or leave it out by a line in .dockerignore.",
    ),
    _Ending(
        "source-missing",
        "there is no ",
        "a file that is copied is not in the context",
        "Correct the path in COPY or ADD, which begins at the folder that the setting `context` names; and see that no line of "
        ".dockerignore leaves the file out.",
        ends=" in the context",
    ),
    _Ending(
        "source-missing",
        "there is no ",
        "a file that is copied is not where `--from` says",
        "Correct the path, which begins at the root of what `--from` names; or see that a step there writes it on this base.",
        ends=" in the stage or image that it is copied from",
    ),
    _Ending(
        "secret-missing",
        "a step asks for the secret ",
        "a secret that a step requires is not given",
        "Name it in `secrets` of matrix.yaml (`secrets: {ID: {env: VARIABLE}}` or `{file: PATH}`), by the id that the step has.",
    ),
    _Ending(
        "secret-missing",
        "a step asks for the SSH agent ",
        "a step requires an SSH agent, and the build has none",
        "matrix forwards no SSH agent: fetch over https with a token as a secret (`secrets`), and keep `--mount=type=ssh` without "
        "`required` where the step can do without it.",
    ),
)


def _find(code: str) -> Callable[[Case], Iterator[Finding]]:
    """Make the way to find what has this code: of its endings the first that the reason has."""
    endings = [ending for ending in _ENDINGS if ending.code == code]

    def find(case: Case) -> Iterator[Finding]:
        reason = (case.cell.reason or "") if case.cell.status in (Status.BUILD_FAILED, Status.ERROR) else ""
        where = case.build.where if case.build else "the build"
        for ending in endings:
            if reason.startswith(ending.begins) and reason.endswith(ending.ends):
                yield make_finding(code, ending.title, where, [reason], ending.remedy)
                return

    return find


def find_wrong_platform(case: Case) -> Iterator[Finding]:
    """Say that an image was built on a base for another platform, and says nothing of the one that was asked for."""
    foreign = case.cell.build.foreign_base if case.cell.build else None
    if foreign:
        remedy = (
            "Take a base that has this platform: its size, its packages and what its checks found are those of the other one. A "
            "stage that only lends files which are the same everywhere begins with `FROM --platform=$BUILDPLATFORM`."
        )
        title = "a base is for another platform than the image says"
        yield make_finding("base-of-another-platform", title, "the build", [f"the base image {foreign}"], remedy)


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


RULES = (
    Rule(
        "base-missing",
        "A base image does not exist, or may not be pulled.",
        "The builder's last error.",
        "Its name, its tag, or a login.",
        _find("base-missing"),
    ),
    Rule(
        "registry-unreachable",
        "A base image's registry cannot be reached, or wants a login.",
        "The builder's last error.",
        "Network, proxy, mirror or login; then `matrix run --resume`.",
        _find("registry-unreachable"),
        hides=("name-not-resolved", "network-unreachable", "index-refuses"),
    ),
    Rule(
        "frontend-missing",
        "The image that `# syntax=` names cannot be had.",
        "The builder's last error, about that image.",
        "The Dockerfile without that line, or a mirror.",
        _find("frontend-missing"),
    ),
    Rule(
        "address-unreachable",
        "What ADD names cannot be fetched.",
        "The builder's last error: `failed to load cache key`.",
        "The address, or the builder's network.",
        _find("address-unreachable"),
    ),
    Rule(
        "policy-denied",
        "A policy does not allow what a build asks for: a base, an address, a context.",
        "The builder's last error, and the policy's own words.",
        "What the policy allows, or another policy.",
        _find("policy-denied"),
    ),
    Rule(
        "inputs-unreadable",
        "The Dockerfile or the context cannot be read, or the stage that is asked for is not there.",
        "The builder's last error.",
        "The line, the stage or the file that it names.",
        _find("inputs-unreadable"),
        hides=("permission-denied",),
    ),
    Rule(
        "source-missing",
        "A file that COPY or ADD names is not in the context, or not in the stage that it is copied from.",
        "The builder's last error.",
        "The path, a line of .dockerignore, or the step that should have written it.",
        _find("source-missing"),
    ),
    Rule(
        "base-of-another-platform",
        "A base is for another platform than the one that is built for: the image is that one's, whatever it says.",
        "The builder's warning `InvalidBaseImagePlatform`.",
        "A base with this platform; `$BUILDPLATFORM` for a stage that only lends files.",
        find_wrong_platform,
    ),
    Rule(
        "secret-missing",
        "A step requires a secret or an SSH agent that the build is not given.",
        "The builder's last error.",
        "`secrets` in matrix.yaml.",
        _find("secret-missing"),
    ),
    Rule(
        "unexpected-pass",
        "A failure was expected, and the cell passed.",
        "The cell's outcome against `expect`.",
        "Removing the expectation.",
        find_unexpected_pass,
    ),
)
