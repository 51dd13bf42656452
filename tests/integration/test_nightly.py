"""The nightly job's scripts, against a `matrix` that notes what it is asked; the real CLI reads its words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from orchestrator.cli import make_app

ROOT = Path(__file__).parents[2]
OLD = "20261119T020000Z-aaaaaa"
NEW = "20261121T020000Z-bbbbbb"

# Notes its words; ends with the code that CODES names for the command; `run` and `merge` leave a run where they got so far.
MATRIX = """\
#!/usr/bin/env bash
set -euo pipefail
for word in "$@"; do printf '%s\\0' "$word" >>calls; done
printf '\\n' >>calls
code=$(sed -n "s/^$1=//p" codes)
case $1-${code:-0} in
  run-[015] | merge-[015])
    reports=$(sed -n 's/^reports=//p' codes)
    mkdir -p "$reports/runs/NEW"
    echo '{}' >"$reports/runs/NEW/run.json"
    ln -s runs/NEW "$reports/.latest"
    mv -T "$reports/.latest" "$reports/latest" ;;
  lock-1) echo 'base python:3.13-slim: `sha256:1` -> `sha256:2`' ;;
  baseline-0) cat chosen ;;
esac
exit "${code:-0}"
""".replace("NEW", NEW)


@dataclass
class Night:
    """A project's folder, and its nightly job."""

    folder: Path

    def run(self, exit_code: int = 0, codes: str = "", **variables: str) -> list[list[str]]:
        """Do the job, and give what `matrix` was asked for."""
        lines = [f"reports={variables.get('REPORTS', 'reports')}", *codes.split()]
        self.folder.joinpath("codes").write_text("\n".join(lines) + "\n")
        done = subprocess.run(
            [ROOT / ".ci/nightly"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "MATRIX": "./matrix", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == exit_code, done.stderr
        self.said = done.stderr
        calls = self.folder / "calls"
        lines = calls.read_text().split("\0\n")[:-1] if calls.exists() else []
        calls.unlink(missing_ok=True)
        return [check_words(line.split("\0")) for line in lines]

    @property
    def runs(self) -> list[str]:
        """Give the files of all stored runs."""
        stored = self.folder / "reports/runs"
        return sorted(str(path.relative_to(stored)) for path in stored.rglob("*") if path.is_file())


def check_words(words: list[str]) -> list[str]:
    """Let the real command line read the words: what it would refuse is refused here."""
    group: Any = get_command(make_app())
    group.commands[words[0]].make_context(words[0], words[1:])
    return words


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Give a project."""
    script = tmp_path / "matrix"
    script.write_text(MATRIX)
    script.chmod(0o755)
    tmp_path.joinpath("chosen").write_text("none is chosen: the last good run of each matrix is its baseline\n")
    return Night(tmp_path)


def store(folder: Path, run: str, *files: str) -> None:
    """Store a run with files."""
    for name in ("run.json", *files):
        path = folder / run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


PLAIN = ["--file", "matrix.yaml", "--reports", "reports"]
SITE = ["site", *PLAIN, "--out", "reports/site"]


def test_a_night_is_a_builder_a_run_and_a_site(night: Night) -> None:
    """In this order; a project without a lock is not asked about one."""
    assert night.run() == [["bootstrap", "--file", "matrix.yaml"], ["run", *PLAIN], SITE]


@pytest.mark.parametrize("code", [1, 5])
def test_a_night_that_fails_is_published_all_the_same(code: int, night: Night) -> None:
    """And its exit code is the run's."""
    asked = night.run(code, f"run={code}", GITHUB_OUTPUT="output")
    assert asked[-1] == SITE
    assert (night.folder / "output").read_text() == f"exit-code={code}\nrun=reports/runs/{NEW}\n"


@pytest.mark.parametrize("codes", ["bootstrap=4", "run=2", "run=3", "run=4", "run=70"])
def test_where_no_run_is_made_nothing_is_published(codes: str, night: Night) -> None:
    """Nor is an older run taken for it; a job of GitHub's is told all the same."""
    store(night.folder / "reports/runs", OLD)
    night.folder.joinpath("reports/latest").symlink_to(f"runs/{OLD}")
    command, code = codes.split("=")
    asked = night.run(int(code), codes, GITHUB_OUTPUT="output")
    assert asked[-1][0] == command
    assert (night.folder / "output").read_text() == f"exit-code={code}\nrun=\n"


def test_parts_that_cannot_be_put_together_leave_nothing(night: Night) -> None:
    """An older run is not taken for what they should have made."""
    store(night.folder / "reports/runs", OLD)
    night.folder.joinpath("reports/latest").symlink_to(f"runs/{OLD}")
    store(night.folder, "part")
    assert [words[0] for words in night.run(4, "merge=4", MERGE="part", GITHUB_OUTPUT="output")] == ["merge"]
    assert (night.folder / "output").read_text() == "exit-code=4\nrun=\n"


def test_a_site_that_fails_fails_a_good_night_only(night: Night) -> None:
    """What the run said comes first."""
    night.run(70, "site=70")
    night.run(5, "run=5 site=70")


def test_options_reach_matrix_as_they_are(night: Night) -> None:
    """Those that may be repeated a line each; what a shell would run is not run."""
    asked = night.run(
        FILE="ci.yaml",
        REPORTS="my reports",
        ONLY="base=alpine,python=3.1*\nslim-*\n",
        SKIP="$(touch owned) `touch owned`; touch owned",
        SCENARIO="cold\ncode",
        JOBS="3",
        MEASURE="5",
        LOCKED="true",
        BASELINE=OLD,
        SITE="",
    )
    assert asked[-1] == [
        *("run", "--file", "ci.yaml", "--reports", "my reports"),
        *("--only", "base=alpine,python=3.1*", "--only", "slim-*"),
        *("--skip", "$(touch owned) `touch owned`; touch owned"),
        *("--scenario", "cold", "--scenario", "code", "--jobs", "3", "--measure", "5", "--baseline", OLD, "--locked"),
    ]
    assert not (night.folder / "owned").exists()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "Nothing has moved since `ci.lock` was written.\n\n"),
        (1, "This has moved since `ci.lock` was written:\n\n```text\nbase python:3.13-slim: 'sha256:1' -> 'sha256:2'\n```\n\n"),
        (4, "`ci.lock` could not be checked: exit code 4.\n\n"),
    ],
)
def test_what_moved_since_the_lock_is_said_and_fails_nothing(code: int, words: str, night: Night) -> None:
    """In the log and in the job's summary, where it cannot end the block that it stands in."""
    (night.folder / "deploy.d").mkdir()
    (night.folder / "deploy.d/ci.lock").write_text("")
    asked = night.run(0, f"lock={code}", FILE="deploy.d/ci.yaml", GITHUB_STEP_SUMMARY="summary")
    assert [words[0] for words in asked] == ["bootstrap", "lock", "run", "site"]
    assert asked[1] == ["lock", "--check", "--file", "deploy.d/ci.yaml"]
    assert (night.folder / "summary").read_text() == words
    assert words.splitlines()[0] in night.said


