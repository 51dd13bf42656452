"""The nightly job for real: two parts of a tiny matrix, put together, published, and held against the night before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import MATRIX

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.engine
SCRIPT = Path(__file__).parents[2] / ".ci/nightly"


def do_night(project: Project, **variables: str) -> tuple[int, dict[str, str]]:
    """Do the job as a CI does; give its exit code and what it told."""
    told = project.folder / "told"
    told.unlink(missing_ok=True)
    done = subprocess.run(
        [SCRIPT],
        cwd=project.folder,
        env={**os.environ, **project.environment, "MATRIX": MATRIX, "GITHUB_OUTPUT": str(told), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, dict(line.split("=", 1) for line in told.read_text().splitlines())


def test_two_nights_in_parts(project: Project) -> None:
    """The first has nothing to be held against; the second has grown, is published all the same, and taken from then on."""
    growth = {"budgets": [{"growth": {"size": "5%"}}]}
    project.write(axes={"kind": ["a", "b"]}, **growth)
    for part in ("1/2", "2/2"):
        code, told = do_night(project, SHARD=part, REPORTS=f"parts/{part[0]}")
        assert (code, told["exit-code"]) == (0, "0")
        assert (project.folder / told["run"] / "junit.xml").is_file()
    assert not list(project.folder.glob("parts/*/site"))
    code, first = do_night(project, MERGE="parts", KEEP="5")
    assert code == 0
    assert len(project.record()["cells"]) == 2
    assert first["run"] == f"reports/runs/{project.record()['id']}"
    page = project.folder / "reports/site/index.html"
    assert "Trends" in page.read_text()

    project.write(axes={"kind": ["a", "b"]}, defaults={"args": {"DO": "head -c 2000000 /dev/urandom > /more"}}, **growth)
    code, second = do_night(project, KEEP="5", TAKE="yes")
    assert code == 5
    assert project.record()["baseline"] == first["run"].rpartition("/")[2]
    assert [path.name for path in (project.folder / first["run"]).iterdir() if path.name != "figures.json"] == ["run.json"]
    assert "2 runs from" in page.read_text()
    shown = project.matrix("baseline", "--show").stdout
    assert shown == f"tiny: {second['run'].rpartition('/')[2]}\n"
