"""A matrix.yaml that was checked once need not be checked again, and means the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.config import kept
from orchestrator.config.load import Matrix, load_matrix
from orchestrator.errors import ConfigError
from orchestrator.paths import cache_folder, cache_place
from tests.unit.folders import CONTRACT, CONTRACT_FILES, HEAD, STRUCTURE, make_files

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = """\
version: 1
name: all-kinds
axes: {base: [a, b], size: ["1", "2"]}
defaults:
  context: .
  contexts: {more: more, there: "https://example.com/x.git"}
  target: last
  args: {ONE: 1, BASE: "{base}"}
  secret_args: {TOKEN: THE_TOKEN}
  secrets: {id: {env: ID, optional: true}, key: {file: key, optional: true}}
  platform: linux/amd64
  env: {A: b}
  labels: {team: "{size}"}
  network: none
  requirements: requirements.txt
  source: app.py
  libc: glibc
  push: registry.example/{base}:{size}
  cache: {from: ["type=gha"], to: ["type=gha,mode=max"]}
  timeout: {build: 20m, smoke: 90}
  retries: 3
  smoke:
    - {import: [json, ssl], timeout: 5, cpus: 2, memory: 64MiB, pids: 10, capabilities: [CHOWN], network: internal, writable: true}
    - {run: [ls, -l], exit: 1, stdout: "a.*b", cpus: 0.5}
    - {http: {port: 80, path: /x, status: 204, header: {etag: .}, body: ok, within: 5}}
    - {healthy: {within: 1m}}
    - {probe: tls}
    - {structure: structure.yaml}
exclude: [{base: a, size: "1", reason: no}]
include: [{base: a, size: "3"}]
expect: [{base: b, outcome: smoke-failed, reason: it does}]
claims:
  - {say: A is smaller, metric: size, left: {base: a}, right: {base: b}, is: smaller, by: 10%, must: true}
  - {say: B is quick, metric: build_time, left: {base: [b]}, value: 90s, is: faster}
decide: {between: base, require: [build, smoke], prefer: [{metric: size, weight: 2}, {metric: build_time}]}
budgets: [{where: {base: a}, size: 250MB, build_time: 3m}, {growth: {size: 5%}}, {step: "*pip*", max: 60, compiled: 0}]
builder:
  name: mine
  driver: remote
  endpoint: tcp://one:1234
  env: {A: b}
  options: {cacert: ca.pem}
  mirrors: {docker.io: ["127.0.0.1:5000"]}
  platforms: [linux/amd64]
  nodes: [{endpoint: "tcp://two:1234", platforms: [linux/arm64], options: {cert: c.pem}}]
  smoke: graph
traces: {ui: "http://127.0.0.1:16686/trace/{trace_id}"}
"""


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """Give a matrix.yaml that has each key there is, beside all files that it names."""
    make_files(tmp_path, "Dockerfile", "requirements.txt", "app.py", "more/x")
    (tmp_path / "structure.yaml").write_text(STRUCTURE, encoding="utf-8")
    path = tmp_path / "matrix.yaml"
    path.write_text(EVERYTHING, encoding="utf-8")
    return path


def load_twice(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Matrix, Matrix]:
    """Give what a file means when it is checked, and when it need not be."""
    first = load_matrix(path, keep=True)
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.config.parse.parse_matrix", None)
        return first, load_matrix(path)


def test_what_was_right_is_not_checked_again_and_means_the_same(everything: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value comes back as it was, 2 as 2 and 2.0 as 2.0: digests are made of their words."""
    first, second = load_twice(everything, monkeypatch)
    assert len(first.plan.cells) == 4
    assert {type(check).__name__ for check in first.plan.cells[0].settings.smoke} == {
        "ImportCheck",
        "RunCheck",
        "HttpCheck",
        "HealthyCheck",
        "ProbeCheck",
        "StructureCheck",
    }
    assert second == first
    assert repr(second) == repr(first)


def test_the_contracts_example_means_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, of the file that users have seen."""
    path = make_files(tmp_path, *CONTRACT_FILES) / "matrix.yaml"
    path.write_text(CONTRACT, encoding="utf-8")
    first, second = load_twice(path, monkeypatch)
    assert repr(second) == repr(first)


@pytest.mark.parametrize("lost", ["Dockerfile", "more/x", "structure.yaml"])
def test_a_file_that_is_gone_is_missed_as_ever(lost: str, everything: Path) -> None:
    """The text is what it was; that its files are there is looked at each time."""
    load_matrix(everything, keep=True)
    gone = everything.parent / lost
    gone.unlink()
    if gone.parent != everything.parent:
        gone.parent.rmdir()
    with pytest.raises(ConfigError) as second:
        load_matrix(everything)
    everything.write_text(f"{EVERYTHING}# not seen before\n", encoding="utf-8")
    with pytest.raises(ConfigError) as first:
        load_matrix(everything)
    assert second.value.problems == first.value.problems
    assert lost.partition("/")[0] in str(second.value)


def test_a_structure_file_that_became_wrong_is_named(everything: Path) -> None:
    """What a file that it names says is looked at each time, too."""
    load_matrix(everything, keep=True)
    everything.with_name("structure.yaml").write_text("schemaVersion: 1.0.0\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"structure\.yaml:1"):
        load_matrix(everything)


def test_who_only_looks_writes_nothing(everything: Path) -> None:
    """`matrix plan` touches nothing, not even the cache."""
    load_matrix(everything)
    assert not cache_place().exists()


def test_a_wrong_text_is_not_kept(tmp_path: Path) -> None:
    """What is wrong is said each time."""
    path = tmp_path / "matrix.yaml"
    path.write_text(f"{HEAD}axes: {{a: []}}\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"axes\.a"):
            load_matrix(path, keep=True)
    assert not cache_place("matrices").exists()


def test_another_program_checks_for_itself(everything: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text may mean something else to a matrix of other modules, though it calls itself by the same version."""
    load_matrix(everything, keep=True)
    assert kept.recall(EVERYTHING) is not None
    other = make_files(tmp_path / "other", "__init__.py", "config/load.py", "plan/expand.py")
    monkeypatch.setattr("orchestrator.__file__", str(other / "__init__.py"))
    assert kept.recall(EVERYTHING) is None


def test_what_is_kept_and_damaged_is_as_good_as_none(everything: Path) -> None:
    """Whatever lies in the cache, the file means what it says."""
    first = load_matrix(everything, keep=True)
    (entry,) = cache_folder("matrices").iterdir()
    os.truncate(entry, entry.stat().st_size - 1)
    assert load_matrix(everything) == first


def test_a_plan_of_thousands_is_not_kept(tmp_path: Path) -> None:
    """To write it would take longer than it saves."""
    path = make_files(tmp_path, "Dockerfile") / "matrix.yaml"
    values = ", ".join(f'"{number}"' for number in range(1001))
    path.write_text(f"{HEAD}axes: {{a: [{values}]}}\n", encoding="utf-8")
    assert len(load_matrix(path, keep=True).plan.cells) == 1001
    assert not cache_place("matrices").exists()
