"""One build of a cell: run, followed line by line, and judged by how it ended."""

from __future__ import annotations

import signal
import time
from collections import deque
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Self

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.cuts import cut
from orchestrator.disk import disk_errors, passing_folder
from orchestrator.docker.build import (
    AS_IT_IS,
    BuildMetadata,
    Target,
    Variation,
    load_metadata,
    read_secret_args,
    render_build_argv,
    run_build,
)
from orchestrator.docker.cluster import make_route
from orchestrator.docker.nodes import tell_emulation
from orchestrator.docker.pulse import GONE
from orchestrator.events import Event
from orchestrator.failures import BuildFailure, classify_failure, find_foreign_base
from orchestrator.measure.heredocs import with_heredocs
from orchestrator.measure.installs import InstallLog, Origin
from orchestrator.measure.lines import Lines
from orchestrator.measure.progress import Progress, export_seconds, find_bases, make_steps, pull_seconds
from orchestrator.measure.usage import with_usage
from orchestrator.model import Cell, Status
from orchestrator.paths import cache_folder
from orchestrator.record import Build
from orchestrator.redact import ProgressRedactor, Redactor
from orchestrator.smoke.words import inert
from orchestrator.tracing.trace import write_traceparent
from orchestrator.units import render_limit
from orchestrator.workshop import CancelledError, Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.docker.process import Exit
    from orchestrator.events import Emit
    from orchestrator.measure.progress import LogLine
    from orchestrator.tracing.collect import TracedBuild

_TAIL_LINES = 200
_MAX_FILE = 64 * 1024 * 1024  # of a log or of raw progress; past it a build's chatter is counted, not kept


class Built(Struct, frozen=True):
    """What became of a build: its figures, and why there is no image if there is none."""

    build: Build
    metadata: BuildMetadata
    failure: BuildFailure | None
    status: Status | None
    origins: Mapping[str, Origin] = field(default_factory=dict)


class Followed(Struct, frozen=True):
    """A build that has been run: how it ended, and what it told on the way."""

    ended: Exit
    wall_s: float
    progress: Progress
    tail: Sequence[str]
    origins: Mapping[str, Origin]


def build_cell(shop: Workshop, cell: Cell, target: Target, traced: TracedBuild, variation: Variation = AS_IT_IS) -> Built:
    """Run a cell's build; buildx's metadata, which holds all build arguments, are read and not kept."""
    with passing_folder(shop.store.folder) as folder:
        return _build(shop, cell, target, traced, folder / "metadata.json", variation)


def _build(  # a cell, what is known of it, and where its build's files go
    shop: Workshop, cell: Cell, target: Target, traced: TracedBuild, metadata_file: Path, variation: Variation
) -> Built:
    """Keep a build's log and its raw progress while it goes on."""
    argv = render_build_argv(shop.engine.buildx_argv, shop.builder, shop.name, cell, shop.folder, target, metadata_file, variation)
    followed = follow_build(shop, cell, argv, shop.run.cell(cell.id), {"TRACEPARENT": write_traceparent(traced.span)})
    traced.vertices = followed.progress.told
    traced.route = make_route(shop.builder, cell.settings.platform, context=argv[-1])
    if shop.cancel.is_set() and followed.ended.cancelled:
        raise CancelledError
    built = _judge(shop, cell, followed, metadata_file)
    traced.ref = built.metadata.ref
    return built


def follow_build(shop: Workshop, cell: Cell, argv: list[str], folder: Path, environment: Mapping[str, str]) -> Followed:
    """Run a build to its end, with its log and its raw progress in a folder."""
    secrets = read_secret_args(cell)
    with following(shop, cell, folder) as build, shop.watch(cell.settings.platform) as cancel:
        ended = run_build(
            argv,
            on_progress=build.take,
            timeout_s=cell.settings.timeout.build_s,
            cancel=cancel,
            environment={**environment, **secrets},
        )
        return build.end(ended)


@contextmanager
def following(shop: Workshop, cell: Cell, folder: Path) -> Iterator[Following]:
    """Follow a build line by line; its log and its raw progress go into a folder."""
    with disk_errors(folder):
        files = _BuildFiles(folder, shop.run.redactor)
    with files:
        yield Following(shop.emit, cell.id, folder, files)


class Following:
    """A build under way: what its lines have told so far."""

    def __init__(self, emit: Emit, cell: str, folder: Path, files: _BuildFiles) -> None:
        """Begin before the first line."""
        self._emit, self._cell, self._folder, self._files = emit, cell, folder, files
        self._progress, self._lines, self._installs = Progress(), Lines(), InstallLog()
        self._tail = deque[str](maxlen=_TAIL_LINES)
        self._started = time.monotonic()
        self._heard: tuple[float, float] | None = None

    @property
    def heard_s(self) -> float:
        """Give the time from the first line to the last: that of the build itself, where buildx builds others, too."""
        return self._heard[1] - self._heard[0] if self._heard else 0.0

    def take(self, line: bytes) -> None:
        """Take a line of raw progress."""
        now = time.monotonic()
        self._heard = self._heard[0] if self._heard else now, now
        step = self._progress.current
        for piece in self._progress.feed(line):
            for printed in self._lines.feed(piece):
                self._keep(printed)
        self._files.raw(line)
        if self._progress.current and self._progress.current != step:
            self._emit(Event("cell-step", self._cell, {"step": cut(inert(self._progress.current), 200)}))

    def end(self, ended: Exit) -> Followed:
        """Give all that was told, when the build has ended."""
        for printed in self._lines.end():
            self._keep(printed)
        for message in self._progress.messages:
            self._files.log(message + "\n")
        self._files.end()
        if self._files.problem:
            with disk_errors(self._folder):
                raise self._files.problem
        return Followed(ended, time.monotonic() - self._started, self._progress, self._tail, self._installs.origins)

    def _keep(self, printed: LogLine) -> None:
        self._files.log(printed.text)
        self._installs.feed(printed)
        self._tail.extend(inert(printed.text).splitlines())


