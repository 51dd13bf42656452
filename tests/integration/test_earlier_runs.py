"""Earlier runs are fetched from the last night's artifact, by a `gh` that notes what it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]


GH = f"""\
#!{sys.executable}
import json, pathlib, sys
with open("gh-calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
answers = json.loads(pathlib.Path("answers").read_text())
answer = answers[sys.argv[2] if sys.argv[1] == "api" else sys.argv[1]]
if answer is None:
    sys.exit("HTTP 502: bad gateway")
print(json.dumps(answer))
"""
LISTING = "repos/me/mine/actions/artifacts?per_page=100&name=nightly-reports"
KEPT = {
    "created_at": "2026-11-20T03:00:00Z",
    "expired": False,
    "workflow_run": {"id": 7, "head_branch": "main", "head_repository_id": 1, "repository_id": 1},
}


def fetch(folder: Path, exit_code: int = 0, **answers: Any) -> tuple[list[Sequence[str]], str]:
    """Fetch earlier runs from a `gh` with these answers; give what it was asked for, and what was said."""
    gh = folder / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    given = {"repos/me/mine": {"default_branch": "main"}, LISTING: answers["listed"], "run": answers.get("downloaded", {})}
    folder.joinpath("answers").write_text(json.dumps(given))
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/earlier_runs.py", "nightly-reports", "before"],
        cwd=folder,
        env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "GITHUB_REPOSITORY": "me/mine", "GITHUB_RUN_ID": "9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done.stderr
    return [json.loads(line) for line in folder.joinpath("gh-calls").read_text().splitlines()], done.stderr


def test_earlier_runs_are_fetched_from_the_last_night(tmp_path: Path) -> None:
    """That of the default branch, by its run."""
    calls, said = fetch(tmp_path, listed={"artifacts": [KEPT]})
    assert calls[-1] == ["run", "download", "7", "--repo", "me/mine", "--name", "nightly-reports", "--dir", "before"]
    assert said == "nightly: earlier runs: from nightly-reports of job 7\n"


def test_a_first_night_goes_on_without(tmp_path: Path) -> None:
    """As does one whose forerunners have all expired."""
    calls, said = fetch(tmp_path, listed={"artifacts": [{**KEPT, "expired": True}]})
    assert [call[0] for call in calls] == ["api", "api"]
    assert said == "nightly: no earlier runs: main has no artifact nightly-reports that has not expired\n"


def test_a_past_that_cannot_be_fetched_ends_the_night(tmp_path: Path) -> None:
    """Or tonight's run alone would be the past of the next night; it is tried three times."""
    calls, said = fetch(tmp_path, 1, listed={"artifacts": [KEPT]}, downloaded=None)
    assert [call[0] for call in calls] == ["api", "api", "run", "run", "run"]
    assert "exit code 1: HTTP 502: bad gateway" in said
