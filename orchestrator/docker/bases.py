"""The layers of base images, read by the builder that resolved them, once for each digest."""

from __future__ import annotations

import json
import re
import secrets
from threading import Lock
from typing import TYPE_CHECKING

from orchestrator.disk import passing_folder, write_whole
from orchestrator.docker.build import load_metadata, run_unfollowed
from orchestrator.docker.images import remove_image
from orchestrator.docker.saved import read_from_engine
from orchestrator.errors import EngineError
from orchestrator.measure.image import count_base_layers
from orchestrator.measure.progress import Progress, make_steps
from orchestrator.paths import cache_folder
from orchestrator.strict import parse_json

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.docker.build import Source
    from orchestrator.docker.builder import Builder
    from orchestrator.docker.engine import Engine
    from orchestrator.docker.images import ImageStore
    from orchestrator.docker.process import Signal

_READ_S = 300.0
_FORM = 2  # of what is remembered: another number forgets it all
_NO_LAYER = ("FROM ", "LINK ")
_ODD = re.compile(r"[^a-z0-9]+")


class BaseReader:
    """Tells how many of an image's layers are its base's."""

    def __init__(
        self, engine: Engine, builder: Builder, store: ImageStore, cancel: Signal, pinned: frozenset[str] = frozenset()
    ) -> None:
        """Read bases through the builder that builds the cells, until cancelled; those of a lock are asked for by their digest."""
        self._engine, self._builder, self._store, self._cancel, self._pinned = engine, builder, store, cancel, pinned
        self._guard = Lock()
        self._locks: dict[str, Lock] = {}

    def count_layers(self, diff_ids: tuple[str, ...], sources: tuple[Source, ...]) -> int:
        """Count the layers that an image has in common with the longest base it starts with."""
        return count_base_layers(diff_ids, [self._layers_of(source) for source in sources])

    def _layers_of(self, source: Source) -> tuple[str, ...]:
        """Give a base's layers; cells that want the same base at once wait for one reading."""
        name = _name_of(source)
        with self._guard:
            lock = self._locks.setdefault(name, Lock())
        with lock:
            entry = cache_folder("bases") / f"{name}-{_FORM}.json"
            known = _load_layers(entry)
            if known is not None:
                return known
            layers = self._read(source)
            write_whole(entry, json.dumps(layers).encode())
            return layers

    def _read(self, source: Source) -> tuple[str, ...]:
        """Let the builder hand out the base as an image of its own, by a build without a step.

        What the base has put off to whoever builds on it (ONBUILD) is done all the
        same. Those layers lie on top, and are not the base's.
        """
        base = source.base
        name = f"matrix.local/base:{secrets.token_hex(6)}"
        layout = self._store.prepare(_name_of(source)) if self._builder.exports_oci else None
        output = f"type=oci,tar=false,dest={layout}" if layout else f"type=docker,name={name}"
        with passing_folder(self._store.folder) as folder:
            # The engine's own BuildKit prefers the engine's images, which need not have a digest it could be asked for.
            by_digest = self._builder.loads_by_copy or source.is_pinned or base.digest in self._pinned
            name_of_base = f"{base.ref}@{base.digest}" if by_digest else base.ref
            folder.joinpath("Dockerfile").write_text(f"FROM {name_of_base}\n")
            argv = [*self._engine.buildx_argv, "build", "--builder", self._builder.name, "--progress=rawjson"]
            argv += ["--platform", source.platform] if source.platform else []
            metadata = folder / "metadata.json"
            argv += ["--metadata-file", str(metadata), "--provenance=false", "--output", output, str(folder)]
            progress = Progress()
            ended, last = run_unfollowed(argv, timeout_s=_READ_S, cancel=self._cancel, progress=progress)
            found = load_metadata(metadata).bases
        triggered = _count_triggered(progress)
        if ended.code != 0:
            why = ", since its ONBUILD steps fail where they have nothing but the base" if triggered else ""
            message = f"the base {base.ref} cannot be read{why}: {last}"
            raise EngineError(message)
        layers = self._take_layers(name, layout)
        layers = layers[: len(layers) - triggered]
        if found and base.digest not in {one.digest for one in found}:
            message = f"the base {base.ref} is now {found[0].digest}, and no longer the {base.digest} that was built on"
            raise EngineError(message)
        return layers

    def _take_layers(self, name: str, layout: Path | None) -> tuple[str, ...]:
        if layout is not None:
            return self._store.read(layout).diff_ids
        try:
            return read_from_engine(self._engine, name).diff_ids
        finally:
            remove_image(self._engine, name)


def _count_triggered(progress: Progress) -> int:
    """Count the layers on top of a base that was to be handed out alone: each step but its own is one of ONBUILD."""
    return sum(not step.instruction.startswith(_NO_LAYER) for step in make_steps(progress))


def _name_of(source: Source) -> str:
    """Name what is remembered of a base: one digest may stand for an image of each platform."""
    return _ODD.sub("-", f"{source.base.digest}-for-{source.platform or 'this'}".lower())


def _load_layers(entry: Path) -> tuple[str, ...] | None:
    """Read what is remembered of a base; a damaged entry is as good as none."""
    try:
        found = parse_json(entry.read_bytes())
    except (OSError, ValueError):
        return None
    return tuple(found) if isinstance(found, list) and all(isinstance(one, str) for one in found) else None
