"""What a run was judged to be, in words: its verdict in a sentence; claims, gates, decision and diagnosis as tables."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.judge.figures import BUILT, FAILS, PASSES
from orchestrator.judge.words import render_amount
from orchestrator.model import Status
from orchestrator.report.table import Table
from orchestrator.rules import BYTES, COUNT, METRICS, OUTCOME, SECONDS, SHARE
from orchestrator.smoke.words import one_line, shorten
from orchestrator.units import UNKNOWN, count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.record import CellRecord, RunRecord
    from orchestrator.verdicts import Finding, Gate, GroupDecision, Pair, Verdict

VERDICTS = ("confirmed", "refuted", "mixed", "unknown")
MOST_EVIDENCE = 8  # of a claim or a finding, where a report has to be read in one go
_EXACT = {BYTES: "{:,.0f} bytes", SECONDS: "{:.6g} s", SHARE: "{:.4%}"}
_OUTCOMES = {FAILS: "fails", BUILT: "is built", PASSES: "passes"}


class Diagnosis(Struct, frozen=True):
    """A cause, and the cells that have it; no finding where a cell needs one and none is stored."""

    finding: Finding | None
    cells: tuple[CellRecord, ...]


def make_verdict(record: RunRecord) -> str:
    """Say in one sentence what came out: what to take, and what speaks against taking the run at its word."""
    parts = [_choice(record), _outcomes(record), _gates(record), _claims(record)]
    sentence = "; ".join(filter(None, parts))
    if record.environment.stand_in_bases:
        sentence = f"On stand-in bases, which are not the real images: {sentence[0].lower()}{sentence[1:]}"
    return one_line(f"{sentence}.")


def _choice(record: RunRecord) -> str:
    decision = record.decision
    if decision is None:
        return "Nothing was decided, since matrix.yaml has no decide" if _asks_nothing(record) else "Nothing was decided"
    axis = decision.between or record.compare
    if decision.winner is None:
        return f"No {axis} can be named as the one to take"
    rather = f", rather than {decision.runner_up}" if decision.runner_up else ""
    return f"Take {decision.winner} as {axis}{rather}"


def _asks_nothing(record: RunRecord) -> bool:
    return record.rules is not None and record.rules.choice is None


def _outcomes(record: RunRecord) -> str:
    judged = [cell for cell in record.cells if not cell.status.is_left_out]
    wrong = sum(not cell.as_expected for cell in judged)
    cells = count(len(judged), "cell" if record.excerpt_of is None else "shown cell")
    if not judged:
        return "no cell has a result"
    return f"{wrong} of {cells} did not end as expected" if wrong else f"{cells} of {len(judged)} ended as expected"


def _gates(record: RunRecord) -> str:
    failed = sum(gate.passed is False for gate in record.gates)
    unknown = sum(gate.passed is None for gate in record.gates)
    if not record.gates:
        return ""
    if not failed and not unknown:
        return f"{count(len(record.gates), 'gate')} held"
    gates = count(len(record.gates), "gate")
    if not failed:
        return f"{unknown} of {gates} could not be judged"
    return f"{failed} of {gates} failed" + (f" and {unknown} could not be judged" if unknown else "")


def _claims(record: RunRecord) -> str:
    """Count claims by verdict; a word that no claim should have counts as unknown."""
    found = [claim.verdict if claim.verdict in VERDICTS else "unknown" for claim in record.claims]
    counts = [f"{found.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in found]
    return f"claims: {', '.join(counts)}" if found else ""


def write_figure(value: float | None, kind: str | None) -> str:
    """Write a figure of a metric or a unit as the judgement's own sentences do; what has no known unit is a plain number."""
    if value is None or not isfinite(value):
        return UNKNOWN
    unit = METRICS.get(kind or "", kind or COUNT)
    return _OUTCOMES.get(value, UNKNOWN) if unit == OUTCOME else render_amount(value, unit)


def write_limited(gate: Gate) -> tuple[str, str]:
    """Write what was found and its limit, so that they can be told apart where they differ."""
    actual, limit = write_figure(gate.actual, gate.unit), write_figure(gate.limit, gate.unit)
    if actual == limit != UNKNOWN and gate.actual != gate.limit:
        exact = _EXACT.get(gate.unit or COUNT, "{:.15g}")
        return exact.format(gate.actual), exact.format(gate.limit)
    return actual, limit


def make_claims(record: RunRecord) -> Table | None:
    """Lay the claims out with what speaks for and against each."""
    rows = tuple(
        (one_line(claim.say), one_line(claim.verdict), "must" if claim.must else "", _join(claim_evidence(claim)))
        for claim in record.claims
    )
    return Table(("claim", "verdict", "gate", "evidence"), rows) if rows else None


def claim_evidence(claim: Verdict) -> list[str]:
    """Give a claim's evidence in its own words, or the pairs it rests on."""
    lines = [one_line(line) for line in claim.evidence] or [_say_pair(pair, claim.metric) for pair in claim.pairs]
    if len(lines) > MOST_EVIDENCE:
        lines[MOST_EVIDENCE - 1 :] = [f"{len(lines) - MOST_EVIDENCE + 1} more in run.json"]
    return lines


def _join(sentences: Sequence[str]) -> str:
    """Write sentences behind each other; those that others wrote may end in a full stop, or not."""
    return " ".join(f"{sentence.removesuffix('.')}." for sentence in sentences)


