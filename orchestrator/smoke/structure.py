"""The check `structure`: the tests of a container-structure-test file, each a check of its own."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.config.structure import StructureFile, find_unknown_keys, load_structure
from orchestrator.cuts import cut
from orchestrator.docker.containers import Confinement, container
from orchestrator.docker.contents import parse_config, read_config
from orchestrator.errors import ConfigError, EngineError
from orchestrator.record import CheckResult
from orchestrator.smoke.choose import GRAPH
from orchestrator.smoke.structure_kinds import Box, Findings, Scene, try_command, try_content, try_existence, try_metadata
from orchestrator.smoke.structure_rules import summarize_problems
from orchestrator.smoke.words import inert, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from orchestrator.model import StructureCheck
    from orchestrator.smoke.run import Subject

_TEST_S = 60.0  # for each test of a file, when matrix.yaml names no other limit


class _Test(Struct, frozen=True):
    """One test of a file, and the way to its findings."""

    name: str
    noun: Any
    find: Callable[[Any, float], Findings]
    why_not: str = ""


def check_structure(subject: Subject, check: StructureCheck, timeout_s: float) -> list[CheckResult]:
    """Run a file's tests one after another; a time limit of the check is for each of them."""
    start = f"structure {check.file}"
    try:
        file = load_structure(subject.folder / check.file, check.file)
    except ConfigError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        return [CheckResult(start, "error", shorten(error.problems[0]) + more, "\n".join(error.problems))]
    results = [CheckResult(f"{start}: {key}", "error", shorten(words)) for key, words in file.unsupported.items()]
    deadline = time.monotonic() + timeout_s
    try:
        with ExitStack() as stack:
            limit_s = check.limits.timeout_s or _TEST_S
            results.extend(_run_test(subject, test, deadline, limit_s) for test in _list_tests(subject, check, file, stack))
    except EngineError as error:
        results.append(CheckResult(start, "error", shorten(str(error))))
    return results


def _run_test(subject: Subject, test: _Test, deadline: float, limit_s: float) -> CheckResult:
    started = time.monotonic()
    if subject.cancel.is_set():
        return CheckResult(test.name, "error", "cancelled")
    if unknown := find_unknown_keys(test.noun):  # what they mean to test would go untested, so this cannot pass
        return CheckResult(test.name, "error", shorten("; ".join(unknown)))
    if test.why_not:
        return CheckResult(test.name, "skipped", test.why_not)
    if started >= deadline:
        return CheckResult(test.name, "timeout", "not started: the time of the cell's checks is over")
    try:
        problems, detail = test.find(test.noun, min(deadline - started, limit_s))
        outcome, reason = summarize_problems(problems)
    except EngineError as error:
        outcome, reason, detail = "error", str(error), None
    shown = shorten(reason) if reason else None
    more = cut(inert(reason)) if reason and shown != reason else None  # what the short form leaves out
    return CheckResult(test.name, outcome, shown, "\n".join(filter(None, (more, detail))) or None, time.monotonic() - started)


def _list_tests(subject: Subject, check: StructureCheck, file: StructureFile, stack: ExitStack) -> Iterator[_Test]:
    """Give the tests, kind by kind."""
    in_graph = subject.runner.name == GRAPH
    options = file.container_run_options
    limits = replace(
        check.limits,
        user=options.user or check.limits.user,
        capabilities=(*check.limits.capabilities, *options.capabilities),
    )
    config = parse_config(subject.graph.place.config) if subject.graph and in_graph else read_config(subject.engine, subject.image)
    scene = Scene(subject, limits, config, tuple(file.global_env_vars))
    lacks = f"not run, as the file asks for {', '.join(file.unsupported_options)}" if file.unsupported_options else ""
    if in_graph and options.capabilities:
        lacks = "it needs a container, since the file asks for capabilities"
    start = f"structure {check.file}:"
    for command in file.command_tests:
        yield _Test(f"{start} command {shorten(command.name)}", command, partial(try_command, scene), lacks)
    if file.file_existence_tests or file.file_content_tests:
        files: AbstractContextManager[Box] = subject.graph.files() if subject.graph and in_graph else _still(subject, check)
        box = stack.enter_context(files)
        for existence in file.file_existence_tests:
            yield _Test(f"{start} file {shorten(existence.name)}", existence, partial(try_existence, scene, box))
        for content in file.file_content_tests:
            yield _Test(f"{start} content {shorten(content.name)}", content, partial(try_content, scene, box))
    if file.metadata_test:
        yield _Test(f"{start} metadata", file.metadata_test, partial(try_metadata, scene))


def _still(subject: Subject, check: StructureCheck) -> AbstractContextManager[str]:
    """Make one container to read files from: it is never started, so nothing changes in it. No tmpfs hides the image's /tmp."""
    confinement = Confinement(subject.caller.run, subject.caller.cell, check.limits, tmpfs=False)
    return container(subject.engine, subject.image, confinement)
