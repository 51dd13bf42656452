"""A run as JUnit XML: a suite for each group of cells that are compared, a case for each cell and each of its checks."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from orchestrator.model import Status
from orchestrator.report.details import cut
from orchestrator.report.gates import render_gate
from orchestrator.report.judged import gate_word
from orchestrator.report.table import make_warnings, outcome_of
from orchestrator.smoke.words import inert, one_line, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.record import CellRecord, CheckResult, RunRecord
    from orchestrator.verdicts import Gate

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_BROKEN = (Status.ERROR, Status.TIMEOUT)  # JUnit's word for what is no answer to the question that was asked
_MOST_CHECKS = 500  # of a cell


def render_junit(record: RunRecord) -> str:
    """Write a run for readers of JUnit XML: what was expected passes, and a note says what that was."""
    root = Element("testsuites", name=_text(one_line(record.name)))
    groups: dict[str, list[CellRecord]] = {}
    for cell in record.cells:
        groups.setdefault(_group_of(record, cell), []).append(cell)
    for name, cells in groups.items():
        suite = _add_suite(root, record, name)
        for cell in cells:
            _add_cell(suite, cell)
    if not record.complete:
        case = _add_case(_add_suite(root, record, "run"), "all cells have a result", "run", None)
        SubElement(case, "error", type="incomplete", message=_text("; ".join(make_warnings(record))))
    if record.gates:
        suite = _add_suite(root, record, "gates")
        for gate in record.gates:
            _add_gate(suite, gate)
    for suite in root:
        _count(suite, (suite,))
    _count(root, root)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _text(text: str) -> str:
    """Take out what XML 1.0 cannot hold, however it is escaped."""
    return _NOT_XML.sub("", inert(text))


def _group_of(record: RunRecord, cell: CellRecord) -> str:
    pairs = [f"{axis}={cell.axes.get(axis, '')}" for axis in record.axes if axis != record.compare]
    return one_line(" ".join(pairs)) or one_line(record.name)


def _add_suite(root: Element, record: RunRecord, name: str) -> Element:
    suite = SubElement(
        root, "testsuite", name=_text(shorten(name)), timestamp=f"{record.started_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    )
    properties = SubElement(suite, "properties")
    SubElement(properties, "property", name="run", value=_text(shorten(record.id)))
    for warning in make_warnings(record):
        SubElement(properties, "property", name="warning", value=_text(shorten(warning)))
    return suite


def _add_cell(suite: Element, cell: CellRecord) -> None:
    """Add the cell itself, by whether it ended as expected, and its checks."""
    case = _add_case(suite, cell.id, "cell", cell.build.wall_s if cell.build else None)
    reason = shorten(cell.reason or "")
    if cell.status.is_left_out:
        SubElement(case, "skipped", message=_text(reason or str(cell.status)))
    elif cell.as_expected:
        if cell.status is not Status.PASSED:
            _note(case, f"{outcome_of(cell)}: {reason}" if reason else outcome_of(cell))
    else:
        kind = "error" if cell.status in _BROKEN else "failure"
        message = f"{outcome_of(cell)}, and {cell.expected} was expected" + (f": {reason}" if reason else "")
        found = SubElement(case, kind, type=str(cell.status), message=_text(message))
        found.text = _text("\n".join(_explain(cell)))
    checks = cell.smoke.checks if cell.smoke else ()
    for check in checks[:_MOST_CHECKS]:
        _add_check(suite, cell, check)
    if len(checks) > _MOST_CHECKS:
        _note(case, f"{len(checks) - _MOST_CHECKS} more checks are in run.json")


def _explain(cell: CellRecord) -> Iterator[str]:
    yield cut(cell.reason) or "no reason is known"
    for finding in cell.diagnosis:
        yield from ("", f"{finding.title} ({finding.code})", *(f"  {cut(line)}" for line in finding.evidence[:50]))
        yield f"Remedy: {cut(finding.remedy)}"


def _add_check(suite: Element, cell: CellRecord, check: CheckResult) -> None:
    case = _add_case(suite, check.name, cell.id, check.duration_s)
    message = shorten(check.reason or check.outcome)
    if check.outcome == "passed":
        return
    if check.outcome == "skipped":
        SubElement(case, "skipped", message=_text(message))
    elif cell.as_expected and cell.status is not Status.PASSED:
        _note(case, f"{check.outcome}, as {cell.expected} was expected: {message}")
    else:
        found = SubElement(case, "failure", type=_text(shorten(check.outcome)), message=_text(message))
        found.text = _text(cut(check.detail) or "")


def _add_gate(suite: Element, gate: Gate) -> None:
    case = _add_case(suite, f"{gate.gate} of {gate.cell or 'the run'}", "gates", None)
    message = _text(render_gate(gate))
    if gate.passed is None:
        SubElement(case, "skipped", message=f"unknown: {message}")
    elif not gate.passed:
        SubElement(case, "failure", type=gate_word(gate), message=message)


def _add_case(suite: Element, name: str, owner: str, time_s: float | None) -> Element:
    case = SubElement(suite, "testcase", name=_text(shorten(name)) or "(no name)", classname=_text(shorten(owner)) or "(no name)")
    if time_s is not None:
        case.set("time", f"{time_s:.3f}")
    return case


def _note(case: Element, text: str) -> None:
    found = case.find("system-out")
    note = SubElement(case, "system-out") if found is None else found
    note.text = f"{note.text}\n{_text(text)}" if note.text else _text(text)


def _count(element: Element, suites: Iterable[Element]) -> None:
    """Say how many cases there are, and how they ended; the time is that of the cases of which it is known."""
    cases = [case for suite in suites for case in suite.iter("testcase")]
    kinds = Counter(child.tag for case in cases for child in case)
    element.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(kinds[tag]))
    element.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")
