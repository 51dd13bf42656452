"""Remove what matrix made, and nothing that only looks like it, or that a living run still needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.config.load import load_matrix
from orchestrator.docker.builder import remove_builder, was_made_here
from orchestrator.docker.containers import list_containers, list_networks, remove_container, remove_network
from orchestrator.docker.engine import connect
from orchestrator.docker.images import list_images, remove_image
from orchestrator.environment import builder_spec
from orchestrator.model import BuilderSpec
from orchestrator.paths import cache_folder, is_held, remove_folder, run_lock
from orchestrator.store import Reports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.docker.engine import Engine


def clean_up(file: Path, reports: Path | None) -> Iterator[str]:
    """Remove containers, networks, images and the builder by label, and stored runs when asked."""
    spec = builder_spec(load_matrix(file)) if file.is_file() else BuilderSpec()
    engine = connect(is_needed=spec.needs_engine)
    living: set[str] = set()

    def is_over(run: str) -> bool:
        if is_held(run_lock(run)):
            living.add(run)
        return run not in living

    for kind, found, remove in _things(engine):
        for name, run in found:
            if is_over(run):
                remove(name)
                yield f"removed {kind} {name}"
    if was_made_here(engine, spec.name) and not living:
        remove_builder(engine, spec.name)
        yield f"removed builder {spec.name}"
    if reports is not None:
        yield f"removed {Reports(reports).remove_all(is_over)} stored runs"
    yield from (f"left alone: run {run}, which is under way, and the builder" for run in sorted(living))


def _things(engine: Engine) -> Iterator[tuple[str, list[tuple[str, str]], Callable[[str], object]]]:
    """Give all that matrix makes, with its run and the way to remove it; what uses a thing comes before it."""
    folders = cache_folder("images")
    if engine.answers:
        yield "container", list_containers(engine), partial(remove_container, engine)
        yield "network", list_networks(engine), partial(remove_network, engine)
        yield "image", list_images(engine), partial(remove_image, engine)
    yield "image folder", [(folder.name, folder.name) for folder in folders.iterdir()], lambda name: remove_folder(folders / name)
