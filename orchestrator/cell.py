"""One cell from its build to its result, with every failure of its own as data."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.building import Built, build_cell
from orchestrator.docker.build import Target
from orchestrator.docker.images import load_image, read_from_engine, remove_image
from orchestrator.errors import EngineError
from orchestrator.events import Event
from orchestrator.layers.sbom import render_sbom
from orchestrator.measure.contents import analyse
from orchestrator.measure.image import make_image
from orchestrator.model import STAND_IN_LABEL, Cell, Status
from orchestrator.places import dockerfile_of, is_remote
from orchestrator.record import CellInputs, CellRecord, Image, Smoke
from orchestrator.scanners import scan_sbom
from orchestrator.smoke.run import Subject, run_checks
from orchestrator.store import disk_errors
from orchestrator.tracing.attributes import describe_cell, describe_result
from orchestrator.tracing.names import Part
from orchestrator.workshop import CancelledError, Workshop

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.inside import Vulnerabilities
    from orchestrator.measure.image import RawImage
    from orchestrator.tracing.collect import CellTrace

_BACKOFF_S = 1.0


def run_cell(shop: Workshop, cell: Cell) -> CellRecord:
    """Build, measure and test one cell; whatever happens to it becomes its record."""
    shop.emit(Event("cell-started", cell.id))
    with shop.traces.cell(cell.id, describe_cell(shop.run.id, cell)) as (trace, span):
        record = _run_cell(shop, cell, trace)
        describe_result(span, record)
    return record


def _run_cell(shop: Workshop, cell: Cell, trace: CellTrace) -> CellRecord:
    record = CellRecord(
        cell.id,
        dict(cell.axes),
        Status.ERROR,
        cell.expected,
        as_expected=False,
        inputs=_inputs_of(shop, cell),
        trace_id=trace.trace_id,
    )
    attempts = 0
    while True:
        attempts += 1
        try:
            record, may_pass = _try_cell(shop, cell, record, trace)
        except EngineError as error:
            record, may_pass = replace(record, status=Status.ERROR, reason=str(error)), True
        if shop.cancel.is_set():
            raise CancelledError
        if not may_pass or attempts > cell.settings.retries:
            break
        wait_s = _BACKOFF_S * 2 ** (attempts - 1)
        shop.emit(Event("cell-retried", cell.id, {"attempt": attempts, "reason": record.reason, "wait_s": wait_s}))
        with trace.span("wait", Part.TIDY):
            if shop.cancel.wait(wait_s):
                raise CancelledError
            shop.heal()
    return replace(record, attempts=attempts, as_expected=record.status is cell.expected)


def _try_cell(shop: Workshop, cell: Cell, record: CellRecord, trace: CellTrace) -> tuple[CellRecord, bool]:
    """Try once; tell besides whether the same may end otherwise when it is tried again."""
    wants_engine = shop.smoke and bool(cell.settings.smoke)
    with ExitStack() as stack:
        target = _make_target(shop, cell, wants_engine=wants_engine)
        with trace.build({"matrix.build.attempt": len(trace.builds) + 1}) as traced:
            built = build_cell(shop, cell, target, traced)
            if built.failure is not None:
                traced.span.fail(built.failure.reason, (built.status or Status.ERROR).value)
        inputs = replace(record.inputs, base=built.metadata.bases)
        record = replace(record, inputs=inputs, build=built.build, image=None, smoke=None)
        if built.failure is not None:
            return replace(record, status=built.status or Status.ERROR, reason=built.failure.reason), built.failure.passing
        if target.image and not shop.keep:
            stack.callback(_forget_image, shop, target.image, trace)
        shop.emit(Event("cell-measuring", cell.id))
        with trace.span("analyse", Part.ANALYSE):
            raw = shop.store.read(target.oci) if target.oci else read_from_engine(shop.engine, target.image or "")
            inputs = replace(inputs, stand_in=raw.labels.get(STAND_IN_LABEL))
            record = replace(record, inputs=inputs, image=_measure(shop, cell, raw, built))
        image = target.image or _image_name(shop, cell)
        if target.oci and not target.image and (wants_engine or shop.keep):
            shop.emit(Event("cell-loading", cell.id))
            with trace.span("load", Part.LOAD):
                load_image(shop.store, target.oci, image)
            if not shop.keep:
                stack.callback(_forget_image, shop, image, trace)
        if not wants_engine:
            return replace(record, status=Status.PASSED, reason=None, smoke=Smoke("skipped")), False
        with trace.span("smoke", Part.SMOKE) as span:
            record = _smoke(shop, cell, record, image, raw, trace)
            if record.status is not Status.PASSED:
                span.fail(record.reason or "", record.status.value)
        return record, False


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


def _measure(shop: Workshop, cell: Cell, raw: RawImage, built: Built) -> Image:
    """Weigh an image and look into it; a base that cannot be read leaves what came on top of it unknown."""
    try:
        base_layers = shop.bases.count_layers(raw.diff_ids, built.metadata.bases)
    except EngineError as error:
        shop.emit(Event("warning", None, {"text": str(error)}))
        base_layers = None
    image, contents = analyse(raw, make_image(raw, base_layers), built.origins)
    for layer in image.layers:
        if layer.problem:
            text = f"{cell.id}: layer {layer.digest} {layer.problem}; what the image holds is unknown"
            shop.emit(Event("warning", None, {"text": text}))
    if contents is None:
        return image
    sbom = shop.run.save_sbom(cell.id, render_sbom(contents, cell.id, raw.digest, datetime.now(UTC)))
    return replace(image, vulnerabilities=_scan(shop, cell, sbom))


def _scan(shop: Workshop, cell: Cell, sbom: Path) -> Vulnerabilities | None:
    """Ask the scanner that is here, if one is; without its answer nothing is known, which is not none."""
    if shop.scanner is None:
        return None
    try:
        return scan_sbom(shop.scanner, sbom)
    except EngineError as error:
        shop.emit(Event("warning", None, {"text": f"{cell.id}: {error}"}))
        return None


def _smoke(  # the parts of one cell
    shop: Workshop, cell: Cell, record: CellRecord, image: str, raw: RawImage, trace: CellTrace
) -> CellRecord:
    shop.emit(Event("cell-smoke", cell.id))
    folder = shop.run.cell(cell.id)
    with disk_errors(folder):
        log = (folder / "smoke.log").open("w", encoding="utf-8")
    with log:

        def write(text: str) -> None:
            with disk_errors(folder):
                log.write(shop.run.redactor.text(text) + "\n")
                log.flush()

        subject = Subject(
            engine=shop.engine,
            run=shop.run.id,
            cell=cell.id,
            image=image,
            folder=shop.folder,
            env=cell.settings.env,
            command=raw.command,
            port=raw.port,
            user=raw.user,
            cancel=shop.cancel,
            log=write,
            trace=trace,
        )
        smoke = run_checks(subject, cell.settings.smoke, cell.settings.timeout.smoke_s)
    bad = [check for check in smoke.checks if check.outcome in ("failed", "error", "timeout")]
    worst = min(bad, key=lambda check: ("failed", "error", "timeout").index(check.outcome), default=None)
    status = {"failed": Status.SMOKE_FAILED, "timeout": Status.TIMEOUT}.get(smoke.outcome, Status.PASSED)
    return replace(record, smoke=smoke, status=status, reason=f"{worst.name}: {worst.reason}" if worst else None)


def _forget_image(shop: Workshop, image: str, trace: CellTrace) -> None:
    """Remove the cell's image; an engine that is gone has been reported already."""
    try:
        with trace.span("remove image", Part.TIDY):
            remove_image(shop.engine, image)
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
