"""Known vulnerabilities of a cell's packages, by the scanner that is on the PATH, and how old its database is."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.cuts import cut_begin
from orchestrator.docker import process
from orchestrator.errors import EngineError
from orchestrator.inside import Vulnerabilities
from orchestrator.smoke.words import one_line
from orchestrator.strict import as_map

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from orchestrator.docker.process import Signal

_SCAN_S = 300.0  # the first one may fetch a database
_MAX_ANSWER = 256 * 1024 * 1024
_NAMED = ("critical", "high", "medium", "low")


class Scanner(Struct, frozen=True):
    """A scanner that can be asked."""

    name: str
    path: str


def find_scanner() -> Scanner | None:
    """Find grype or trivy."""
    return next((Scanner(name, path) for name in ("grype", "trivy") if (path := shutil.which(name))), None)


def scan_sbom(scanner: Scanner, sbom: Path, cancel: Signal) -> Vulnerabilities:
    """Let the scanner look an SBOM up; an answer that cannot be read is an error, never a zero."""
    if scanner.name == "grype":
        answer = _ask([scanner.path, f"sbom:{sbom}", "--output", "json", "--quiet"], cancel)
        return _count("grype", _grype_date(answer), _grype_severities(answer))
    answer = _ask([scanner.path, "sbom", "--format", "json", "--quiet", str(sbom)], cancel)
    about = _ask([scanner.path, "version", "--format", "json"], cancel)
    return _count("trivy", _text(as_map(about.get("VulnerabilityDB")).get("UpdatedAt")), _trivy_severities(answer))


def _ask(argv: list[str], cancel: Signal) -> dict[str, Any]:
    name = argv[0].rpartition("/")[2]
    answer = process.run(argv, timeout_s=_SCAN_S, limit=_MAX_ANSWER, cancel=cancel)
    if not answer.ok:
        why = f"no answer within {_SCAN_S:.0f} s" if answer.exit.timed_out else cut_begin(one_line(answer.stderr), 300)
        message = f"{name} could not look the packages up: {why or 'no reason given'}"
        raise EngineError(message)
    try:
        found = json.loads(answer.stdout)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        message = f"{name} answered in a form that is not known here"
        raise EngineError(message)
    return found


def _count(scanner: str, built_at: str | None, severities: Iterable[tuple[str, str]]) -> Vulnerabilities:
    """Count each vulnerability of each package once, whatever ways led to it."""
    counts = Counter(severity if severity in _NAMED else "other" for _, severity in set(severities))
    return Vulnerabilities(scanner, built_at, counts["critical"], counts["high"], counts["medium"], counts["low"], counts["other"])


def _grype_date(answer: dict[str, Any]) -> str | None:
    """Read the database's date, which newer versions keep one level deeper."""
    about = as_map(as_map(answer.get("descriptor")).get("db"))
    return _text(about.get("built")) or _text(as_map(about.get("status")).get("built"))


def _grype_severities(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if not isinstance(answer.get("matches"), list):
        raise EngineError("grype answered in a form that is not known here")
    for match in answer["matches"]:
        found, of = as_map(as_map(match).get("vulnerability")), as_map(as_map(match).get("artifact"))
        yield f"{found.get('id')} {of.get('purl') or of.get('name')}", str(found.get("severity", "")).lower()


def _trivy_severities(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "SchemaVersion" not in answer:
        raise EngineError("trivy answered in a form that is not known here")
    for result in answer.get("Results") or ():
        for found in as_map(result).get("Vulnerabilities") or ():
            of = as_map(found)
            package = f"{of.get('PkgName')} {of.get('InstalledVersion')}"
            yield f"{of.get('VulnerabilityID')} {package}", str(of.get("Severity", "")).lower()


def _text(value: object) -> str | None:
    return one_line(value[:40]) if isinstance(value, str) and value else None
