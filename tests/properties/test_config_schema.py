"""The contract's example, and the JSON Schema that editors check a matrix.yaml with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from orchestrator.cli import make_app
from orchestrator.config.load import load_matrix
from orchestrator.config.source import parse_source
from tests.unit.folders import CONTRACT, CONTRACT_FILES, make_files, parse
from tests.unit.golden import assert_golden

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def printed() -> str:
    """Give what `matrix schema` prints."""
    return CliRunner().invoke(make_app(), ["schema"]).output


@pytest.fixture(scope="module")
def validator(printed: str) -> jsonschema.Draft202012Validator:
    """Give an editor's validator."""
    document = json.loads(printed)
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def data_of(text: str) -> Any:  # YAML data is anything
    """Read YAML as matrix does."""
    return parse_source(text, "matrix.yaml").data


def test_the_contracts_example_is_a_matrix(tmp_path: Path) -> None:
    """The file in CONTRACT.md loads as it stands, with the meaning that it says it has."""
    path = make_files(tmp_path, *CONTRACT_FILES) / "matrix.yaml"
    path.write_text(CONTRACT, encoding="utf-8")
    matrix = load_matrix(path)
    assert matrix.folder == tmp_path
    assert matrix.digest.startswith("sha256:")
    assert len(matrix.digest) == 71
    assert matrix.file.builder.driver == "docker-container"
    assert matrix.file.builder.mirrors == {"docker.io": ["127.0.0.1:5000"]}
    assert (matrix.file.claims[0].is_, matrix.file.claims[0].by) == ("smaller", "10%")
    assert (matrix.file.budgets[0].size, matrix.file.budgets[0].build_time) == (250_000_000, 180.0)
    assert matrix.file.traces.ui == "http://127.0.0.1:16686/trace/{trace_id}"
    assert len(matrix.plan.cells) == 16
    assert [cell.id for cell in matrix.plan.excluded] == ["wolfi-3.12-stdlib", "wolfi-3.12-otel-grpc", "wolfi-3.12-grpcio-1.40"]


def test_the_schema_is_what_users_editors_were_given(printed: str) -> None:
    """A change of the schema is seen before users see it."""
    assert_golden("schema.json", printed)


def test_the_schema_takes_the_contracts_example(validator: jsonschema.Draft202012Validator) -> None:
    """An editor finds nothing wrong with the file in CONTRACT.md, read as matrix or as YAML 1.1 reads it."""
    assert list(validator.iter_errors(data_of(CONTRACT))) == []
    assert list(validator.iter_errors(yaml.safe_load(CONTRACT))) == []


REFUSED = {
    "an unknown key": "version: 1\nname: m\naxes: {a: [x]}\naxis: {}",
    "an unknown setting": "version: 1\nname: m\naxes: {a: [x]}\ndefaults: {dockerfil: x}",
    "no axes": "version: 1\nname: m",
    "empty axes": "version: 1\nname: m\naxes: {}",
    "an empty axis": "version: 1\nname: m\naxes: {a: []}",
    "another version": "version: 2\nname: m\naxes: {a: [x]}",
    "a name with capitals": "version: 1\nname: M\naxes: {a: [x]}",
    "a driver that is none": "version: 1\nname: m\naxes: {a: [x]}\nbuilder: {driver: podman}",
    "an outcome that is none": "version: 1\nname: m\naxes: {a: [x]}\nexpect: [{a: x, outcome: broken}]",
    "a check of no kind": "version: 1\nname: m\naxes: {a: [x]}\ndefaults: {smoke: [{rum: [x]}]}",
    "a port out of range": "version: 1\nname: m\naxes: {a: [x]}\ndefaults: {smoke: [{http: {port: 70000}}]}",
    "a duration that is none": "version: 1\nname: m\naxes: {a: [x]}\ndefaults: {timeout: {build: soon}}",
    "a size that is none": "version: 1\nname: m\naxes: {a: [x]}\nbudgets: [{size: large}]",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_the_schema_refuses_what_matrix_refuses(text: str, validator: jsonschema.Draft202012Validator) -> None:
    """What matrix would refuse is underlined while it is typed."""
    assert list(validator.iter_errors(data_of(text)))


TAKEN = {
    "numbers as values": "axes: {python: [3.12, 3.13]}\nexclude: [{python: 3.12}]\ninclude: [{python: 3.14}]",
    "numbers in a claim": "axes: {python: [3.12, 3.13]}\n"
    "claims: [{say: s, left: {python: 3.12}, right: {python: [3.13]}, is: smaller}]",
    "a check that needs no words": "axes: {a: [x]}\ndefaults: {smoke: [{healthy: }]}",
    "numbers in a command": "axes: {a: [x]}\ndefaults: {smoke: [{run: [sleep, 1], timeout: 90}], args: {A: 1, B: true}}",
    "one value or several": 'axes: {a: [x, y]}\nexclude: [{a: x, reason: later}, {a: [x, "y*"]}]',
}


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_the_schema_takes_what_matrix_takes(text: str, validator: jsonschema.Draft202012Validator, tmp_path: Path) -> None:
    """What matrix reads without a word is not underlined, also where an editor takes 3.12 for a number."""
    parse(text, tmp_path)
    found = yaml.safe_load("version: 1\nname: m\n" + text)
    assert [error.message for error in validator.iter_errors(found)] == []
