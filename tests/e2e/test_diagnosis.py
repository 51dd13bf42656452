"""Faults made on purpose, each beside what looks like it: built, started, and explained by the installed `matrix`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ALL_FAULTS
from tests.e2e.conftest import MATRIX

FAULTS = Path(__file__).parent / "faults"
pytestmark = [pytest.mark.engine, pytest.mark.lab, pytest.mark.long]

QUICK = ("bundle-missing", "says-segmentation-fault", "no-zones", "crashing", "needy", "wasted", "not-wasted")
OFFLINE = {  # those that need no package index
    "no-network": ["name-not-resolved"],
    "no-network-apt": ["name-not-resolved"],
    "proxy-refuses": ["index-refuses"],
    "apt-refused": ["index-refuses"],
    "index-is-silent": ["nothing-offered"],
    "bundle-missing": ["ca-bundle-missing"],
    "crash-in-build": ["segmentation-fault"],
    "says-segmentation-fault": [],
    "killed-in-build": ["killed"],
    "memory-error": ["out-of-memory"],
    "disk-full": ["disk-full"],
    "not-root": ["permission-denied"],
    "not-root-apt": ["permission-denied"],
    "no-apk-package": ["no-system-package"],
    "no-apt-package": ["no-system-package"],
    "no-command": ["missing-tool"],
    "distutils": ["missing-build-module"],
    "locale": ["no-locale"],
    "no-zones": ["dns-search", "no-time-zone-data"],
    "zones": ["unknown-time-zone"],
    "no-roots": ["ca-bundle-missing"],
    "glibc-extension": ["other-libc"],
    "glibc-program-on-musl": ["no-loader", "missing-command"],
    "crashing": ["segmentation-fault", "segmentation-fault"],
    "needy": ["missing-library"],
    "wasted": ["hidden-bytes"],
    "not-wasted": [],
    "app": ["segmentation-fault", "killed", "permission-denied", "read-only"],
    "memory": ["out-of-memory"],
}
FROM_THE_INDEX = {
    "no-compiler": ["no-compiler"],
    "compile-error": ["compile-error"],
    "openssl-header": ["missing-header"],
    "kernel-header": ["missing-header"],
    "own-header": ["compile-error"],
    "pg-config": ["missing-tool"],
    "no-distribution": ["no-distribution"],
    "no-such-version": ["no-such-version"],
    "other-python": ["other-python"],
    "exporters": ["network-unreachable", "wrong-otlp-port", "wrong-otlp-port"],
}


def run(project: Path, *words: str) -> dict[str, list[str]]:
    """Run the faults in a copy of their folder; give the codes that the run has stored, by cell."""
    argv = [MATRIX, "run", *words, "--no-trace", "--progress", "none", "--jobs", "4"]
    subprocess.run(argv, cwd=project, capture_output=True, text=True, check=False)
    record: dict[str, Any] = json.loads((project / "reports/latest/run.json").read_text())
    assert record["complete"]
    return {
        cell["id"]: [finding["code"] for finding in cell["diagnosis"] if finding["code"] != "slow-step"] for cell in record["cells"]
    }


def only(faults: dict[str, list[str]]) -> list[str]:
    """Select these faults."""
    return [word for fault in faults for word in ("--only", f"fault={fault}")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy the faults, so that what a run leaves lies beside them."""
    return Path(shutil.copytree(FAULTS, tmp_path / "faults"))


def test_each_fault_is_found_and_what_looks_like_it_is_not(project: Path) -> None:
    """The findings are stored with the run, and `matrix explain` says them without an engine."""
    faults = OFFLINE if ALL_FAULTS else {fault: OFFLINE[fault] for fault in QUICK}
    assert run(project, *only(faults)) == faults
    explained = subprocess.run(
        [MATRIX, "explain", "latest", "needy"],
        cwd=project,
        env={**os.environ, "DOCKER_HOST": "unix:///nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the shared object libpq.so.5, which /packages/needy.so needs, is not in the image" in explained.stdout
    assert "`apk add --no-cache libpq`" in explained.stdout


@pytest.mark.index
@pytest.mark.fault
def test_each_fault_of_an_installation_is_found(project: Path) -> None:
    """With the words that pip and the compilers have today."""
    assert run(project, *only(FROM_THE_INDEX)) == FROM_THE_INDEX


@pytest.mark.index
@pytest.mark.fault
def test_a_cache_that_a_line_breaks_is_found_when_something_has_changed(project: Path) -> None:
    """The second build changes one file and one argument; the argument behind the installation breaks nothing."""
    faults: dict[str, list[str]] = {
        "context-first": ["cache-broken-by-context"],
        "argument-first": ["cache-broken-by-argument"],
        "argument-last": [],
    }
    matrix = project / "matrix.yaml"
    text = matrix.read_text()

    def change() -> None:
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"  # one that no earlier test has left in the engine's cache
        project.joinpath("changed").write_text(now)
        matrix.write_text(text.replace("2026-11-21T17:20:00Z", now))

    change()
    run(project, *only(faults))
    change()
    assert run(project, *only(faults)) == faults
