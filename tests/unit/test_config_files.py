"""A matrix.yaml that is not there or is none, and files that it names and that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.config.load import load_matrix
from orchestrator.config.parse import parse_matrix
from orchestrator.errors import ConfigError, ExitCode
from tests.unit.folders import HEAD, make_files, problems_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_that_is_not_there_names_the_command_that_writes_one(tmp_path: Path) -> None:
    """Without a matrix.yaml the error says how to get one."""
    with pytest.raises(ConfigError) as caught:
        load_matrix(tmp_path / "matrix.yaml")
    assert str(caught.value) == f"{tmp_path}/matrix.yaml: no such file; `matrix init` writes one, -f/--file names another"
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_file_of_nearly_the_same_name_is_named(tmp_path: Path) -> None:
    """Who has a matrix.yml wants no other one written beside it."""
    make_files(tmp_path, "matrix.yml", "Dockerfile")
    with pytest.raises(ConfigError) as caught:
        load_matrix(tmp_path / "matrix.yaml")
    assert str(caught.value) == f"{tmp_path}/matrix.yaml: no such file; -f/--file names another; did you mean 'matrix.yml'?"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder in the place of the file is met with what to type."""
    with pytest.raises(ConfigError) as caught:
        load_matrix(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder; name the file in it, such as {tmp_path}/matrix.yaml"


def test_a_file_that_is_no_text_says_so_with_the_line(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are named with the line they are on."""
    path = tmp_path / "matrix.yaml"
    path.write_bytes(b"version: 1\nname: caf\xe9\n")
    with pytest.raises(ConfigError) as caught:
        load_matrix(path)
    assert str(caught.value) == f"{path}:2: not UTF-8 (byte 0xe9); save the file as UTF-8"


def test_a_file_far_too_large_is_not_read(tmp_path: Path) -> None:
    """Something that is no matrix.yaml at all is told from one by its size."""
    path = tmp_path / "matrix.yaml"
    with path.open("wb") as file:
        file.truncate(500_001)
    with pytest.raises(ConfigError) as caught:
        load_matrix(path)
    assert str(caught.value) == f"{path}: larger than 500 kB; this is not a matrix.yaml"


def test_a_matrix_without_any_dockerfile_says_which_it_looked_for(tmp_path: Path) -> None:
    """Where the file names none, the default that is missing is said of the defaults."""
    with pytest.raises(ConfigError) as caught:
        parse_matrix(HEAD + "axes: {a: [x, y]}\n", "matrix.yaml", tmp_path)
    assert str(caught.value) == "matrix.yaml:1: defaults: no such file: 'Dockerfile' (cell x)"


def test_each_place_that_lacks_a_file_is_named(tmp_path: Path) -> None:
    """Two cells may mean two files by one name: each has its own context."""
    make_files(tmp_path, "one/app.Dockerfile", "two/x")
    text = "axes: {c: [one, two]}\ndefaults: {context: '{c}', dockerfile: app.Dockerfile}\n"
    assert problems_of(HEAD + text, tmp_path) == [
        "matrix.yaml:4: defaults.dockerfile: no such file: 'app.Dockerfile'; did you mean 'Dockerfile'? (cell two)",
    ]


def test_a_structure_file_is_named_at_its_own_check(tmp_path: Path) -> None:
    """Checks add up from several places, and each list may be long."""
    text = """\
axes: {base: [slim, alpine], deps: [none, all]}
defaults:
  smoke:
    - import: [json]
    - structure: cst.yaml
settings:
  base:
    alpine: {smoke: [{probe: tls}]}
  deps:
    all:
      smoke:
        - run: [a]
        - structure: "{base}-checks"
"""
    assert problems_of(HEAD + text, tmp_path, "cst.yaml") == [
        "matrix.yaml:15: settings.deps.all.smoke[1].structure: no such file: 'alpine-checks' (cell alpine-all)",
        "matrix.yaml:15: settings.deps.all.smoke[1].structure: no such file: 'slim-checks' (cell slim-all)",
    ]


def test_the_matrix_itself_is_no_file_that_was_meant(tmp_path: Path) -> None:
    """It lies beside what is looked for, and its name may be near."""
    path = make_files(tmp_path, "Dockerfile") / "cst-m.yaml"
    path.write_text(HEAD + "axes: {a: [x]}\ndefaults: {smoke: [{structure: cst.yaml}]}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_matrix(path)
    assert str(caught.value) == f"{path}:4: defaults.smoke[0].structure: no such file: 'cst.yaml' (cell x)"


def test_a_name_that_no_disk_can_hold_is_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A path longer than the system allows is answered like any other missing file."""
    (problem,) = problems_of(HEAD + f"axes: {{base: [slim]}}\ndefaults: {{dockerfile: {'x' * 5000}}}\n", tmp_path)
    assert problem.startswith("matrix.yaml:4: defaults.dockerfile: no such file: 'xxx")
