"""All rules of diagnosis, in the order in which people want to read what they find; and a cell's findings by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.judge.diagnosis import (
    caching,
    compiling,
    confines,
    endings,
    figures,
    loading,
    network,
    offers,
    resolving,
    serving,
    surroundings,
)
from orchestrator.judge.diagnosis.case import make_case

if TYPE_CHECKING:
    from orchestrator.judge.diagnosis.nouns import Evidence, Rule
    from orchestrator.record import CellRecord
    from orchestrator.verdicts import Finding

RULES: tuple[Rule, ...] = (
    *endings.RULES,
    *loading.RULES,
    *compiling.RULES,
    *offers.RULES,
    *resolving.RULES,
    *network.RULES,
    *confines.RULES,
    *surroundings.RULES,
    *serving.RULES,
    *figures.RULES,
    *caching.RULES,
)


def diagnose(cell: CellRecord, evidence: Evidence) -> tuple[Finding, ...]:
    """Find the causes of what a cell is: what failed first, then what makes it large or slow; nothing without evidence.

    What is only a consequence of another finding about the same step or check is left out.
    """
    if cell.status.is_left_out:
        return ()
    case = make_case(cell, evidence)
    found = [finding for rule in RULES for finding in rule.find(case)]
    least = {rule.code for rule in RULES if rule.says_least}
    explained = {finding.evidence[0] for finding in found if finding.code not in least}
    hides = {rule.code: rule.hides for rule in RULES}
    hidden = {(code, finding.evidence[0]) for finding in found for code in hides[finding.code]}
    kept: dict[tuple[str, str], Finding] = {}
    for finding in found:
        is_consequence = (finding.code, finding.evidence[0]) in hidden
        if not is_consequence and not (finding.code in least and finding.evidence[0] in explained):
            kept.setdefault((finding.code, finding.title), finding)
    return tuple(kept.values())


def render_rules() -> str:
    """Write the rules down as a table in Markdown, a row for each."""
    rows = [f"| `{rule.code}` | {rule.means} | {rule.needs} | {rule.remedy} |" for rule in RULES]
    return "\n".join(["| code | what it says | what must be seen for it | remedy |", "| --- | --- | --- | --- |", *rows]) + "\n"
