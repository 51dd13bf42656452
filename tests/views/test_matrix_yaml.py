"""docs/matrix-yaml.md: every key of matrix.yaml, what it means, and what applies where it is not given."""

from __future__ import annotations

import os
import re
from pathlib import Path

from orchestrator.config.parse import parse_matrix
from orchestrator.model import Status
from orchestrator.plan.settings import MERGED_LISTS, MERGED_MAPPINGS, render_settings
from tests.reference import render_reference
from tests.unit.folders import make_files

DOCUMENT = Path(__file__).parents[2] / "docs" / "matrix-yaml.md"
MARK = "tests/views/test_matrix_yaml.py -->\n\n"


def test_the_page_of_the_docs_has_every_key() -> None:
    """Its tables are written from the schema itself, so that they cannot fall behind."""
    text = DOCUMENT.read_text(encoding="utf-8")
    head, mark, _ = text.partition(MARK)
    written = head + mark + render_reference()
    if os.environ.get("UPDATE_GOLDEN") == "1":
        text = written
        DOCUMENT.write_text(written, encoding="utf-8")
    assert written == text, "UPDATE_GOLDEN=1 writes the tables anew"


def test_the_example_of_the_page_means_what_the_page_says(tmp_path: Path) -> None:
    """Which cells there are, how their settings are merged, and how they have to end."""
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    _, plan = parse_matrix(example, "matrix.yaml", make_files(tmp_path, "Dockerfile"))
    expected = {cell.id: cell.expected for cell in plan.cells}
    failing = Status.SMOKE_FAILED
    assert expected == {"alpine-3.13": failing, "slim-3.12": Status.PASSED, "slim-3.13": Status.PASSED, "slim-3.14": failing}
    assert [cell.id for cell in plan.excluded] == ["alpine-3.12"]
    merged = render_settings(plan.cells[0].settings)
    assert merged["args"] == {"BASE_IMAGE": "python:3.13-alpine", "EXTRAS": "all"}
    assert merged["cache"]["from"] == ["type=registry,ref=cache.example/shop"]
    assert [next(iter(check)) for check in merged["smoke"]] == ["import", "probe", "run"]


def test_the_page_names_what_is_merged() -> None:
    """A setting that is not named there is replaced as a whole."""
    (said,) = re.findall(r"`smoke` adds up\. (.*?) merge by name", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert frozenset(re.findall(r"`(\w+)`", said)) == MERGED_MAPPINGS
    assert frozenset({"smoke"}) == MERGED_LISTS
