"""A container-structure-test file is read, and all that is wrong with it is said at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.structure import (
    find_unknown_keys,
    load_structure,
    parse_structure,
)
from orchestrator.errors import ConfigError
from tests.unit.folders import HEAD as HEAD_OF_MATRIX
from tests.unit.folders import problems_of

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "schemaVersion: 2.0.0\n"
EVERYTHING = """\
schemaVersion: '2.0.0'
globalEnvVars: [{key: VIRTUAL_ENV, value: /env}]
commandTests:
- name: gunicorn
  setup: [[virtualenv, /env], [pip, install, gunicorn]]
  teardown: [[rm, -r, /env]]
  command: which
  args: [gunicorn, 3, true]
  envVars: [{key: A, value: 1}]
  expectedOutput: [/env/bin/gunicorn]
  excludedOutput:
  expectedError: []
  exitCode: 1
fileExistenceTests:
- {name: root, path: /, shouldExist: yes, permissions: drwxr-xr-x, uid: 1000, gid: 0, isExecutableBy: group}
- {name: gone, path: /gone, shouldExist: false}
fileContentTests:
- {name: sources, path: /etc/apt/sources.list, expectedContents: ['.*debian\\.org.*'], excludedContents: [mirror]}
metadataTest:
  env: [{key: foo, value: baz}]
  labels: [{key: built, value: '^\\d{4}', isRegex: true}]
  exposedPorts: [8080, "2345"]
  entrypoint: []
  cmd: [/bin/bash]
containerRunOptions: {user: root, privileged: false, capabilities: [NET_ADMIN], envVars: []}
"""
REFUSED = {
    "nothing": ("", "1: must be a mapping with schemaVersion and tests"),
    "a list": ("[]", "1: must be a mapping with schemaVersion and tests"),
    "no tests": (HEAD, "1: there are no tests in it"),
    "a test of nothing": (HEAD + "metadataTest: {}", "1: there are no tests in it"),
    "no version": ("metadataTest: {user: x}", "1: schemaVersion: is missing"),
    "an old version": ("schemaVersion: '1.0.0'\n", "1: schemaVersion: '1.0.0' is not supported; matrix reads 2.0.0"),
    "no command": (HEAD + "commandTests:\n- name: x\n", "3: commandTests[0].command: is missing"),
    "an empty name": (HEAD + "commandTests:\n- name: ''\n  command: x", "3: commandTests[0].name: must not be empty"),
    "an empty setup": (
        HEAD + "commandTests:\n- {name: x, command: x,\n   setup: [[]]}",
        "4: commandTests[0].setup[0]: must not be empty",
    ),
    "a shell's line": (
        HEAD + "commandTests: [{name: x, command: x, setup: [ls -l]}]",
        "2: commandTests[0].setup[0]: must be a list",
    ),
    "a text for a list": (
        HEAD + "fileContentTests:\n- {name: x, path: /x, expectedContents: x}",
        "3: fileContentTests[0].expectedContents: must be a list",
    ),
    "a list for a text": (HEAD + "metadataTest: {user: [x]}", "2: metadataTest.user: must be a text"),
    "a mapping for a list": (HEAD + "commandTests: {name: x}", "2: commandTests: must be a list"),
    "a text for a mapping": (HEAD + "metadataTest: x", "2: metadataTest: must be a mapping"),
    "no number": (
        HEAD + "fileExistenceTests: [{name: x, path: /, uid: root}]",
        "2: fileExistenceTests[0].uid: 'root' is not a whole number",
    ),
    "no truth": (
        HEAD + "fileExistenceTests: [{name: x, path: /, shouldExist: perhaps}]",
        "2: fileExistenceTests[0].shouldExist: 'perhaps' is neither true nor false",
    ),
    "nobody": (
        HEAD + "fileExistenceTests: [{name: x, path: /, isExecutableBy: me}]",
        "2: fileExistenceTests[0].isExecutableBy: 'me' must be 'owner', 'group', 'other' or 'any'",
    ),
    "a NUL": (
        HEAD + 'commandTests: [{name: x, command: "a\\0b"}]',
        "2: a NUL (\\0) can be in no argument, name or variable; remove it",
    ),
    "half a character": (
        HEAD + 'commandTests: [{name: x, command: "\\ud83d"}]',
        "2: half of a surrogate pair is no character; write the whole one",
    ),
    "no YAML": (
        HEAD + "commandTests: [",
        "2: not YAML: while parsing a flow node, expected the node content, but found the end of the file",
    ),
    "a key twice": (
        HEAD + "metadataTest: {user: x}\nmetadataTest: {}",
        "3: key 'metadataTest' is there twice; the first is on line 2",
    ),
}


def problems(text: str, name: str = "cst.yaml") -> list[str]:
    """Give all that is wrong with a file."""
    with pytest.raises(ConfigError) as raised:
        parse_structure(text, name)
    return list(raised.value.problems)


def test_everything_that_the_format_has_is_read() -> None:
    """Bare words are the texts they are written as, what has no value is not there, and yes is true."""
    found = parse_structure(EVERYTHING, "cst.yaml")
    (command,) = found.command_tests
    assert (command.setup, command.teardown) == ([["virtualenv", "/env"], ["pip", "install", "gunicorn"]], [["rm", "-r", "/env"]])
    assert (command.args, command.exit_code, command.excluded_output) == (["gunicorn", "3", "true"], 1, [])
    assert (command.env_vars[0].key, command.env_vars[0].value) == ("A", "1")
    root, gone = found.file_existence_tests
    assert (root.should_exist, root.uid, root.gid, root.is_executable_by) == (True, 1000, 0, "group")
    assert (gone.should_exist, gone.uid, gone.permissions) == (False, -1, "")
    assert found.file_content_tests[0].expected_contents == [r".*debian\.org.*"]
    assert found.metadata_test is not None
    assert (found.metadata_test.exposed_ports, found.metadata_test.entrypoint) == (["8080", "2345"], [])
    assert (found.container_run_options.user, found.container_run_options.capabilities) == ("root", ["NET_ADMIN"])
    assert found.unsupported == {}


def test_json_may_be_indented_with_tabs_and_hold_any_character() -> None:
    """YAML knows neither tabs nor JSON's halves of a character."""
    text = '{\n\t"schemaVersion": "2.0.0",\n\t"commandTests": [{"name": "\\ud83d\\ude00", "command": "a\\/b"}]\n}'
    (test,) = parse_structure(text, "cst.json").command_tests
    assert (test.name, test.command) == ("\U0001f600", "a/b")