def take_built(shop: Workshop, cell: Cell, followed: Followed, metadata: BuildMetadata, at_once: int) -> Built:
    """Say what became of a build that has succeeded."""
    build = replace(_make_build(followed.progress, at_once, followed.wall_s), **_platform(shop, cell))
    if metadata.bases is None:
        metadata = replace(metadata, bases=find_bases(followed.progress))
    build = with_heredocs(with_usage(build, metadata.usage), metadata.commands)
    refs = [base.ref for base in metadata.bases or ()]
    build = replace(build, foreign_base=find_foreign_base(followed.progress.warnings, build.platform, refs))
    return Built(build, metadata, None, None, followed.origins)


def _judge(shop: Workshop, cell: Cell, followed: Followed, metadata_file: Path) -> Built:
    """Say what became of a build that has ended."""
    ended, progress = followed.ended, followed.progress
    if ended.code == 0:
        return take_built(shop, cell, followed, load_metadata(metadata_file), shop.jobs)
    build = replace(_make_build(progress, shop.jobs, followed.wall_s), **_platform(shop, cell))
    if ended.timed_out:
        limit = cell.settings.timeout.build_s
        where = f" in {cut(inert(progress.current), 200)}" if progress.current else ""
        return Built(
            build,
            BuildMetadata(),
            BuildFailure(f"build: still running after {render_limit(limit)}{where}", is_ours=True, passing=False),
            Status.TIMEOUT,
        )
    if ended.cancelled:
        return Built(build, BuildMetadata(), BuildFailure(GONE, is_ours=False, passing=True), Status.ERROR)
    if ended.code is not None and ended.code < 0:
        name = signal.Signals(-ended.code).name
        return Built(build, BuildMetadata(), BuildFailure(f"buildx was ended by {name}", is_ours=False, passing=True), Status.ERROR)
    builder = None if shop.builder.driver == "docker" else shop.builder.name
    failure = classify_failure(progress.failed_step, progress.messages, followed.tail, str(cache_folder()), builder)
    return Built(build, BuildMetadata(), failure, Status.BUILD_FAILED if failure.is_ours else Status.ERROR)


def _platform(shop: Workshop, cell: Cell) -> dict[str, Any]:
    """Say for which platform a cell is built, and whether by a machine of that kind."""
    builder, asked = shop.builder, cell.settings.platform
    platform = asked or next(iter(builder.native), None)
    return {"platform": platform, "emulated": tell_emulation(asked, builder.native, builder.others)}


def _make_build(progress: Progress, jobs: int, wall_s: float) -> Build:
    steps = make_steps(progress)
    return Build(
        timing="shared",
        jobs=jobs,
        wall_s=round(wall_s, 3),
        pull_s=round(pull_seconds(progress), 3),
        export_s=round(export_seconds(progress), 3),
        cached_steps=sum(step.outcome == "cached" for step in steps),
        total_steps=len(steps),
        steps=steps,
        started_at=progress.begun,
    )


class _BuildFiles:
    """A cell's build.log and progress.jsonl, written while the build runs, up to a bound."""

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self._redactor, self._progress = redactor, ProgressRedactor(redactor)
        self._log: IO[bytes] = folder.joinpath("build.log").open("wb", buffering=0)  # nothing is left to write when it is closed
        self._raw: IO[bytes] = folder.joinpath("progress.jsonl").open("wb", buffering=0)
        self._left: dict[IO[bytes], int] = {self._log: _MAX_FILE, self._raw: _MAX_FILE}
        self.problem: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()
        self._raw.close()

    def log(self, text: str) -> None:
        """Keep what a step printed, without what could rewrite a terminal."""
        self._write(self._log, self._redactor.text(inert(text)).encode())

    def raw(self, line: bytes) -> None:
        """Keep a line of progress as it came."""
        self._write(self._raw, self._progress.line(line) + b"\n")

    def end(self) -> None:
        """Keep what was kept back of the progress."""
        if rest := self._progress.end():
            self._write(self._raw, rest + b"\n")

    def _write(self, file: IO[bytes], data: bytes) -> None:
        """Write while there is room; the build is followed to its end even when there is none."""
        self._left[file] -= len(data)
        if self._left[file] < 0 or self.problem:
            return
        try:
            file.write(data)
        except OSError as error:
            self.problem = error
