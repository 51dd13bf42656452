"""The four kinds of tests of a container-structure-test file, each against the image."""

from __future__ import annotations

import posixpath
import secrets
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.docker.containers import KEEP_BYTES, Confinement, ended_container
from orchestrator.docker.contents import Entry, ImageConfig, read_entry, snapshot
from orchestrator.docker.tree import Tree
from orchestrator.docker.variants import PATH
from orchestrator.errors import EngineError
from orchestrator.smoke.choose import GRAPH
from orchestrator.smoke.commands import explain_end, log_output, tail_of_output
from orchestrator.smoke.patterns import Problem, judge_patterns
from orchestrator.smoke.runners import make_task
from orchestrator.smoke.structure_rules import (
    expand,
    expand_variables,
    expect_content,
    expect_metadata,
    expect_output,
    judge_existence,
    judge_metadata,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.config.structure import CommandTest, FileContentTest, FileExistenceTest, MetadataTest, Variable
    from orchestrator.docker.containers import Ended
    from orchestrator.model import Limits
    from orchestrator.smoke.run import Subject

Box = str | Tree  # where files are read: the name of a container, or what a builder handed out
Findings = tuple[list[Problem], str | None]  # what is wrong, and the detail to it

_CONTENT_BYTES = 4 * 1024 * 1024
_MAX_LINKS = 8


class Scene(Struct, frozen=True):
    """The image under test, and what all tests of a file share."""

    subject: Subject
    limits: Limits
    config: ImageConfig
    variables: tuple[Variable, ...]

    def env(self, own: Sequence[Variable] = ()) -> dict[str, str]:
        """Give the variables of a test: the image's, then the cell's, then the file's, then its own."""
        env = {"PATH": PATH, **self.config.env, **dict(self.subject.caller.env)}
        env |= expand_variables(self.variables, env)
        return env | expand_variables(own, env)


class _Stage(Struct, frozen=True):
    """What the commands of one test share."""

    scene: Scene
    env: dict[str, str]
    limits: Limits
    keeps: bool
    until: float
    stack: ExitStack

    def run(self, image: str, argv: Sequence[str], *, snapshot_after: bool, wanted: Sequence[str] = ()) -> tuple[Ended, str]:
        """Run a command in a container of its own; give how it ended, and the image of what it left."""
        subject = self.scene.subject
        program, *words = _fill_in(argv, self.env)
        # A snapshot holds no tmpfs: what is written to /tmp must be in the container itself.
        confinement = Confinement(
            subject.caller.run, subject.caller.cell, self.limits, tuple(self.env.items()), tmpfs=not self.keeps
        )
        left = max(0.1, self.until - time.monotonic())
        with ended_container(
            subject.engine, image, [program, *words], confinement, wanted=wanted, timeout_s=left, cancel=subject.cancel
        ) as (box, ended):
            if snapshot_after and ended.code is not None:
                image = f"matrix.local/structure:{subject.caller.run.lower()}-{secrets.token_hex(8)}"
                self.stack.enter_context(snapshot(subject.engine, box, image))
        log_output(subject, ended)
        return ended, image


def _fill_in(argv: Sequence[str], env: dict[str, str]) -> list[str]:
    """Fill in the variables of a command."""
    words = [expand(word, env) for word in argv]
    if not words[0]:
        message = f"'{argv[0]}' is empty once its variables are filled in"
        raise EngineError(message)
    return words


def try_command(scene: Scene, test: CommandTest, timeout_s: float) -> Findings:
    """Run a command between its setup and its teardown, and judge what it printed and how it ended.

    Each command has a container of its own and starts from a snapshot of what
    the one before has written, as the format has it: an image needs no shell,
    and no program that would keep a container alive for them.
    """
    if scene.subject.runner.name == GRAPH:
        return _try_in_graph(scene, test, timeout_s)
    until = time.monotonic() + timeout_s
    keeps = bool(test.setup or test.teardown)
    limits = replace(scene.limits, writable=scene.limits.writable or keeps)
    with ExitStack() as stack:
        stage = _Stage(scene, scene.env(test.env_vars), limits, keeps, until, stack)
        image = scene.subject.image
        for argv in test.setup:
            ended, image = stage.run(image, argv, snapshot_after=True)
            if failure := explain_end(ended, timeout_s, limits.memory_bytes):
                return [(failure[0], f"setup '{' '.join(argv)}': {failure[1]}")], tail_of_output(ended)
        argv = [test.command, *test.args]
        ended, image = stage.run(image, argv, snapshot_after=bool(test.teardown), wanted=_streams_of(test))
        problems = _judge_command(test, ended, limits, timeout_s, until)
        notes = [_tear_down(stage, image, test.teardown)] if ended.code is not None else []
    detail = [*notes, tail_of_output(ended) if problems else None]
    return problems, "\n".join(filter(None, detail)) or None


def _streams_of(test: CommandTest) -> list[str]:
    """Name the streams that a test looks at."""
    looked_at = {
        "stdout": test.expected_output or test.excluded_output,
        "stderr": test.expected_error or test.excluded_error,
    }
    return [stream for stream, patterns in looked_at.items() if patterns]


def _try_in_graph(scene: Scene, test: CommandTest, timeout_s: float) -> Findings:
    """Run a command between its setup and its teardown, as steps of one stage.

    A step that ends otherwise than with 0 is the stage's last: then there is no
    teardown, and nothing left to tear down.
    """
    graph = scene.subject.graph
    if graph is None:
        message = "the cell's image cannot be run by its builder"
        raise EngineError(message)
    until, env = time.monotonic() + timeout_s, scene.env(test.env_vars)
    keeps = bool(test.setup or test.teardown)
    confinement = Confinement(
        scene.subject.caller.run, scene.subject.caller.cell, scene.limits, tuple(env.items()), tmpfs=not keeps
    )
    argvs = [*test.setup, [test.command, *test.args], *test.teardown]
    ends = graph.run(make_task([_fill_in(argv, env) for argv in argvs], confinement), timeout_s)
    for ended in ends:
        log_output(scene.subject, ended)
    own = len(test.setup)
    if len(ends) <= own:
        failure = explain_end(ends[-1], timeout_s, scene.limits.memory_bytes) or ("error", "it ended the build")
        return [(failure[0], f"setup '{' '.join(argvs[len(ends) - 1])}': {failure[1]}")], tail_of_output(ends[-1])
    problems = _judge_command(test, ends[own], scene.limits, timeout_s, until)
    detail = [_explain_teardown(argvs[len(ends) - 1], ends[-1], scene.limits) if len(ends) > own + 1 else None]
    detail += [tail_of_output(ends[own]) if problems else None]
    return problems, "\n".join(filter(None, detail)) or None


def _explain_teardown(argv: Sequence[str], ended: Ended, limits: Limits) -> str | None:
    failure = explain_end(ended, 0.0, limits.memory_bytes)
    return f"teardown '{' '.join(argv)}': {failure[1]}" if failure else None


def _judge_command(test: CommandTest, ended: Ended, limits: Limits, timeout_s: float, until: float) -> list[Problem]:
    failure = explain_end(ended, timeout_s, limits.memory_bytes, wanted=test.exit_code)
    problems = [failure] if failure else []
    if ended.code is None or ended.start_error:
        return problems
    expectations = expect_output(test, ended.stdout, ended.stderr, KEEP_BYTES, ended.clipped)
    return problems + judge_patterns(expectations, until - time.monotonic())


def _tear_down(stage: _Stage, image: str, commands: Sequence[Sequence[str]]) -> str | None:
    """Run what cleans up; that it fails is told, but says nothing about the command under test.

    The original does not run these commands at all where tests run in
    containers, so in files that pass there may be some that never worked.
    """
    for argv in commands:
        ended, image = stage.run(image, argv, snapshot_after=argv is not commands[-1])
        if note := _explain_teardown(argv, ended, stage.limits):
            return note
    return None


def try_existence(scene: Scene, box: Box, test: FileExistenceTest, timeout_s: float) -> Findings:
    """Judge what lies at a path: a link is looked at itself, and followed only for who may execute it."""
    until = time.monotonic() + timeout_s
    path = expand(test.path, scene.env())
    entry = _read(scene, box, path, limit=0, timeout_s=timeout_s)
    follows = entry is not None and test.is_executable_by and test.should_exist
    target = _follow(scene, box, path, until, limit=0) if follows else entry
    return list(judge_existence(test, entry, target)), None


def try_content(scene: Scene, box: Box, test: FileContentTest, timeout_s: float) -> Findings:
    """Judge what a file holds, through links."""
    until = time.monotonic() + timeout_s
    entry = _follow(scene, box, expand(test.path, scene.env()), until, limit=_CONTENT_BYTES)
    if entry is None:
        return [("failed", f"{test.path} does not exist")], None
    if entry.content is None:
        return [("failed", f"{test.path} is not a file")], None
    return judge_patterns(expect_content(test, entry), until - time.monotonic()), None


def try_metadata(scene: Scene, test: MetadataTest, timeout_s: float) -> Findings:
    """Judge the image's configuration."""
    problems = [*judge_metadata(test, scene.config), *judge_patterns(expect_metadata(test, scene.config), timeout_s)]
    return problems, None


def _read(scene: Scene, box: Box, path: str, *, limit: int, timeout_s: float) -> Entry | None:
    """Read what lies at a path, from a container or from what the builder handed out."""
    if isinstance(box, Tree):
        return box.read_entry(path, limit=limit)
    return read_entry(scene.subject.engine, box, path, limit=limit, timeout_s=timeout_s)


def _follow(scene: Scene, box: Box, path: str, until: float, *, limit: int) -> Entry | None:
    """Read what a path leads to inside the image; a link that leads nowhere, or in a circle, leads to nothing."""
    for _ in range(_MAX_LINKS):
        left = max(1.0, until - time.monotonic())
        entry = _read(scene, box, path, limit=limit, timeout_s=left)
        if entry is None or entry.link is None:
            return entry
        path = posixpath.join(posixpath.dirname(path.rstrip("/")), entry.link)
    return None
