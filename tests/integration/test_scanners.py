"""Scanners as processes: stand-ins on the PATH that answer as grype and trivy do, and as they fail."""

from __future__ import annotations

import json
from threading import Event
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import EngineError
from orchestrator.inside import Vulnerabilities
from orchestrator.scanners import Scanner, find_scanner, scan_sbom

if TYPE_CHECKING:
    from pathlib import Path


def vulnerability(name: str, severity: str, package: str = "pkg:apk/alpine/musl@1") -> dict[str, object]:
    """Make a match as grype has it."""
    return {"vulnerability": {"id": name, "severity": severity}, "artifact": {"name": "musl", "purl": package}}


GRYPE = {
    "matches": [
        vulnerability("CVE-1", "Critical"),
        vulnerability("CVE-1", "Critical"),  # found twice, by two ways
        vulnerability("CVE-1", "Critical", "pkg:pypi/x@1"),
        vulnerability("CVE-2", "Low"),
        vulnerability("CVE-3", "Negligible"),
        vulnerability("CVE-4", "Unknown"),
    ],
    "descriptor": {"name": "grype", "db": {"status": {"built": "2026-11-20T06:30:14Z"}}},
}
TRIVY = {
    "SchemaVersion": 2,
    "Results": [
        {
            "Target": "alpine",
            "Vulnerabilities": [{"VulnerabilityID": "CVE-1", "PkgName": "musl", "InstalledVersion": "1", "Severity": "HIGH"}],
        },
        {
            "Target": "python",
            "Vulnerabilities": [{"VulnerabilityID": "CVE-9", "PkgName": "x", "InstalledVersion": "1", "Severity": "MEDIUM"}],
        },
        {"Target": "nothing"},
    ],
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that is all of the PATH but the shell's own tools."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def put(folder: Path, name: str, script: str) -> Scanner:
    """Make a stand-in; find it as a user's would be found."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    found = find_scanner()
    assert found == Scanner(name, str(folder / name))
    return found


def answer(value: object) -> str:
    """Write what a stand-in prints."""
    return f"cat <<'END'\n{json.dumps(value, indent=1)}\nEND"


def test_without_a_scanner_there_is_none(path: Path) -> None:
    """Nothing on the PATH is no zero: nobody was asked."""
    assert find_scanner() is None


def test_grype_is_asked_about_the_sbom(path: Path, tmp_path: Path) -> None:
    """Each vulnerability of each package counts once, by severity; the database's date stands beside."""
    scanner = put(path, "grype", f'echo "$@" > {tmp_path}/asked\n{answer(GRYPE)}')
    found = scan_sbom(scanner, tmp_path / "sbom.cdx.json", Event())
    assert found == Vulnerabilities("grype", "2026-11-20T06:30:14Z", critical=2, low=1, other=2)
    assert (tmp_path / "asked").read_text() == f"sbom:{tmp_path}/sbom.cdx.json --output json --quiet\n"


def test_an_older_grype_has_its_date_elsewhere(path: Path, tmp_path: Path) -> None:
    """Both places are looked at."""
    old = {"matches": [], "descriptor": {"db": {"built": "2024-01-02T03:04:05Z"}}}
    assert scan_sbom(put(path, "grype", answer(old)), tmp_path / "x", Event()) == Vulnerabilities("grype", "2024-01-02T03:04:05Z")


def test_trivy_is_asked_about_the_sbom(path: Path, tmp_path: Path) -> None:
    """Trivy tells its database's date only as a part of its version."""
    about = answer({"Version": "0.60", "VulnerabilityDB": {"UpdatedAt": "2026-11-20T12:00:00Z"}})
    script = f'if [ "$1" = version ]; then\n{about}\nexit\nfi\n{answer(TRIVY)}'
    assert scan_sbom(put(path, "trivy", script), tmp_path / "x", Event()) == Vulnerabilities(
        "trivy", "2026-11-20T12:00:00Z", high=1, medium=1
    )


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'database is too old' >&2; exit 1", "grype could not look the packages up: database is too old"),
        ("echo no json", "grype answered in a form that is not known here"),
        ("echo '{}'", "grype answered in a form that is not known here"),
        ("kill -9 $$", "grype could not look the packages up: no reason given"),
    ],
)
def test_a_scanner_that_fails_is_named(script: str, words: str, path: Path, tmp_path: Path) -> None:
    """What a scanner cannot answer is an error with its words, never no vulnerabilities."""
    with pytest.raises(EngineError, match=words):
        scan_sbom(put(path, "grype", script), tmp_path / "x", Event())
