"""Remove what matrix made, and nothing that only looks like it, or that a living run still needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.config.load import load_matrix
from orchestrator.docker.build import forget_sample_mounts
from orchestrator.docker.builder import remove_builder, was_made_here
from orchestrator.docker.containers import list_containers, list_networks, remove_container, remove_network
from orchestrator.docker.engine import connect
from orchestrator.docker.images import list_images, remove_image
from orchestrator.environment import builder_spec
from orchestrator.errors import EngineError
from orchestrator.locked import forget_left
from orchestrator.model import BuilderSpec
from orchestrator.names import spelled_run_id
from orchestrator.paths import cache_folder, is_held, look_at_runs, remove_folder, run_lock
from orchestrator.store import Reports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.config.load import Matrix
    from orchestrator.docker.engine import Engine


def clean_up(file: Path, reports: Path | None, *, everything: bool) -> Iterator[str]:
    """Remove containers, networks, images and the builder by label, and stored runs when asked; what cannot go stops nothing.

    Of a run that is over containers and networks stay by accident only, but images also where `--keep` was given: so those of
    other matrices go only when everything is to go.
    """
    matrix = load_matrix(file) if file.is_file() else None
    spec = builder_spec(matrix) if matrix else BuilderSpec()
    only = matrix.file.name if matrix and not everything else None
    engine = connect(is_needed=spec.needs_engine)
    living, killed = look_at_runs()
    refused: list[str] = []

    def is_over(run: str) -> bool:
        if is_held(run_lock(run)):
            living.add(run.lower())
        return run.lower() not in living

    _forget_sample_mounts(engine, spec.name, killed)
    for kind, found, remove in _things(engine, only):
        for name, run in found:
            if is_over(run):
                yield _remove(kind, name, remove, refused)
    yield from _forget_locked_files(matrix)
    living.update(look_at_runs()[0])
    if was_made_here(engine, spec.name) and not living:
        yield _remove("builder", spec.name, partial(remove_builder, engine), refused)
    if reports is not None:
        count, why = Reports(reports).remove_all(is_over)
        refused += why
        yield from (f"removed {count} stored runs", *why)
    yield from (f"left alone: run {spelled_run_id(run)}, which is under way, and the builder" for run in sorted(living))
    if others := sum(is_over(run) for _, run in _images_of_others(engine, only)):
        yield f"left alone: {others} images of other matrices than {only}; `matrix clean --all` removes them"
    if refused:
        message = f"{len(refused)} of the things to remove could not be removed"
        raise EngineError(message)


def _things(engine: Engine, only: str | None) -> Iterator[tuple[str, list[tuple[str, str]], Callable[[str], None]]]:
    """Give all that matrix makes, with its run and the way to remove it; what uses a thing comes before it."""
    folders = cache_folder("images")
    if engine.answers:
        yield "container", list_containers(engine), partial(remove_container, engine)
        yield "network", list_networks(engine), partial(remove_network, engine)
        yield "image", list_images(engine, only), partial(remove_image, engine)
    yield "image folder", [(folder.name, folder.name) for folder in folders.iterdir()], lambda name: remove_folder(folders / name)


def _forget_sample_mounts(engine: Engine, builder: str, runs: set[str]) -> None:
    """Remove what builders keep of measurements that were killed; these were built by the engine's own or by another."""
    for run in runs:
        for one in (builder, engine.context) if engine.answers else (builder,):
            forget_sample_mounts(engine.buildx_argv, one, run)


def _forget_locked_files(matrix: Matrix | None) -> Iterator[str]:
    """Remove what locked runs that were killed have left beside the requirements of a matrix."""
    cells = matrix.plan.cells if matrix else ()
    folders = {(matrix.folder / cell.settings.requirements).parent for cell in cells if matrix and cell.settings.requirements}
    yield from (f"removed file {path}" for path in forget_left(folders))


def _images_of_others(engine: Engine, only: str | None) -> set[tuple[str, str]]:
    """Give the images, each with its run, that are left alone for the sake of another matrix."""
    if only is None or not engine.answers:
        return set()
    return {*list_images(engine)} - {*list_images(engine, only)}


def _remove(kind: str, name: str, remove: Callable[[str], None], refused: list[str]) -> str:
    """Remove a thing; say so, or why it stays."""
    try:
        remove(name)
    except EngineError as error:
        refused.append(str(error))
    except OSError as error:
        refused.append(f"the {kind} {name} could not be removed: {error.strerror or error}")
    else:
        return f"removed {kind} {name}"
    return refused[-1]
