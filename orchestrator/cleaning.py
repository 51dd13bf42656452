"""Remove what matrix made, and nothing that only looks like it, or that a living run still needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.config.load import load_matrix
from orchestrator.docker.build import forget_sample_mounts
from orchestrator.docker.builder import remove_builder, was_made_here
from orchestrator.docker.containers import list_containers, remove_container
from orchestrator.docker.engine import connect
from orchestrator.docker.images import list_images, remove_image
from orchestrator.docker.networks import list_networks, remove_network
from orchestrator.environment import builder_spec
from orchestrator.errors import EngineError
from orchestrator.locked import forget_left
from orchestrator.model import BuilderSpec
from orchestrator.names import spelled_run_id
from orchestrator.ours import can_tell
from orchestrator.paths import cache_folder, is_held, look_at_runs, remove_folder, run_lock
from orchestrator.store import Reports
from orchestrator.units import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.config.load import Matrix
    from orchestrator.docker.engine import Engine

    _Things = tuple[str, list[tuple[str, str]], Callable[[str], None]]  # of a kind, each with its run, and the way to remove it


class Asked(Struct, frozen=True):
    """What is to be removed besides what is one's own and of the matrix in matrix.yaml."""

    everything: bool = False  # the images of other matrices
    everybody: bool = False  # what may be of a run under way elsewhere, of which this cache folder's locks say nothing


def clean_up(file: Path, reports: Path | None, asked: Asked) -> Iterator[str]:
    """Remove containers, networks, images and the builder by label, and stored runs when asked; what cannot go stops nothing.

    Of a run that is over containers and networks stay by accident only, but images also where `--keep` was given: so those of
    other matrices go only when everything is to go.
    """
    matrix = load_matrix(file) if file.is_file() else None
    spec = builder_spec(matrix) if matrix else BuilderSpec()
    only = matrix.plan.name if matrix and not asked.everything else None
    engine = connect(is_needed=spec.needs_engine)
    living, killed = look_at_runs()
    refused: list[str] = []

    def is_over(run: str) -> bool:
        if is_held(run_lock(run)):
            living.add(run.lower())
        return run.lower() not in living

    _forget_sample_mounts(engine, spec.name, killed)
    for kind, found, remove in (*_things(engine, only, everybody=asked.everybody), _image_folders()):
        for name, run in found:
            if is_over(run):
                yield _remove(kind, name, remove, refused)
    yield from _forget_locked_files(matrix)
    living.update(look_at_runs()[0])
    if was_made_here(engine, spec.name) and not living:
        yield _remove("builder", spec.name, partial(remove_builder, engine), refused)
    if reports is not None:
        gone, why = Reports(reports).remove_all(is_over)
        refused += why
        yield from (f"removed {count(gone, 'stored run')}", *why)
    yield from (f"left alone: run {spelled_run_id(run)}, which is under way, and the builder" for run in sorted(living))
    yield from _say_what_stays(engine, only, asked, is_over)
    if refused:
        message = f"{len(refused)} of the things to remove could not be removed"
        raise EngineError(message)


def _things(engine: Engine, only: str | None, *, everybody: bool) -> Iterator[_Things]:
    """Give what is in the engine, one's own or everybody's; what uses a thing comes before it."""
    if engine.answers:
        for kind, found, remove in (
            ("container", list_containers(engine), remove_container),
            ("network", list_networks(engine), remove_network),
            ("image", list_images(engine, only), remove_image),
        ):
            yield kind, [(name, run) for name, run in found if everybody or can_tell(run)], partial(remove, engine)


def _image_folders() -> _Things:
    """Give the folders that runs have left in the cache."""
    folders = cache_folder("images")
    return "image folder", [(folder.name, folder.name) for folder in folders.iterdir()], lambda name: remove_folder(folders / name)


def _say_what_stays(engine: Engine, only: str | None, asked: Asked, is_over: Callable[[str], bool]) -> Iterator[str]:
    """Say how much is left alone for the sake of others, and how to remove that."""
    if not engine.answers:
        return
    every = [*list_containers(engine), *list_networks(engine), *list_images(engine)]
    theirs = [] if asked.everybody else [run for _, run in every if not can_tell(run)]
    if theirs:
        yield (
            f"left alone: {count(len(theirs), 'thing')} of runs of other users, machines or cache folders, which may be under way; "
            "`matrix clean --everybody` removes them"
        )
    images = [] if only is None else {*list_images(engine)} - {*list_images(engine, only)}
    if others := sum(is_over(run) and run not in theirs for _, run in images):
        yield f"left alone: {count(others, 'image')} of other matrices than {only}; `matrix clean --all` removes them"


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
