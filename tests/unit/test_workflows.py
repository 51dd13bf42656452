"""The workflows, the action, and the examples of the docs: what they may do, what they are pinned to, and that they fit the CLI."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from earlier_runs import choose_run
from typer.main import get_command

from orchestrator.cli import make_app

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(ROOT.joinpath(".github/workflows").glob("*.yml"))
ACTION = ROOT / "action.yml"
SCRIPT = ROOT / ".ci/nightly"
DOCS = ROOT / "docs/ci.md"
SHELL = "bash --noprofile --norc -euo pipefail {0}"
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
# The most that any job may have; a job that needs more is looked at by a person, here.
ALLOWED = {"actions": "read", "contents": "read", "id-token": "write", "pages": "write"}
CHECKOUT_IS_ALL = {"persist-credentials": False}


@dataclass(frozen=True)
class Step:
    """A step of a job, or of the action."""

    where: str
    parts: dict[str, Any]


@cache
def load(path: Path) -> dict[str, Any]:
    """Read a file of YAML."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def steps() -> list[Step]:
    """Give all steps of all workflows and of the action."""
    jobs = {f"{path.name} {name}": job for path in WORKFLOWS for name, job in load(path)["jobs"].items()}
    jobs["action.yml"] = load(ACTION)["runs"]
    return [Step(f"{where}: {step.get('name') or step.get('uses')}", step) for where, job in jobs.items() for step in job["steps"]]


@cache
def commands() -> dict[str, frozenset[str]]:
    """Give the options of each command, as the command line has them."""
    group: Any = get_command(make_app())
    return {
        name: frozenset(option for one in command.params for option in (*one.opts, *one.secondary_opts))
        for name, command in group.commands.items()
    }


def uses_of(text: str) -> list[tuple[str, list[str]]]:
    """Find commands of `matrix` in a script or in prose, each with its long options."""
    found = re.findall(r"(?:\bmatrix|\$matrix\"|\$MATRIX\"|\$\(MATRIX\)) ([a-z]+)((?: [^\n|;&`#]*)?)", text)
    return [(command, re.findall(r"(?<!\S)--[a-z-]+", words)) for command, words in found if command in commands()]


def test_there_is_something_to_look_at() -> None:
    """The rules below are about files that were found."""
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "nightly.yml"]
    assert len(steps()) > 20


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION, DOCS], ids=lambda path: path.name)
def test_what_others_wrote_is_pinned_by_hash(path: Path) -> None:
    """A tag can be moved; a commit cannot. The version beside it is for people, and for the tools that update it."""
    for line in path.read_text(encoding="utf-8").splitlines():
        used = line.partition("uses:")[2].strip()
        if used and used != "./" and not used.startswith("OWNER/matrix@"):
            assert PINNED.search(line), line


def test_one_version_of_each_action_is_used_everywhere() -> None:
    """Or an update would be half done."""
    text = "".join(path.read_text(encoding="utf-8") for path in (*WORKFLOWS, ACTION, DOCS))
    found = set(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40}) # (\S+)", text))
    assert len({name for name, _, _ in found}) == len(found)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_may_do_what_it_needs_and_no_more(path: Path) -> None:
    """Nothing is granted to all; each job names its own, and no token is left behind in a checkout."""
    workflow = load(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"].items() <= ALLOWED.items(), name
        assert set(job) >= {"timeout-minutes", "runs-on"}, name
        for step in job["steps"]:
            if str(step.get("uses", "")).startswith("actions/checkout@"):
                assert step["with"] == CHECKOUT_IS_ALL
    assert workflow["concurrency"].keys() == {"group", "cancel-in-progress"}
    assert "pull_request_target" not in path.read_text(encoding="utf-8")
    writing = [name for name, job in workflow["jobs"].items() if "write" in job["permissions"].values()]
    assert writing == (["publish"] if path.name == "nightly.yml" else [])


@pytest.mark.parametrize("step", steps(), ids=lambda step: step.where)
def test_a_script_is_text_that_no_event_can_change(step: Step) -> None:
    """What comes from outside reaches a script as a variable: written into it, a branch's name would be run."""
    script = step.parts.get("run", "")
    assert "${{" not in script
    assert "${{" not in step.parts.get("shell", "")
    if script and step.where.startswith("action.yml"):
        assert step.parts["shell"] == SHELL
    else:
        assert "shell" not in step.parts


def test_examples_of_the_docs_grant_no_more_than_the_workflows() -> None:
    """They are copied as they are: each is YAML, and each job names its few rights."""
    found = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)]
    workflows = [one for one in found if "jobs" in one]
    assert (len(found), len(workflows)) == (4, 2)
    for workflow in workflows:
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            assert job["permissions"].items() <= {"actions": "read", "contents": "read"}.items()
            assert job["steps"][0]["with"] == CHECKOUT_IS_ALL
            assert {step["with"].keys() <= load(ACTION)["inputs"].keys() for step in job["steps"] if "OWNER" in step["uses"]} == {
                True
            }


