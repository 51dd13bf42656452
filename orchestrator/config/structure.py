"""A container-structure-test file to checked tests; all that is wrong with it is said at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from orchestrator.config.source import Source, parse_source
from orchestrator.config.text import decode, read_bounded
from orchestrator.config.words import Text
from orchestrator.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

_ESCAPE = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|\\.", re.IGNORECASE)
_LICENCES = "licenseTests"
_UNSUPPORTED = {
    _LICENCES: "matrix judges no licences; remove it, or test them elsewhere",
    "privileged": "a check's container is shut in; name the `capabilities` that it needs",
    "allocateTty": "a check has no terminal",
    "envFile": "a check gets nothing of this machine; use globalEnvVars",
    "envVars": "a check gets nothing of this machine's environment; use globalEnvVars",
    "bindMounts": "the engine may be on another machine; bring the files in with `setup`, or in the image",
}

Word = Annotated[Text, Field(min_length=1)]
Command = Annotated[list[Text], Field(min_length=1)]


class _Noun(BaseModel):
    """A part of the file; keys that it does not know are kept, so that they can be named."""

    model_config = ConfigDict(extra="allow", frozen=True, alias_generator=to_camel, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, data: Any) -> Any:  # noqa: ANN401  # YAML data is anything
        """Take a key without a value for one that is not there, as the format does."""
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class Variable(_Noun):
    """A key and the value that it has, or that a pattern describes."""

    key: Word
    value: Text = ""
    is_regex: bool = False


class CommandTest(_Noun):
    """A command, what it prints and how it ends."""

    name: Word
    command: Word
    args: list[Text] = []
    setup: list[Command] = []
    teardown: list[Command] = []
    env_vars: list[Variable] = []
    expected_output: list[Text] = []
    excluded_output: list[Text] = []
    expected_error: list[Text] = []
    excluded_error: list[Text] = []
    exit_code: int = 0


class FileExistenceTest(_Noun):
    """A path that is or is not in the image, and whose it is."""

    name: Word
    path: Word
    should_exist: bool = True
    permissions: Text = ""
    uid: int = -1  # the format's own word for any
    gid: int = -1
    is_executable_by: Literal["owner", "group", "other", "any"] | None = None


class FileContentTest(_Noun):
    """A file and what it holds."""

    name: Word
    path: Word
    expected_contents: list[Text] = []
    excluded_contents: list[Text] = []


class MetadataTest(_Noun):
    """What the image's configuration says."""

    env: list[Variable] = []  # an older word for the next
    env_vars: list[Variable] = []
    unbound_env_vars: list[Variable] = []
    labels: list[Variable] = []
    exposed_ports: list[Word] = []
    unexposed_ports: list[Word] = []
    volumes: list[Word] = []
    unmounted_volumes: list[Word] = []
    entrypoint: list[Text] | None = None
    cmd: list[Text] | None = None
    workdir: Text = ""
    user: Text = ""


def _unless_empty(test: MetadataTest | None) -> MetadataTest | None:
    """Take a test that asks for nothing for no test: passing it would say nothing."""
    return test if test and (test.model_fields_set or test.model_extra) else None


class RunOptions(_Noun):
    """How containers of command tests are run; what else the format has here is not for a confined container."""

    user: Text = ""
    capabilities: list[Word] = []


class StructureFile(_Noun):
    """A container-structure-test file."""

    schema_version: Literal["2.0.0"]
    global_env_vars: list[Variable] = []
    command_tests: list[CommandTest] = []
    file_existence_tests: list[FileExistenceTest] = []
    file_content_tests: list[FileContentTest] = []
    metadata_test: Annotated[MetadataTest | None, AfterValidator(_unless_empty)] = None
    container_run_options: RunOptions = Field(default_factory=lambda: RunOptions.model_validate({}))

    @property
    def unsupported(self) -> dict[str, str]:
        """Give the keys outside of tests that matrix cannot do as the file says, each with the reason."""
        parts = [("globalEnvVars", variable) for variable in self.global_env_vars]
        found = {f"{place}.{key}": words for place, noun in parts for key, words in _unknown_keys(noun)}
        return found | dict(_unknown_keys(self)) | self.unsupported_options

    @property
    def unsupported_options(self) -> dict[str, str]:
        """Give the run options that would make command tests mean something else."""
        return {f"containerRunOptions.{key}": words for key, words in _unknown_keys(self.container_run_options)}


