"""Diagnosis holds whatever logs and records hold: it never breaks, never runs on, and finds nothing in noise."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.judge.diagnosis.nouns import Evidence
from orchestrator.judge.diagnosis.rules import RULES, diagnose
from orchestrator.model import Status
from tests.pace import slowness
from tests.unit.logs import FOLDER, failed_build, failed_check, failed_checks, load_case
from tests.unit.records import HOSTILE, make_hostile_record, make_record

if TYPE_CHECKING:
    from orchestrator.verdicts import Finding

CODES = {rule.code for rule in RULES}
LINES = [line for path in sorted(FOLDER.glob("*.log")) for line in path.read_text().splitlines()]
LOGS = st.lists(st.sampled_from(LINES) | st.text(max_size=80), max_size=30).map("\n".join)
FIELDS = ("crashed", "unresolved", "resolved", "gunicorn", "libc", "zoneinfo", "own_command")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def assert_sound(found: tuple[Finding, ...]) -> None:
    """Hold each finding to what every finding promises."""
    for finding in found:
        assert finding.code in CODES
        assert len(finding.evidence) > 1, f"{finding.code} has a place and no evidence"
        assert all(line.strip() and "\n" not in line and len(line) <= 300 for line in finding.evidence)
        assert finding.title
        assert "\n" not in finding.title
        assert finding.remedy.endswith(".")
        assert "None" not in finding.remedy


@given(log=LOGS, system=st.sampled_from(["alpine", "debian", "wolfi", None]), code=st.sampled_from([1, 137, 139]))
def test_any_mixture_of_log_lines_gives_findings_with_evidence_from_the_log(log: str, system: str | None, code: int) -> None:
    """Lines of all logs in any order, with noise between them."""
    found = diagnose(*failed_build(log, system, code=code))
    assert_sound(found)
    assert len(found) <= len(RULES)


@given(
    reason=LOGS,
    detail=JSON,
    name=st.sampled_from(["probe dns", "probe native", "probe timezone", "probe telemetry", "run x", "healthy"]),
)
def test_any_answer_of_a_probe_is_survived(reason: str, detail: object, name: str) -> None:
    """An image decides what its Python prints, and so what a probe seems to answer."""
    assert_sound(diagnose(*failed_checks(failed_check(reason, json.dumps(detail), name=name), system="alpine")))


@given(st.text(max_size=300))
def test_noise_has_no_cause(noise: str) -> None:
    """Random text is no evidence of anything."""
    assert diagnose(*failed_build(noise)) == ()


@pytest.mark.parametrize("status", list(Status))
def test_every_record_there_is_can_be_diagnosed(status: Status) -> None:
    """Each kind of outcome, with every log of every kind beside it, and texts that an attacker would choose."""
    logs = Evidence(HOSTILE, "\n".join(LINES), "\n".join(LINES), "\n".join(LINES))
    for record in (make_record(), make_hostile_record()):
        for cell in record.cells:
            assert_sound(diagnose(replace(cell, status=status), logs))


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 160_000,
        " " * 160_000,
        "a" * 160_000,
        "a." * 80_000,
        "/" * 160_000,
        "error: " * 22_000,
        "\n".join(["a" * 1999] * 80),
        "'" * 160_000,
        "WARNING: fetching " * 9_000,
        "fatal error: a" * 11_000,
        "cannot create x" * 10_000,
        "host='a', port=4317)" * 8_000,
        "\\x00" * 40_000,
    ],
)
def test_a_log_made_to_be_slow_is_not(text: str) -> None:
    """No rule's pattern takes more than a moment, however a log is made; a real log of this length takes a tenth."""
    cell, evidence = failed_build(text)
    started = time.process_time()
    diagnose(cell, evidence)
    checked, log = failed_checks(failed_check(text[:4000]), failed_check("x", text), log=text)
    diagnose(checked, log)
    assert time.process_time() - started < 4 * slowness()


def test_evidence_is_in_what_was_printed() -> None:
    """What stands as evidence of a build that failed is its step or a line of its log."""
    for path in sorted(FOLDER.glob("*.log")):
        cell, evidence = load_case(path.stem)
        if evidence.step_log:
            printed = {" ".join(line.split())[:250] for line in evidence.step_log.splitlines()}
            for finding in diagnose(cell, evidence):
                found = [line[:250].rstrip("…") for line in finding.evidence[1:] if not line.startswith(("offered here", "exit "))]
                assert all(any(line in whole or whole in line for whole in printed if whole) for line in found)
