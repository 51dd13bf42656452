"""The plan as people, scripts, GitHub and bake read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.parse import parse_matrix
from orchestrator.plan.render import FORMATS, render_plan
from orchestrator.plan.select import select_cells
from tests.unit.folders import CONTRACT, CONTRACT_FILES, HEAD, make_files, plan_of
from tests.unit.golden import assert_golden

if TYPE_CHECKING:
    from orchestrator.model import Plan

RICH = """\
axes: {base: [alpine, slim], deps: [none, "a/b.c"]}
defaults:
  dockerfile: "{base}.Dockerfile"
  platform: linux/arm64
  network: none
  env: {LANG: C.UTF-8}
  labels: {team: "é"}
  contexts: {wheels: ./wheels, tools: "docker-image://busybox", stage: "target:build"}
  secrets: {token: {env: TOKEN}, cert: {file: ca.pem, optional: true}, pip: {file_env: PIP_CONF}}
  cache: {from: [type=gha], to: ["type=gha,mode=max"]}
  timeout: {build: 10m, smoke: 90s}
  smoke:
    - {import: [json], timeout: 5s}
    - {run: [sh, -c, exit 3], exit: 3, stdout: "^$", memory: 64MiB, pids: 8, cpus: 0.5, network: bridge, writable: true}
    - {http: {port: 8080, path: /health, header: {Server: x}, body: ok, within: 5s}, capabilities: [NET_BIND_SERVICE]}
    - {http: {port: 80}}
    - {healthy: {within: 1m}}
    - {probe: tls}
    - {structure: cst.yaml}
settings:
  base: {slim: {target: final, push: "registry.example/app:{base}", libc: glibc}}
  deps: {a/b.c: {requirements: deps/abc.txt}}
exclude: [{base: alpine, deps: none, reason: "needs | a pipe"}]
"""


@pytest.fixture
def contract(tmp_path: Path) -> Plan:
    """Give the plan of CONTRACT.md's example."""
    return parse_matrix(CONTRACT, "matrix.yaml", make_files(tmp_path, *CONTRACT_FILES))[1]


@pytest.fixture
def rich(tmp_path: Path) -> Plan:
    """Give a plan with everything that settings can hold."""
    return plan_of(RICH, tmp_path, "alpine.Dockerfile", "slim.Dockerfile", "deps/abc.txt", "cst.yaml", "wheels/x.whl")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_plan_of_the_contracts_example_reads_as_it_always_did(kind: str, contract: Plan) -> None:
    """Each format of `matrix plan`, word for word."""
    assert_golden(f"plan-{kind}.txt", render_plan(contract, kind, Path("/project"), 10_000))


def test_a_plan_that_is_wider_than_its_terminal_wraps_its_last_column(tmp_path: Path) -> None:
    """Why a cell is excluded may be a long sentence; every word is there, and no line is too long."""
    reason = "the single-stage Dockerfile is compared on two of the sets of dependencies only, and this is none of them"
    plan = plan_of(
        f"axes: {{base: [a, b]}}\ndefaults: {{dockerfile: D}}\nexclude: [{{base: a, reason: '{reason}'}}]", tmp_path, "D"
    )
    drawn = render_plan(plan, "table", tmp_path, 60)
    assert max(map(len, drawn.splitlines())) <= 60
    assert " ".join(drawn.split()).count(reason) == 1
    narrow = render_plan(plan, "table", tmp_path, 20).splitlines()
    assert max(map(len, narrow)) <= 20
    assert narrow[:3] == ["b: passed, D", "a: excluded, the", "  single-stage"]


def test_a_plan_of_one_cell_has_one(tmp_path: Path) -> None:
    """It is counted as people count."""
    assert render_plan(plan_of("axes: {a: [x]}\n", tmp_path), "table", tmp_path, 80).endswith("\n\n1 cell\n")


@pytest.mark.parametrize("kind", ["json", "bake"])
def test_a_plan_with_every_setting_reads_as_it_always_did(kind: str, rich: Plan) -> None:
    """Every setting of a cell is in the plan that machines read."""
    assert_golden(f"plan-every-setting-{kind}.json", render_plan(rich, kind, Path("/project"), 10_000))