def test_a_part_is_neither_published_nor_a_baseline(night: Night) -> None:
    """The whole is; and the lock is checked once for all parts."""
    (night.folder / "matrix.lock").write_text("")
    asked = night.run(1, "run=1", SHARD="2/8", TAKE="yes", GITHUB_OUTPUT="output")
    assert asked == [["bootstrap", "--file", "matrix.yaml"], ["run", *PLAIN, "--shard", "2/8"]]
    assert f"run=reports/runs/{NEW}\n" in (night.folder / "output").read_text()
    assert [words[0] for words in night.run(SHARD="1/8")] == ["bootstrap", "lock", "run"]


def test_parts_are_found_however_they_were_unpacked(night: Night) -> None:
    """Of one artifact a job gets the files, of several a folder for each; a cell may have a file of that name, too."""
    store(night.folder / "parts", "part-0", "cells/a/run.json")
    store(night.folder / "parts", "part-1/deeper")
    store(night.folder, "-single part")
    asked = night.run(5, "merge=5", MERGE="parts\n./-single part\n", BASELINE=OLD)
    assert asked[0] == [
        *("merge", *PLAIN, "--baseline", OLD, "--"),
        *("parts/./part-0", "parts/./part-1/deeper", "./-single part/."),
    ]
    assert asked[1:] == [SITE]
    assert [words[0] for words in night.run(MERGE="parts")] == ["merge", "site"], "twice is as good as once"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MERGE": "empty"}, "there is no part of a run in empty: each is a folder with a run.json"),
        ({"MERGE": "nowhere"}, "MERGE names nowhere, which is no folder"),
        ({"MERGE": "empty", "SHARD": "1/2"}, "SHARD makes a part and MERGE puts parts together: give one of them"),
        ({"LOCKED": "maybe"}, "LOCKED='maybe' is neither yes nor no"),
        ({"TAKE": "x"}, "TAKE='x' is neither yes nor no"),
        ({"KEEP": "0"}, "KEEP='0' is no number of runs from 1 to 9999"),
        ({"KEEP": "-1 -o x"}, "KEEP='-1 -o x' is no number of runs from 1 to 9999"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(variables: dict[str, str], words: str, night: Night) -> None:
    """With exit code 2, and in words."""
    (night.folder / "empty").mkdir()
    assert night.run(2, **variables) == []
    assert night.said == f"nightly: {words}\n"


def test_a_run_that_grew_is_taken_when_asked(night: Night) -> None:
    """From now on growth is held against it, which the gate that failed tonight does not change."""
    assert night.run(5, "run=5", TAKE="yes")[-2:] == [SITE, ["baseline", *PLAIN, NEW]]


def test_of_earlier_runs_the_newest_stay_with_what_trends_need(night: Night) -> None:
    """Their records, without logs and traces; what was chosen as the baseline stays besides; what is no run is let alone."""
    stored = night.folder / "reports/runs"
    for day in (11, 12, 13, 14):
        store(stored, f"202611{day}T020000Z-aaaaaa", "figures.json", "cells/a/build.log")
    outside = night.folder / "outside"
    store(outside, OLD, "report.md")
    (stored / OLD).symlink_to(outside / OLD)
    store(stored, "notes", "a.txt")
    night.folder.joinpath("chosen").write_text("m: 20261111T020000Z-aaaaaa\n")
    night.run(KEEP="2")
    assert night.runs == [
        *(f"202611{day}T020000Z-aaaaaa/run.json" for day in (11, 13, 14)),
        f"{NEW}/run.json",
        "notes/a.txt",
        "notes/run.json",
    ]
    assert (outside / OLD / "report.md").exists()


def test_without_being_asked_nothing_is_removed(night: Night) -> None:
    """On an engineer's machine the runs are hers."""
    store(night.folder / "reports/runs", OLD, "cells/a/build.log")
    night.run()
    assert f"{OLD}/cells/a/build.log" in night.runs


def test_choices_that_cannot_be_read_remove_nothing(night: Night) -> None:
    """Or the run that was chosen might be among them."""
    store(night.folder / "reports/runs", OLD, "report.md")
    assert [words[0] for words in night.run(4, "baseline=4", KEEP="1")] == ["baseline"]
    assert night.runs == [f"{OLD}/report.md", f"{OLD}/run.json"]


def do_step(night: Night, name: str, exit_code: int = 0, **variables: str) -> str:
    """Do the script of one step of the action, as GitHub's runner does; give all that has been told so far."""
    (step,) = [one for one in yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"] if one.get("name") == name]
    script = night.folder / "script"
    script.write_text(step["run"])
    given = {"RUNNER_TEMP": str(night.folder), "GITHUB_ACTION_PATH": str(ROOT), "GITHUB_OUTPUT": str(night.folder / "output")}
    done = subprocess.run(
        [script if word == "{0}" else word for word in step["shell"].split()],
        cwd=night.folder,
        env={"PATH": os.environ["PATH"], **dict.fromkeys(step["env"], ""), **given, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done.stderr
    return (night.folder / "output").read_text()


def test_the_action_publishes_before_it_fails(night: Night) -> None:
    """Its step that runs never fails for what was found; the last one does, after all that is kept."""
    tools = night.folder / "matrix-venv/bin"
    tools.mkdir(parents=True)
    (tools / "matrix").symlink_to(night.folder / "matrix")
    (tools / "python").symlink_to(sys.executable)
    (night.folder / "codes").write_text("reports=reports\nrun=5\n")
    told = do_step(night, "Run matrix", FILE="matrix.yaml", REPORTS="reports", LOCKED="false", TAKE="false")
    assert told == f"exit-code=5\nrun=reports/runs/{NEW}\n"
    run = night.folder / "reports/runs" / NEW
    assert do_step(night, "Read the decision", RUN=str(run)) == f"{told}winner=\n"
    (run / "run.json").write_text(json.dumps({"decision": {"winner": "slim\nexit-code=0"}}))
    assert do_step(night, "Read the decision", RUN=str(run)).endswith("winner=slim exit-code=0\n")
    do_step(night, "End as the run did", 5, CODE="5")
    do_step(night, "End as the run did", 0, CODE="0")
    do_step(night, "End as the run did", 1, CODE="")
