"""`python .ci/earlier_runs.py ARTIFACT FOLDER`: fetch the runs that the last nightly kept, with GitHub's own `gh`.

They are tonight's baseline and the trends' past. A first night has none, and
old ones expire: neither is an error. Whatever else goes wrong is one, because
a night that went on without its past would be kept as the past of the next.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

_TRIES = 3


def choose_run(artifacts: list[dict[str, Any]], branch: str, this_run: str) -> int | None:
    """Give the run whose artifact is the newest that can still be had; None where there is none.

    Only those of the branch itself count: a pull request's jobs, above all those
    of a fork, can leave an artifact of any name. How that night ended does not
    count: `matrix` itself takes the last good run for the baseline, and a night
    that failed is a part of the trends.
    """
    found = [
        one
        for one in artifacts
        if not one["expired"]
        and (run := one["workflow_run"])
        and run["head_branch"] == branch
        and run["head_repository_id"] == run["repository_id"]
        and str(run["id"]) != this_run
    ]
    newest = max(found, key=lambda one: str(one["created_at"]), default=None)
    return int(newest["workflow_run"]["id"]) if newest else None


def fetch_runs(name: str, folder: Path) -> str:
    """Fetch the newest artifact of that name into a folder; say what was found."""
    repository = os.environ["GITHUB_REPOSITORY"]
    branch = os.environ.get("BRANCH") or json.loads(_gh("api", f"repos/{repository}"))["default_branch"]
    listed = json.loads(_gh("api", f"repos/{repository}/actions/artifacts?per_page=100&name={quote(name, safe='')}"))["artifacts"]
    run = choose_run(listed, branch, os.environ.get("GITHUB_RUN_ID", ""))
    if run is None:
        return f"no earlier runs: {branch} has no artifact {name} that has not expired"
    _gh("run", "download", str(run), "--repo", repository, "--name", name, "--dir", str(folder))
    return f"earlier runs: from {name} of job {run}"


def _gh(*words: str) -> str:
    """Ask gh, a second and a third time if need be: a network has its moments."""
    for left in reversed(range(_TRIES)):
        done = subprocess.run(["gh", *words], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        if not left:
            sys.exit(f"gh {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.stderr.write(f"nightly: {fetch_runs(sys.argv[1], Path(sys.argv[2]))}\n")