def test_every_script_stops_at_its_first_failure() -> None:
    """Also in the middle of a pipe, and where a variable is not set."""
    for path in WORKFLOWS:
        assert load(path)["defaults"] == {"run": {"shell": SHELL}}
    for script in (SCRIPT, ROOT / ".ci/run"):
        assert "\nset -euo pipefail\n" in script.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", [*WORKFLOWS, ACTION, SCRIPT, DOCS, ROOT / "Makefile", ROOT / "README.md"], ids=lambda path: path.name
)
def test_every_command_is_one_that_matrix_has(path: Path) -> None:
    """With options that it has: a nightly that fails over its own words is found here, not at night."""
    for command, options in uses_of(path.read_text(encoding="utf-8")):
        assert set(options) <= commands()[command], command


def test_commands_are_found_where_they_are() -> None:
    """The test above would say yes to nothing at all."""
    assert uses_of('"$matrix" run --file x\nparts=$("$MATRIX" plan --shards 3 | x --y)\nthe matrix of a cell') == [
        ("run", ["--file"]),
        ("plan", ["--shards"]),
    ]
    assert [command for command, _ in uses_of(SCRIPT.read_text(encoding="utf-8"))] == [
        *("run", "merge", "baseline", "lock", "run", "merge", "site", "baseline", "bootstrap")
    ]


def test_the_action_hands_every_input_on_as_a_variable() -> None:
    """An input that is declared and used nowhere, or a variable that the script does not read, is a mistake."""
    action = load(ACTION)
    used = re.findall(r"inputs\.([a-z-]+)", ACTION.read_text(encoding="utf-8"))
    assert set(used) == set(action["inputs"])
    (run,) = [step for step in action["runs"]["steps"] if step.get("id") == "run"]
    read = set(re.findall(r"\$\{!?([A-Z]+)\b", SCRIPT.read_text(encoding="utf-8"))) | {"LOCKED", "TAKE"}
    assert set(run["env"]) <= read
    assert read - set(run["env"]) == {"MATRIX"}
    text = DOCS.read_text(encoding="utf-8")
    for name in (*read, *action["inputs"], *action["outputs"]):
        assert f"`{name}`" in text, f"docs/ci.md does not say what {name} is"


def test_what_the_action_installs_is_what_is_tested() -> None:
    """requirements.txt is a part of requirements-dev.txt, word for word with its hashes, and has all of pyproject.toml's."""
    pins, tested = (
        re.split(r"\n(?=\S)", ROOT.joinpath(name).read_text(encoding="utf-8").strip())
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert set(pins) < set(tested), "`make lock` makes both anew"
    assert all("--hash=sha256:" in pin for pin in pins)
    declared = re.findall(
        r'^    "([A-Za-z.-]+)==([^;"]+)', ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    there = {pin.split()[0] for pin in pins}
    development = there.isdisjoint
    runtime = [
        f"{name.replace('.', '-')}=={version}" for name, version in declared[: [name for name, _ in declared].index("uv") + 1]
    ]
    assert set(runtime) <= there
    assert development({f"{name}=={version}" for name, version in declared[len(runtime) :]})
    assert any(name.startswith("hatchling==") for name in there)


def artifact(run: int, created: str, **parts: Any) -> dict[str, Any]:
    """Make an artifact as GitHub lists it, with these parts changed."""
    of = {"id": run, "head_branch": "main", "head_repository_id": 1, "repository_id": 1} | parts.pop("workflow_run", {})
    return {"created_at": created, "expired": False, "workflow_run": of} | parts


def test_the_newest_earlier_night_is_taken() -> None:
    """By the time at which it was kept, whatever the order of the list; not this night itself, when it is run again."""
    listed = [artifact(1, "2026-11-19T03:00:00Z"), artifact(3, "2026-11-21T03:00:00Z"), artifact(2, "2026-11-20T03:00:00Z")]
    assert choose_run(listed, "main", "9") == 3
    assert choose_run(listed, "main", "3") == 2


@pytest.mark.parametrize(
    "one",
    [
        artifact(1, "2026-11-21T03:00:00Z", expired=True),
        {**artifact(1, "2026-11-21T03:00:00Z"), "workflow_run": None},
        artifact(1, "2026-11-21T03:00:00Z", workflow_run={"head_branch": "feature"}),
        artifact(1, "2026-11-21T03:00:00Z", workflow_run={"head_repository_id": 2}),
    ],
    ids=["expired", "of no run", "of another branch", "of a fork whose branch has the same name"],
)
def test_what_is_gone_or_of_others_is_no_earlier_night(one: dict[str, Any]) -> None:
    """Anybody can open a pull request whose jobs leave an artifact of that name."""
    assert choose_run([one], "main", "9") is None
    assert choose_run([one, artifact(2, "2026-11-01T03:00:00Z")], "main", "9") == 2


def test_a_first_night_has_none() -> None:
    """Which is no error."""
    assert choose_run([], "main", "9") is None
