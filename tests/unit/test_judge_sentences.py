"""The sentences of a judgement, as every report shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.judge.run import judge_record
from orchestrator.model import Status
from orchestrator.record import Environment
from orchestrator.rules import Claim
from tests.unit.golden import assert_golden
from tests.unit.judged import CHOICE, MB, cell, failed, run
from tests.unit.records import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.record import RunRecord
    from orchestrator.rules import Where
    from orchestrator.verdicts import Decision, GroupDecision


def against_slim(say: str, relation: str, metric: str = "size", by: float | None = None) -> Claim:
    """Claim something of Alpine against slim."""
    return Claim(say, metric, {"base": ("alpine",)}, {"base": ("slim",)}, relation, by)


def make_run() -> RunRecord:
    """Make a run with cells of every kind, and claims that get every verdict."""
    wolfi: Where = {"base": ("wolfi",)}
    claims = (
        against_slim("Alpine is smaller than slim", "smaller", by=0.1),
        against_slim("Alpine has fewer packages than slim", "smaller", "packages"),
        against_slim("Alpine builds slower than slim", "slower", "build_time"),
        against_slim("Alpine fails where slim passes", "fails"),
        against_slim("Alpine has more known vulnerabilities than slim", "larger", "vulnerabilities"),
        Claim("Wolfi takes about 60 MB", "size", wolfi, None, "equal", 0.05, value=60 * MB),
        Claim("Wolfi works", "outcome", wolfi, None, "passes"),
        Claim("Nothing compares with Fedora", "size", {"base": ("fedora",)}, {"base": ("slim",)}, "smaller"),
    )
    cells = (
        cell("alpine", 20, 9.0, deps="stdlib", packages=20), cell("slim", 45, 4.0, deps="stdlib", packages=100),
        cell("wolfi", 58, 4.1, deps="stdlib", packages=30),
        cell("alpine", 95, 30.5, deps="grpc", packages=40), cell("slim", 90, 30.0, deps="grpc", packages=130),
        failed("wolfi", Status.SMOKE_FAILED, 70, deps="grpc"),
        failed("alpine", Status.BUILD_FAILED, deps="old", expected=True), cell("slim", 60, 8.0, deps="old"),
        replace(failed("wolfi", Status.ERROR, deps="old"), reason=HOSTILE),
        failed("alpine", Status.SKIPPED, deps="new"), failed("slim", Status.EXCLUDED, deps="new"), cell("wolfi", 59, deps="new"),
    )  # fmt: skip
    record = run(*cells, claims=claims, choice=CHOICE)
    return replace(record, environment=Environment(stand_in_bases=("python:3.13-slim (Debian packages)",)))


def render(record: RunRecord) -> Iterator[str]:
    """Write all sentences, each on a line of its own."""
    for claim in record.claims:
        yield f"{claim.verdict.upper()}: {claim.say}"
        yield from (f"  {sentence}" for sentence in claim.evidence)
    decision = record.decision
    assert decision is not None
    yield from render_verdict("overall", decision)
    for group in decision.per_group:
        yield from render_verdict(f"{group.axes}, front {', '.join(group.front)}", group)
    yield f"noise: {decision.noise}"


def render_verdict(where: str, verdict: Decision | GroupDecision) -> Iterator[str]:
    """Write what was decided of a group, or overall."""
    yield f"{where}: {verdict.winner}, then {verdict.runner_up}"
    for part in ("why", "would_change", "unknown"):
        yield from (f"  {part}: {sentence}" for sentence in getattr(verdict, part))


def test_the_sentences_of_a_judgement_read_as_they_always_did() -> None:
    """Whoever changes a sentence that people read sees it; none has a line break or a control character from an image."""
    lines = list(render(judge_record(make_run())))
    assert all(line.isprintable() for line in lines)
    assert_golden("judgement.txt", "\n".join(lines) + "\n")
