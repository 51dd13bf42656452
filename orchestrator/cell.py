"""One cell from its build to its result, with every failure of its own as data."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Self

from orchestrator.docker.build import METADATA, BuildMetadata, Target, load_metadata, render_build_argv, run_build
from orchestrator.docker.images import load_image, read_from_engine, remove_image
from orchestrator.errors import EngineError
from orchestrator.events import Event
from orchestrator.failures import BuildFailure, classify_failure
from orchestrator.measure.image import make_image
from orchestrator.measure.progress import Progress, export_seconds, make_steps, pull_seconds
from orchestrator.model import STAND_IN_LABEL, Cell, Status
from orchestrator.places import dockerfile_of, is_remote
from orchestrator.record import Build, CellInputs, CellRecord, Image, Smoke
from orchestrator.smoke.run import Subject, run_checks
from orchestrator.smoke.words import inert
from orchestrator.store import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import Event as Signal

    from orchestrator.docker.bases import BaseReader
    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Engine
    from orchestrator.docker.images import ImageStore
    from orchestrator.events import Emit
    from orchestrator.measure.image import RawImage
    from orchestrator.store import RunFolder

_BACKOFF_S = 1.0
_TAIL_LINES = 200
_MAX_FILE = 64 * 1024 * 1024  # of a log or of raw progress; past it a build's chatter is counted, not kept


@dataclass(frozen=True, slots=True)
class Workshop:
    """All that cells share while they are built."""

    engine: Engine
    builder: Builder
    store: ImageStore
    bases: BaseReader
    run: RunFolder
    name: str
    folder: Path
    jobs: int
    smoke: bool
    keep: bool
    emit: Emit
    cancel: Signal
    heal: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Built:
    build: Build
    metadata: BuildMetadata
    failure: BuildFailure | None
    status: Status | None


class CancelledError(Exception):
    """The run was interrupted; the cell has no result."""


def run_cell(shop: Workshop, cell: Cell) -> CellRecord:
    """Build, measure and test one cell; whatever happens to it becomes its record."""
    shop.emit(Event("cell-started", cell.id))
    record = CellRecord(cell.id, dict(cell.axes), Status.ERROR, cell.expected, as_expected=False, inputs=_inputs_of(shop, cell))
    attempts = 0
    while True:
        attempts += 1
        try:
            record = _try_cell(shop, cell, record)
        except EngineError as error:
            record = replace(record, status=Status.ERROR, reason=str(error))
            passing = attempts <= cell.settings.retries
        else:
            passing = record.status is Status.ERROR and attempts <= cell.settings.retries and _may_pass(record)
        if shop.cancel.is_set():
            raise CancelledError
        if not passing:
            break
        wait_s = _BACKOFF_S * 2 ** (attempts - 1)
        shop.emit(Event("cell-retried", cell.id, {"attempt": attempts, "reason": record.reason, "wait_s": wait_s}))
        if shop.cancel.wait(wait_s):
            raise CancelledError
        shop.heal()
    return replace(record, attempts=attempts, as_expected=record.status is cell.expected)


def _may_pass(record: CellRecord) -> bool:
    return not (record.reason or "").startswith("no room left")


def _try_cell(shop: Workshop, cell: Cell, record: CellRecord) -> CellRecord:
    wants_engine = shop.smoke and bool(cell.settings.smoke)
    with ExitStack() as stack:
        target = _make_target(shop, cell, wants_engine=wants_engine)
        built = _build(shop, cell, target)
        inputs = replace(record.inputs, base=built.metadata.bases)
        record = replace(record, inputs=inputs, build=built.build, image=None, smoke=None)
        if built.failure is not None:
            return replace(record, status=built.status or Status.ERROR, reason=built.failure.reason)
        if target.image and not shop.keep:
            stack.callback(_forget_image, shop, target.image)
        shop.emit(Event("cell-measuring", cell.id))
        raw = shop.store.read(target.oci) if target.oci else read_from_engine(shop.engine, target.image or "")
        inputs = replace(inputs, stand_in=raw.labels.get(STAND_IN_LABEL))
        record = replace(record, inputs=inputs, image=_measure(shop, raw, built.metadata))
        image = target.image or _image_name(shop, cell)
        if target.oci and not target.image and (wants_engine or shop.keep):
            shop.emit(Event("cell-loading", cell.id))
            load_image(shop.store, target.oci, image)
            if not shop.keep:
                stack.callback(_forget_image, shop, image)
        if not wants_engine:
            return replace(record, status=Status.PASSED, reason=None, smoke=Smoke("skipped"))
        return _smoke(shop, cell, record, image, raw)


def _make_target(shop: Workshop, cell: Cell, *, wants_engine: bool) -> Target:
    """Choose the way out of the builder that moves least.

    Where OCI layouts can be written, all cells share one store, and an engine
    that is its own builder keeps the image beside at no cost. A classic store
    keeps it in the engine anyway.
    """
    builder = shop.builder
    oci = shop.store.prepare(cell.id) if builder.exports_oci else None
    in_place = not builder.loads_by_copy and (wants_engine or oci is None or shop.keep)
    return Target(oci, _image_name(shop, cell) if in_place else None)


def _image_name(shop: Workshop, cell: Cell) -> str:
    """Name an image so that no other run, and no user, has the same."""
    words = "".join(mark if mark.isalnum() or mark in "_." else "-" for mark in cell.id.lower()).strip("-._")
    short = hashlib.sha256(cell.id.encode()).hexdigest()[:8]
    return f"matrix.local/{shop.name}:{shop.run.id.lower()}-{words[:80].strip('-._')}-{short}"


def _build(shop: Workshop, cell: Cell, target: Target) -> _Built:
    folder = shop.run.cell(cell.id)
    metadata_file = folder / METADATA
    metadata_file.unlink(missing_ok=True)
    argv = render_build_argv(shop.engine.docker, shop.builder, shop.name, cell, shop.folder, target, metadata_file)
    progress, tail = Progress(), deque[str](maxlen=_TAIL_LINES)
    started = time.monotonic()
    with _BuildFiles(folder) as files:

        def take(line: bytes) -> None:
            step = progress.current
            for log in progress.feed(line):
                files.log(log.text)
                tail.extend(inert(log.text).splitlines())
            files.raw(line)
            if progress.current and progress.current != step:
                shop.emit(Event("cell-step", cell.id, {"step": inert(progress.current)[:200]}))

        ended = run_build(argv, on_progress=take, timeout_s=cell.settings.timeout.build_s, cancel=shop.cancel)
        for message in progress.messages:
            files.log(message + "\n")
        if files.problem:
            with disk_errors(folder):
                raise files.problem
    build = _make_build(progress, shop.jobs, time.monotonic() - started)
    if ended.cancelled:
        raise CancelledError
    if ended.timed_out:
        limit = cell.settings.timeout.build_s
        where = f" in {inert(progress.current)[:200]}" if progress.current else ""
        return _Built(
            build,
            BuildMetadata(),
            BuildFailure(f"build: still running after {limit:.0f} s{where}", is_ours=True, passing=False),
            Status.TIMEOUT,
        )
    if ended.code != 0:
        failure = classify_failure(progress.failed_step, progress.messages, tail)
        return _Built(build, BuildMetadata(), failure, Status.BUILD_FAILED if failure.is_ours else Status.ERROR)
    return _Built(build, load_metadata(metadata_file), None, None)


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
    )


class _BuildFiles:
    """A cell's build.log and progress.jsonl, written while the build runs, up to a bound."""

    def __init__(self, folder: Path) -> None:
        self._log: IO[bytes] = folder.joinpath("build.log").open("wb")
        self._raw: IO[bytes] = folder.joinpath("progress.jsonl").open("wb")
        self._left: dict[IO[bytes], int] = {self._log: _MAX_FILE, self._raw: _MAX_FILE}
        self.problem: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()
        self._raw.close()

    def log(self, text: str) -> None:
        """Keep what a step printed, without what could rewrite a terminal."""
        self._write(self._log, inert(text).encode())

    def raw(self, line: bytes) -> None:
        """Keep a line of progress as it came."""
        self._write(self._raw, line + b"\n")

    def _write(self, file: IO[bytes], data: bytes) -> None:
        """Write while there is room; the build is followed to its end even when there is none."""
        self._left[file] -= len(data)
        if self._left[file] < 0 or self.problem:
            return
        try:
            file.write(data)
            file.flush()
        except OSError as error:
            self.problem = error


