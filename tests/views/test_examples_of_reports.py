"""`reports/examples`: what the tool prints of the runs that are stored there, in every format."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.report.evidence import find_evidence
from orchestrator.report.files import FORMATS
from orchestrator.store import Reports
from tests.example_run import store_examples
from tests.rendering import render
from tests.unit.records import make_record

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "reports/examples"
EXAMPLES = dict(
    example.split(":")
    for line in re.findall(r"^EXAMPLES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for example in line.split()
)
STALE = "is not what the tool prints; `make examples` makes it anew"


def test_every_format_has_an_example() -> None:
    """JSON is the stored run itself."""
    assert set(EXAMPLES) == set(FORMATS) - {"json"}


def test_the_stored_run_is_the_one_that_all_formats_are_tested_with(tmp_path: Path) -> None:
    """So it has every kind of outcome; file by file."""
    store_examples(tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    stored = {path.relative_to(FOLDER): path.read_bytes() for path in FOLDER.joinpath("runs").rglob("*") if path.is_file()}
    assert made == stored, STALE
    assert Reports(FOLDER).find("latest").load() == make_record()


TYPED = "--reports reports/examples latest"  # as `make examples` does


@pytest.mark.parametrize(("kind", "name"), EXAMPLES.items())
def test_an_example_is_what_the_tool_prints(kind: str, name: str) -> None:
    """Whoever reads it sees what matrix would give him today."""
    run = Reports(FOLDER).find("latest")
    text = render(run.load(), kind, 10_000, find_evidence(run, FOLDER), TYPED)
    assert (FOLDER / name).read_bytes().decode() == text, f"{name} {STALE}"


def test_pictures_are_there_and_small() -> None:
    """Each that the docs show, in less than 200 kB."""
    shown = re.findall(r"\]\((images/[a-z-]+\.png)\)", (ROOT / "docs/reports.md").read_text(encoding="utf-8"))
    assert {"images/report-light.png", "images/report-dark.png", "images/report-phone.png"} <= set(shown)
    for name in shown:
        assert 0 < (ROOT / "docs" / name).stat().st_size < 200_000
