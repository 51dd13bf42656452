"""The contract's example, and the JSON Schema that editors check a matrix.yaml with."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from orchestrator.cli import make_app
from orchestrator.config.checks import CHECKS
from orchestrator.config.load import load_matrix
from orchestrator.config.schema import MatrixFile
from orchestrator.config.source import parse_source
from tests.unit.folders import CONTRACT, CONTRACT_FILES, make_files, parse, plan_of
from tests.unit.golden import assert_golden

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def printed() -> str:
    """Give what `matrix schema` prints."""
    return CliRunner().invoke(make_app(), ["schema"]).output


@pytest.fixture(scope="module")
def document(printed: str) -> dict[str, Any]:
    """Give the schema as editors read it."""
    found: dict[str, Any] = json.loads(printed)
    return found


@pytest.fixture(scope="module")
def validator(document: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """Give an editor's validator."""
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
    assert matrix.builder.driver == "docker-container"
    assert matrix.builder.mirrors == (("docker.io", ("127.0.0.1:5000",)),)
    assert (matrix.rules.claims[0].relation, matrix.rules.claims[0].by_share) == ("smaller", 0.1)
    assert (matrix.rules.limits[0].size_bytes, matrix.rules.limits[0].build_time_s) == (250_000_000, 180.0)
    assert matrix.traces_ui == "http://127.0.0.1:16686/trace/{trace_id}"
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
    "a value that names no cell": "version: 1\nname: m\naxes: {a: [-x]}",
    "an included value that names no cell": "version: 1\nname: m\naxes: {a: [x]}\ninclude: [{a: y z}]",
    "a name that is none": "version: 1\nname: m\naxes: {a b: [x]}",
    "a name that is taken": "version: 1\nname: m\naxes: {reason: [x]}",
    "two platforms of one cell": "version: 1\nname: m\naxes: {a: [x]}\ndefaults: {platform: 'linux/amd64,linux/arm64'}",
    "a size of half a byte": "version: 1\nname: m\naxes: {a: [x]}\nbudgets: [{size: 1.5}]",
    "an exclusion of nothing": "version: 1\nname: m\naxes: {a: [x]}\nexclude: [{}]",
    "an exclusion with a reason alone": "version: 1\nname: m\naxes: {a: [x]}\nexclude: [{reason: later}]",
    "a budget of nothing": "version: 1\nname: m\naxes: {a: [x]}\nbudgets: [{where: {a: x}}]",
    "a growth of nothing": "version: 1\nname: m\naxes: {a: [x]}\nbudgets: [{growth: {}}]",
    "a secret from nowhere": "version: 1\nname: m\naxes: {a: [x]}\ndefaults: {secrets: {s: {}}}",
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
    "a share in quotes": "axes: {a: [x]}\ndefaults: {smoke: [{run: [x], cpus: '0.5'}]}\n"
    "decide: {between: a, prefer: [{metric: size, weight: '1.5'}]}",
    "one value or several": 'axes: {a: [x, y]}\nexclude: [{a: x, reason: later}, {a: [x, "y*"]}]',
}


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_the_schema_takes_what_matrix_takes(text: str, validator: jsonschema.Draft202012Validator, tmp_path: Path) -> None:
    """What matrix reads without a word is not underlined, also where an editor takes 3.12 for a number."""
    parse(text, tmp_path)
    found = yaml.safe_load("version: 1\nname: m\n" + text)
    assert [error.message for error in validator.iter_errors(found)] == []


VALUES = [
    "true", "yes", "on", "'true'", "1", "0", "012", "1_0", "-1", "70000", "'90'", "0.5", "3.10", "~", "''", "x", ".x", "-x", "/",
    "5%", "{a}", "[]", "[x]", "{}", "smaller", "size", "none", "musl", "0s", "0ms", "90s", "1m30s", "168h", "169h", "200h",
    "604800", "604801", "1.5h", "0MB", "5B", "0.1B", "1.5GiB", "a b", "{a: x}", "[x, 1, true]", "x" * 101, "'a,b'",
]  # fmt: skip
KEYS = {
    "defaults": ("dockerfile", "retries", "args", "network", "libc", "platform", "push", "target", "env"),
    "builder": ("name", "driver", "network", "platforms", "options", "smoke"),
}
FORMS = (
    "axes: {{a: [{0}]}}",
    "axes: {{a: {0}}}",
    "version: {0}",
    "name: {0}",
    "include: [{{a: {0}}}]",
    "exclude: [{{a: {0}, reason: {1}}}]",
    "expect: [{{a: {0}, outcome: passed}}]",
    "claims: [{{say: {0}, left: {{a: {1}}}, is: smaller, by: {2}, must: {3}}}]",
    "claims: [{{say: s, left: {{a: x}}, is_: {0}, value: {1}}}]",
    "budgets: [{{size: {0}, build_time: {1}, compiled: {2}, max: {3}}}]",
    "decide: {{between: a, prefer: [{{metric: size, weight: {0}}}]}}",
    "defaults: {{timeout: {{build: {0}}}, secrets: {{s: {{file: {1}, env: {2}, optional: {3}}}}}}}",
    "defaults: {{smoke: [{{run: [x], exit: {0}, pids: {1}, cpus: {2}, writable: {3}}}]}}",
    "defaults: {{smoke: [{{http: {{port: {0}, path: {1}, within: {2}}}, memory: {3}}}]}}",
    "defaults: {{cache: {{from_: {0}, to: {1}}}}}",
    *(f"{part}: {{{{{key}: {{0}}}}}}" for part, keys in KEYS.items() for key in keys),
)


