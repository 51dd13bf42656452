"""A cell's image on its way out: where a build puts it, what it weighs and holds, and what that means for this run."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.disk import passing_folder
from orchestrator.docker.build import ONCE_MORE, Target, read_secret_args, render_build_argv, run_unfollowed, sources_of
from orchestrator.docker.cluster import cell_route
from orchestrator.docker.graph import Graph, Place
from orchestrator.docker.saved import read_from_engine
from orchestrator.errors import EngineError
from orchestrator.events import Event
from orchestrator.known import KnownImage, knows_image, recall_expected, recall_image, remember_expected, remember_image
from orchestrator.layers.sbom import render_sbom
from orchestrator.measure.contents import analyse
from orchestrator.measure.image import make_image, over_base_bytes
from orchestrator.scanners import scan_sbom
from orchestrator.smoke.choose import choose_runner
from orchestrator.smoke.run import Caller
from orchestrator.smoke.served import read_health
from orchestrator.workshop import CancelledError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.building import Built
    from orchestrator.inside import Vulnerabilities
    from orchestrator.measure.image import RawImage
    from orchestrator.measure.installs import Origin
    from orchestrator.model import Cell, Check
    from orchestrator.record import CellInputs, Image
    from orchestrator.workshop import Workshop


def make_target(shop: Workshop, cell: Cell, inputs: CellInputs, *, wants_engine: bool) -> Target:
    """Choose the way out of the builder that moves least.

    Where OCI layouts can be written, all cells share one store, and an engine
    that is its own builder keeps the image beside at no cost. An image that was
    looked into before stays where it is, if it is likely to be the same still and
    nothing has to be copied into an engine. A classic store keeps it in the engine anyway.
    """
    builder = shop.builder
    in_place = not builder.loads_by_copy and (wants_engine or not builder.exports_oci or shop.keep)
    name = image_name(shop, cell) if in_place else None
    if not builder.exports_oci:
        return Target(None, name)
    if find_likely(shop, cell, inputs, wants_engine=wants_engine):
        return Target(None, name)  # for checks in the graph, too: the builder has its layers
    return Target(shop.store.prepare(cell.id), name)


def find_likely(shop: Workshop, cell: Cell, inputs: CellInputs, *, wants_engine: bool) -> str | None:
    """Give the digest of a cell's image if that is likely to be one that was looked into before, and need not leave the builder."""
    must_leave = shop.builder.loads_by_copy and (wants_engine or shop.keep)
    if must_leave or not shop.builder.exports_oci:
        return None
    expected = recall_expected(*_place(shop, cell, inputs))
    return expected if expected and knows_image(expected) else None


def choose_runners(shop: Workshop, cell: Cell) -> dict[Check, str]:
    """Say how each check of a cell is run."""
    checks = cell.settings.smoke if shop.smoke else ()
    has_engine, moves = shop.engine.answers, shop.builder.loads_by_copy
    return {
        check: choose_runner(shop.runner, check, shop.folder, has_engine=has_engine, moves=moves and shop.builder.exports_oci)
        for check in checks
    }


def open_graph(shop: Workshop, cell: Cell, target: Target, known: KnownImage) -> Graph:
    """Let the builder run what is in a cell's image; of one that has not left it, manifest and configuration are enough."""
    if known.manifest is None or known.config is None:
        message = "the image is not in an OCI layout, so its checks cannot be steps of a build"
        raise EngineError(message)
    place = Place(
        buildx_argv=shop.engine.buildx_argv,
        builder=shop.builder.name,
        platform=cell.settings.platform,
        layout=target.oci or shop.store.prepare(cell.id),
        manifest=json.loads(known.manifest),
        config=json.loads(known.config),
        cancel=shop.cancel,
        export=None if target.oci else partial(_export, shop, cell),
        folder=cell_route(shop.builder, cell, shop.folder).folder,
        pulse=shop.pulse,
    )
    return Graph(place)


def make_caller(shop: Workshop, cell: Cell, known: KnownImage) -> Caller:
    """Say who has programs run in an image, and what they are told of it."""
    health = read_health(json.loads(known.config)) if known.config else None
    return Caller(shop.run.id, cell.id, cell.settings.env, known.command, known.port, known.user, health)