@pytest.mark.parametrize(("text", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_valid_is_named_with_its_line(text: str, problem: str) -> None:
    """A file that is not what it seems would otherwise test nothing."""
    assert f"cst.yaml:{problem}" in problems(text)


def test_all_problems_of_a_file_are_problems_of_the_matrix_that_names_it(tmp_path: Path) -> None:
    """Before anything is built."""
    tmp_path.joinpath("cst.yaml").write_text("schemaVersion: 3\ncommandTests:\n- command: x\n")
    assert problems_of(HEAD_OF_MATRIX + "axes: {a: [x]}\ndefaults: {smoke: [{structure: cst.yaml}]}", tmp_path) == [
        "matrix.yaml:4: defaults.smoke[0].structure: cst.yaml:1: schemaVersion: '3' is not supported; matrix reads 2.0.0 (cell x)",
        "matrix.yaml:4: defaults.smoke[0].structure: cst.yaml:3: commandTests[0].name: is missing (cell x)",
    ]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """It may have gone since the plan was made."""
    tmp_path.joinpath("latin.yaml").write_bytes(b"schemaVersion: 2.0.0\n# \xe9\n")
    tmp_path.joinpath("large.yaml").write_bytes(b"#" * 4_000_001)
    expected = {
        "none.yaml": "none.yaml: cannot be read: No such file or directory",
        "latin.yaml": "latin.yaml:2: not UTF-8 (byte 0xe9); save the file as UTF-8",
        "large.yaml": "large.yaml: larger than 500 kB; this is not a container-structure-test file",
    }
    for name, words in expected.items():
        with pytest.raises(ConfigError, match=f"^{re.escape(words)}$"):
            load_structure(tmp_path / name, name)


def test_keys_that_are_not_supported_or_not_known_are_named() -> None:
    """Each with the reason, or with the key that was meant."""
    text = HEAD + (
        "licenseTests:\ncontainerRunOptions: {privileged: true, allocateTty: false, envFile: x, usr: y}\n"
        "globalEnvVars: [{key: a, valeu: b}]\nfileExistanceTests: []\n"
    )
    found = parse_structure(text, "cst.yaml")
    assert list(found.unsupported) == [
        "globalEnvVars.valeu",
        "fileExistanceTests",
        "containerRunOptions.privileged",
        "containerRunOptions.envFile",
        "containerRunOptions.usr",
    ]
    assert found.unsupported["fileExistanceTests"].endswith("did you mean 'fileExistenceTests'?")
    assert found.unsupported["containerRunOptions.usr"].endswith("did you mean 'user'?")
    with_licences = parse_structure(HEAD + "licenseTests: [{debian: false}]", "cst.yaml")
    assert list(with_licences.unsupported) == ["licenseTests"]


def test_unknown_keys_of_a_test_are_found_however_deep() -> None:
    """A key that is passed over is a test that nobody runs."""
    text = HEAD + "commandTests: [{name: x, command: x, expectedOutputs: [y], envVars: [{key: a, vale: b}]}]"
    (test,) = parse_structure(text, "cst.yaml").command_tests
    assert find_unknown_keys(test) == [
        "the format has no key 'expectedOutputs' here; did you mean 'expectedOutput'?",
        "the format has no key 'vale' here; did you mean 'value'?",
    ]