@given(form=st.sampled_from(FORMS), values=st.lists(st.sampled_from(VALUES), min_size=4, max_size=4))
def test_the_schema_and_matrix_are_of_one_mind(form: str, values: list[str], validator: jsonschema.Draft202012Validator) -> None:
    """What an editor underlines is what matrix refuses, whatever stands in the place of a value."""
    head = {"version": 1, "name": "m", "axes": {"a": ["x"]}}
    text = form.format(*values)
    assume(not parse_source(text, "m").problems)
    data = {**head, **data_of(text)}
    try:
        MatrixFile.model_validate(data)
        taken = True
    except ValidationError:
        taken = False
    assert validator.is_valid(data) == taken, text
    assert validator.is_valid(as_an_editor(data)) == taken, text


def as_an_editor(data: Any) -> Any:  # YAML data is anything
    """Read what is a number to every editor as one, where it stands for a figure."""
    if isinstance(data, dict):
        figures = ("cpus", "weight", "memory", "size")
        return {
            key: float(value) if key in figures and re.fullmatch(r"\d+\.\d+", str(value)) else as_an_editor(value)
            for key, value in data.items()
        }
    return [as_an_editor(one) for one in data] if isinstance(data, list) else data


def keys_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every key of every mapping."""
    for name, mapping in {"MatrixFile": document, **document["$defs"]}.items():
        for key, value in mapping["properties"].items():
            yield f"{name}.{key}", value


def test_every_key_says_what_it_means(document: dict[str, Any]) -> None:
    """An editor shows it where the key is typed, and the page of the docs has no other source."""
    assert [name for name, value in keys_of(document) if not value.get("description")] == []


LEAST: dict[str, dict[str, Any]] = {  # the least that a check of each kind says
    "import": {"import": ["ssl"]},
    "run": {"run": ["x"]},
    "http": {"http": {"port": 80}},
    "healthy": {"healthy": {}},
    "probe": {"probe": "dns"},
    "structure": {"structure": "cst.yaml"},
}


def with_defaults(document: dict[str, Any], name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Write out what the schema says applies where a key of a mapping is not given."""
    mapping = document["$defs"][name]
    return {key: value["default"] for key, value in mapping["properties"].items() if value.get("default") is not None} | given


def test_the_settings_that_apply_are_those_that_the_schema_tells(document: dict[str, Any], tmp_path: Path) -> None:
    """Who writes the defaults out has the same plan as who gives nothing."""
    told = with_defaults(document, "Settings", {"timeout": with_defaults(document, "Timeout", {})})
    assert set(told) == {"dockerfile", "context", "retries", "timeout"}
    assert plan_of(f"axes: {{a: [x]}}\ndefaults: {told}", tmp_path) == plan_of("axes: {a: [x]}", tmp_path)


@pytest.mark.parametrize("kind", CHECKS)
def test_the_limits_that_apply_are_those_that_the_schema_tells(kind: str, document: dict[str, Any], tmp_path: Path) -> None:
    """A check with its defaults written out is the same check."""
    least = LEAST[kind]
    inner = {"http": "Http", "healthy": "Healthy"}.get(kind)
    full = {kind: with_defaults(document, inner, least[kind])} if inner else least
    told = with_defaults(document, CHECKS[kind].__name__, full)
    assert {"memory", "pids", "cpus", "network", "writable"} < set(told)
    plans = [plan_of(f"axes: {{a: [x]}}\ndefaults: {{smoke: [{json.dumps(one)}]}}", tmp_path, "cst.yaml") for one in (least, told)]
    assert plans[0] == plans[1]