def _unknown_keys(noun: _Noun) -> Iterator[tuple[str, str]]:
    known = [field.alias or name for name, field in type(noun).model_fields.items()]
    reasons = _UNSUPPORTED if isinstance(noun, (StructureFile, RunOptions)) else {}
    for key, value in (noun.model_extra or {}).items():
        if key not in reasons:
            yield key, f"the format has no key '{key}' here{did_you_mean(key, known)}"
        elif value or key == _LICENCES:  # an option that is off asks for nothing
            yield key, f"matrix does not support {key}: {reasons[key]}"


def find_unknown_keys(test: CommandTest | FileExistenceTest | FileContentTest | MetadataTest) -> list[str]:
    """Say which keys of a test are not known: what they meant to test would go untested."""
    found = [words for _, words in _unknown_keys(test)]
    for variables in (getattr(test, name, ()) for name in ("env", "env_vars", "unbound_env_vars", "labels")):
        found += [words for variable in variables for _, words in _unknown_keys(variable)]
    return found


def load_structure(path: Path, name: str) -> StructureFile:
    """Read and check a container-structure-test file, or raise a ConfigError with every problem."""
    try:
        raw = read_bounded(path)
    except OSError as error:
        raise ConfigError([f"{name}: cannot be read: {error.strerror}"]) from error
    return parse_structure(decode(raw, name, "container-structure-test file"), name)


def parse_structure(text: str, name: str) -> StructureFile:
    """Check the text of a container-structure-test file."""
    source = parse_source(_as_yaml(text) if name.endswith(".json") else text, name)
    if not isinstance(source.data, dict):
        raise ConfigError([f"{name}:1: must be a mapping with schemaVersion and tests"])
    problems = list(source.problems)
    try:
        found = StructureFile.model_validate(source.data)
    except ValidationError as error:
        problems += [_describe(source, detail) for detail in error.errors()]
    if problems:
        raise ConfigError(f"{name}:{line}: {words}" for line, words in sorted(set(problems)))
    lists = (found.command_tests, found.file_existence_tests, found.file_content_tests)
    if not any(lists) and found.metadata_test is None and not found.unsupported:
        raise ConfigError([f"{name}:1: there are no tests in it"])
    return found


def _as_yaml(text: str) -> str:
    """Write JSON as YAML reads it: without tabs, which stand in no JSON text, and without characters in two halves."""

    def join(escape: re.Match[str]) -> str:
        return bytes.fromhex(escape[1] + escape[2]).decode("utf-16-be") if escape[1] else escape[0]

    return _ESCAPE.sub(join, text.replace("\t", " "))


def _describe(source: Source, detail: ErrorDetails) -> tuple[int, str]:
    """Turn one of pydantic's errors into a line number and a sentence."""
    path = detail["loc"]
    given = detail["input"]
    words = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    match detail["type"]:
        case "missing":
            words = "is missing"
        case "literal_error" if path == ("schemaVersion",):
            words = f"'{given}' is not supported; matrix reads 2.0.0"
        case "literal_error":
            words = f"'{given}' {words}"
        case "int_parsing" | "int_type" | "int_from_float":
            words = f"'{given}' is not a whole number"
        case "bool_parsing" | "bool_type":
            words = f"'{given}' is neither true nor false"
        case "string_type":
            words = "must be a text"
        case "list_type":
            words = "must be a list"
        case "model_type" | "dict_type":
            words = "must be a mapping"
        case "string_too_short" | "too_short":
            words = "must not be empty"
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return source.line_of(path), f"{place}: {words}"