def _measure(shop: Workshop, raw: RawImage, metadata: BuildMetadata) -> Image:
    """Weigh an image; a base that cannot be read leaves what came on top of it unknown."""
    try:
        base_layers = shop.bases.count_layers(raw.diff_ids, metadata.bases)
    except EngineError as error:
        shop.emit(Event("warning", None, {"text": str(error)}))
        base_layers = None
    return make_image(raw, base_layers)


def _smoke(shop: Workshop, cell: Cell, record: CellRecord, image: str, raw: RawImage) -> CellRecord:
    shop.emit(Event("cell-smoke", cell.id))
    with (shop.run.cell(cell.id) / "smoke.log").open("w", encoding="utf-8") as log:

        def write(text: str) -> None:
            log.write(text + "\n")
            log.flush()

        subject = Subject(
            engine=shop.engine,
            run=shop.run.id,
            cell=cell.id,
            image=image,
            env=cell.settings.env,
            command=raw.command,
            port=raw.port,
            user=raw.user,
            cancel=shop.cancel,
            log=write,
        )
        smoke = run_checks(subject, cell.settings.smoke, cell.settings.timeout.smoke_s)
    worst = next((check for check in smoke.checks if check.outcome == smoke.outcome and check.reason), None)
    status = {"passed": Status.PASSED, "skipped": Status.PASSED, "failed": Status.SMOKE_FAILED, "timeout": Status.TIMEOUT}
    reason = f"{worst.name}: {worst.reason}" if worst and smoke.outcome not in ("passed", "skipped") else None
    return replace(record, smoke=smoke, status=status.get(smoke.outcome, Status.ERROR), reason=reason)


def _forget_image(shop: Workshop, image: str) -> None:
    """Remove the cell's image; an engine that is gone has been reported already."""
    try:
        remove_image(image)
    except EngineError as error:
        shop.emit(Event("warning", None, {"text": str(error)}))


def _inputs_of(shop: Workshop, cell: Cell) -> CellInputs:
    settings = cell.settings
    dockerfile = None if is_remote(settings.context) else dockerfile_of(settings, shop.folder)
    requirements = shop.folder / settings.requirements if settings.requirements else None
    return CellInputs(
        dockerfile_digest=_file_digest(dockerfile),
        requirements_digest=_file_digest(requirements),
        args=dict(settings.args),
    )


def _file_digest(path: Path | None) -> str | None:
    if path is None or not path.is_file():
        return None
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