def test_the_json_plan_has_the_keys_of_the_contract(contract: Plan) -> None:
    """Scripts find schema, name, cells and excluded, with the keys that CONTRACT.md names."""
    data = json.loads(render_plan(contract, "json", Path("/project"), 10_000))
    assert list(data) == ["schema", "name", "cells", "excluded"]
    assert list(data["cells"][0]) == ["id", "axes", "settings", "expected"]
    assert list(data["excluded"][0]) == ["id", "axes", "reason"]
    assert (data["schema"], data["name"]) == (1, "otel-python")


def test_the_settings_of_a_plan_are_a_matrix_again(rich: Plan, tmp_path: Path) -> None:
    """What `matrix plan --format json` writes as settings means the same when it is read as settings."""
    for cell in rich.cells:
        settings = render_plan(select_cells(rich, [cell.id], ()), "json", tmp_path, 10_000)
        text = json.dumps(json.loads(settings)["cells"][0]["settings"])
        _, plan = parse_matrix(f"{HEAD}axes: {{a: [x]}}\ndefaults: {text}\n", "matrix.yaml", tmp_path)
        assert plan.cells[0].settings == cell.settings


def test_github_gets_a_row_for_each_cell(contract: Plan) -> None:
    """A job matrix has the id and the values of each cell, in one line."""
    text = render_plan(select_cells(contract, ["base=slim,deps=stdlib"], ()), "github", Path("/project"), 10_000)
    assert text.count("\n") == 1
    assert json.loads(text)["include"][0] == {"cell": "slim-3.12-stdlib", "base": "slim", "python": "3.12", "deps": "stdlib"}


def test_an_axis_takes_no_cells_id_from_a_job_matrix(tmp_path: Path) -> None:
    """It is what `--only` of the job is given."""
    plan = plan_of("axes: {cell: [x], kind: [k]}\n", make_files(tmp_path, "Dockerfile"))
    (row,) = json.loads(render_plan(plan, "github", tmp_path, 10_000))["include"]
    assert row == {"cell": "x-k", "axis_cell": "x", "kind": "k"}


def test_bake_builds_what_matrix_builds(rich: Plan) -> None:
    """A bake target names files from anywhere: what lies beside matrix.yaml is found, what is remote stays as it is."""
    data = json.loads(render_plan(rich, "bake", Path("/project"), 10_000))
    target = data["target"]["slim-a_b_c"]
    assert target["context"] == "/project"
    assert target["dockerfile"] == "/project/slim.Dockerfile"
    assert target["args"] == {"REQUIREMENTS": "deps/abc.txt"}
    assert target["contexts"] == {"wheels": "/project/wheels", "tools": "docker-image://busybox", "stage": "target:build"}
    assert target["secret"] == ["id=token,env=TOKEN", "id=cert,src=/project/ca.pem"]


def test_bake_takes_a_secret_from_any_path(tmp_path: Path) -> None:
    """A comma in the name of a file begins no other field."""
    plan = plan_of("axes: {a: [x]}\ndefaults: {secrets: {s: {file: 'a,b'}}}\n", tmp_path)
    target = json.loads(render_plan(plan, "bake", Path("/project"), 10_000))["target"]["x"]
    assert target["secret"] == ['id=s,"src=/project/a,b"']


def test_bake_fetches_a_remote_context_as_it_is_named(tmp_path: Path) -> None:
    """A context that the builder fetches is no folder, and its Dockerfile is inside it."""
    plan = plan_of("axes: {a: [x]}\ndefaults: {context: 'https://example.org/r.git', dockerfile: D}\n", tmp_path)
    target = json.loads(render_plan(plan, "bake", Path("/project"), 10_000))["target"]["x"]
    assert target["context"] == "https://example.org/r.git"
    assert target["dockerfile"] == "D"


def test_bake_has_a_target_for_each_cell(tmp_path: Path) -> None:
    """Two ids that differ only in marks that bake does not take are still two targets."""
    plan = plan_of("axes: {a: [x.1, x_1, x+1]}\n", tmp_path)
    data = json.loads(render_plan(plan, "bake", Path("/project"), 10_000))
    assert len(data["target"]) == 3
    assert data["group"]["default"]["targets"] == list(data["target"])