def image_name(shop: Workshop, cell: Cell) -> str:
    """Name an image so that no other run, and no user, has the same."""
    words = "".join(mark if mark.isalnum() or mark in "_." else "-" for mark in cell.id.lower()).strip("-._")
    short = hashlib.sha256(cell.id.encode()).hexdigest()[:8]
    return f"matrix.local/{shop.name}:{shop.run.id.lower()}-{words[:80].strip('-._')}-{short}"


def look_into(shop: Workshop, cell: Cell, target: Target, built: Built, inputs: CellInputs) -> KnownImage:
    """Say what an image is and holds; one that is known by its digest is not read again."""
    digest = built.metadata.digest
    known = recall_image(digest) if digest else None
    if known is None:
        known = _read(shop, cell, target, built)
        if digest:
            remember_image(digest, known)
    if digest and shop.builder.exports_oci:
        remember_expected(digest, *_place(shop, cell, inputs))
    return known


def measure_image(shop: Workshop, cell: Cell, known: KnownImage, built: Built) -> Image:
    """Put what this run alone knows to an image; a base that cannot be read leaves what came on top of it unknown."""
    sources = sources_of(built.metadata, cell)
    try:
        base_layers = None if sources is None else shop.bases.count_layers(known.diff_ids, sources)
    except EngineError as error:
        shop.emit(Event("warning", None, {"text": str(error)}))
        base_layers = None
    image = replace(known.image, over_base_bytes=over_base_bytes(known.image.layers, base_layers), base_layers=base_layers)
    for layer in image.layers:
        if layer.problem:
            text = f"{cell.id}: layer {layer.digest} {layer.problem}; what the image holds is unknown"
            shop.emit(Event("warning", None, {"text": text}))
    if known.sbom is None:
        return image
    return replace(image, vulnerabilities=_scan(shop, cell, shop.run.save_sbom(cell.id, known.sbom)))


def _place(shop: Workshop, cell: Cell, inputs: CellInputs) -> tuple[str, ...]:
    """Say where an image is expected, and what it is built from as far as that is known before the build: all but its bases."""
    source = repr(replace(inputs, base=(), stand_in=None, smoke_digest=None))
    return (shop.engine.context, shop.builder.name, str(shop.folder.absolute()), shop.name, cell.id, source)


def _read(shop: Workshop, cell: Cell, target: Target, built: Built) -> KnownImage:
    if not shop.builder.exports_oci:
        raw = read_from_engine(shop.engine, target.image or "")
    else:
        raw = shop.store.read(target.oci or _export(shop, cell))
    return make_known(cell, raw, built.origins)


def make_known(cell: Cell, raw: RawImage, origins: Mapping[str, Origin]) -> KnownImage:
    """Weigh an image that was read, and look into it."""
    image, contents = analyse(raw, make_image(raw, None), origins)
    sbom = render_sbom(contents, cell.id, raw.digest, datetime.now(UTC)) if contents else None
    return KnownImage(image, raw.diff_ids, raw.labels, raw.command, raw.user, raw.port, sbom, raw.manifest, raw.config)


def _export(shop: Workshop, cell: Cell) -> Path:
    """Let an image leave the builder after all: it is not the one that was expected."""
    layout = shop.store.prepare(cell.id)
    with passing_folder(shop.store.folder) as folder:
        metadata = folder / "metadata.json"
        target = Target(layout, None)
        argv = render_build_argv(shop.engine.buildx_argv, shop.builder, shop.name, cell, shop.folder, target, metadata, ONCE_MORE)
        ended, last = run_unfollowed(
            argv,
            timeout_s=cell.settings.timeout.build_s,
            cancel=shop.cancel,
            environment=read_secret_args(cell),
        )
    if ended.cancelled:
        raise CancelledError
    if ended.code != 0:
        message = f"the image cannot be taken out of the builder: {last}"
        raise EngineError(message)
    return layout


def _scan(shop: Workshop, cell: Cell, sbom: Path) -> Vulnerabilities | None:
    """Ask the scanner that is here, if one is; without its answer nothing is known, which is not none."""
    if shop.scanner is None:
        return None
    try:
        return scan_sbom(shop.scanner, sbom, shop.cancel)
    except EngineError as error:
        shop.emit(Event("warning", None, {"text": f"{cell.id}: {error}"}))
        return None
