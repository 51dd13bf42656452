"""Remove what matrix made, and nothing that only looks like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config.load import load_matrix
from orchestrator.docker.builder import remove_builder, was_made_here
from orchestrator.docker.containers import remove_containers, remove_networks
from orchestrator.docker.engine import connect
from orchestrator.docker.images import list_images, remove_image
from orchestrator.paths import cache_folder
from orchestrator.store import Reports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def clean_up(file: Path, reports: Path | None) -> list[str]:
    """Remove containers, networks, images and the builder by label; stored runs when asked."""
    return list(_clean(file, reports))


def _clean(file: Path, reports: Path | None) -> Iterator[str]:
    engine = connect()
    name = load_matrix(file).file.builder.name if file.is_file() else "matrix"
    yield from (f"container {container}" for container in remove_containers(run=""))
    yield from (f"network {network}" for network in remove_networks(engine))
    for image in list_images():
        remove_image(image)
        yield f"image {image}"
    if was_made_here(engine, name):
        remove_builder(engine, name)
        yield f"builder {name}"
    images = cache_folder("images")
    if any(images.iterdir()):
        yield from (f"image folder {folder.name}" for folder in _remove_folders(images))
    if reports is not None:
        yield f"{Reports(reports).remove_all()} stored runs"


def _remove_folders(images: Path) -> Iterator[Path]:
    import shutil  # noqa: PLC0415

    for folder in images.iterdir():
        shutil.rmtree(folder)
        yield folder