def _say_pair(pair: Pair, metric: str | None) -> str:
    figures = write_figure(pair.left_value, metric)
    if pair.right_value is not None or pair.right:
        figures += f" against {write_figure(pair.right_value, metric)}"
    why = f" ({shorten(pair.why)})" if pair.why else ""
    return one_line(f"{' and '.join(filter(None, (pair.left, pair.right)))}: {figures}, {_holds_word(pair)}{why}")


def _holds_word(pair: Pair) -> str:
    """Say whether a claim holds for a pair."""
    return {True: "holds", False: "does not hold", None: "unknown"}[pair.holds]


def make_pairs(claim: Verdict) -> Table:
    """Lay a claim's pairs out."""
    rows = [
        (
            one_line(pair.left),
            one_line(pair.right),
            write_figure(pair.left_value, claim.metric),
            write_figure(pair.right_value, claim.metric),
            _holds_word(pair),
            one_line(pair.why or ""),
        )
        for pair in claim.pairs
    ]
    return Table(("left", "right", "left figure", "right figure", "claim", "why"), tuple(rows))


def make_gates(record: RunRecord) -> Table | None:
    """Lay the gates out, limit against actual; those that failed come first, then those that nobody could judge."""
    rank = {False: 0, None: 1, True: 2}
    rows = tuple(
        (
            one_line(gate.gate),
            one_line(gate.cell or "the run"),
            *reversed(write_limited(gate)),
            gate_word(gate),
            one_line(gate.reason or ""),
        )
        for gate in sorted(record.gates, key=lambda gate: rank[gate.passed])
    )
    return Table(("gate", "cell", "limit", "actual", "outcome", "reason"), rows) if rows else None


def gate_word(gate: Gate) -> str:
    """Say whether a gate held; a gate without a figure neither held nor failed."""
    return {True: "passed", False: "FAILED", None: "unknown"}[gate.passed]


def make_groups(record: RunRecord) -> Table | None:
    """Lay the decision of each group out."""
    decision = record.decision
    if decision is None or not decision.per_group:
        return None
    between = decision.between or record.compare
    axes = [axis for axis in record.axes if axis != between]
    rows = tuple(
        (
            *(one_line(group.axes.get(axis, "")) for axis in axes),
            one_line(group.winner or "none"),
            one_line(group.runner_up or UNKNOWN),
            one_line(", ".join(group.front)) or UNKNOWN,
            _join(say_group(group)),
        )
        for group in decision.per_group
    )
    return Table((*map(one_line, axes), "take", "runner-up", "not beaten in everything", "why"), rows, len(axes))


def say_group(group: GroupDecision) -> list[str]:
    """Say why a group's decision is what it is, what would change it, and what it does not know."""
    change, unknown = (f"It would change: {text}" for text in group.would_change), (f"Not known: {text}" for text in group.unknown)
    return [one_line(text) for text in (*group.why, *change, *unknown)]


def make_reasons(record: RunRecord) -> list[str]:
    """Say why the decision is what it is, what would change it, and what it does not know."""
    decision = record.decision
    if decision is None:
        return []
    kinds = (("Because", decision.why), ("It would change", decision.would_change), ("Not known", decision.unknown))
    lines = [f"{kind}: {text}" for kind, texts in kinds for text in texts]
    return [one_line(line) for line in (*lines, *((f"Noise: {decision.noise}",) if decision.noise else ()))]


def make_diagnosis(record: RunRecord) -> tuple[Diagnosis, ...]:
    """Give each cause once with its cells: of those that did not end as expected, of which none is known, then of others."""
    found: dict[tuple[str, str, str], Diagnosis] = {}
    for cell in record.cells:
        for finding in cell.diagnosis:
            key = (finding.code, finding.title, finding.remedy)
            known = found.get(key)
            found[key] = Diagnosis(known.finding if known else finding, (*(known.cells if known else ()), cell))
    wrong = [cell for cell in record.cells if not cell.as_expected and not cell.diagnosis and not cell.status.is_left_out]
    too_good = tuple(cell for cell in wrong if cell.status is Status.PASSED)
    unknown = tuple(cell for cell in wrong if cell.status is not Status.PASSED)
    pressing = [one for one in found.values() if not all(cell.as_expected for cell in one.cells)]
    others = [one for one in found.values() if all(cell.as_expected for cell in one.cells)]
    return (*pressing, *(Diagnosis(None, cells) for cells in (too_good, unknown) if cells), *others)


def name_cells(cells: Sequence[CellRecord]) -> str:
    """Name the first of some cells, and say how many more there are."""
    more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    return f"{one_line(cells[0].id)}{more}"


def unexplained(record: RunRecord, cells: Sequence[CellRecord], typed: str = "") -> str:
    """Say that no cause is known, and how to look for one; what passed against all expectation needs none."""
    if cells[0].status is Status.PASSED:
        return f"Passed, though {cells[0].expected} was expected; take it out of `expect` in matrix.yaml."
    word = f"matrix explain {typed or record.id} {cells[0].id}"
    return one_line(f"No cause is stored; `{word}` looks for one, and shows the last lines of its log.")


def bounded_evidence(finding: Finding) -> Iterator[str]:
    """Give what a finding rests on, line by line."""
    for line in finding.evidence[:MOST_EVIDENCE]:
        yield shorten(line)
    if len(finding.evidence) > MOST_EVIDENCE:
        yield f"{len(finding.evidence) - MOST_EVIDENCE} more lines in run.json"
