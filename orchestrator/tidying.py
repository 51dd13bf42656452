"""What a run leaves in the engine: removed at its end, and before it goes on after it was killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.docker.build import forget_sample_mounts
from orchestrator.docker.containers import list_containers, remove_container
from orchestrator.docker.images import list_images, remove_image
from orchestrator.docker.networks import list_networks, remove_network
from orchestrator.errors import EngineError
from orchestrator.events import Event
from orchestrator.model import HttpCheck

if TYPE_CHECKING:
    from orchestrator.model import Plan
    from orchestrator.workshop import Workshop


def tidy(shop: Workshop, plan: Plan, *, was_cut_short: bool) -> None:
    """Remove what cells that were cut short may have left, and the network without a way out.

    A cell that ended by itself has removed its containers; an engine that is
    gone has kept nothing to remove.
    """
    checks = {check for cell in plan.cells for check in cell.settings.smoke}
    has_network = shop.engine.answers and any(isinstance(one, HttpCheck) or one.limits.network == "internal" for one in checks)
    shop.store.remove()
    try:
        if was_cut_short:
            _remove_everything(shop)
        elif has_network:
            _remove_networks(shop)
    except EngineError as error:
        shop.emit(Event("warning", None, {"text": str(error)}))


def clear_remains(shop: Workshop) -> None:
    """Remove what a killed process left of this run, before it goes on."""
    shop.run.forget_drafts()
    shop.store.remove()
    if shop.run.has_samples():
        forget_sample_mounts(shop.engine.buildx_argv, shop.builder.name, shop.run.id)
    try:
        _remove_everything(shop)
    except EngineError as error:
        shop.emit(Event("warning", None, {"text": str(error)}))


def _remove_everything(shop: Workshop) -> None:
    """Remove all that carries the run's name; the images of `--keep` stay."""
    if not shop.engine.answers:
        return
    _remove_containers(shop)
    _remove_networks(shop)
    if not shop.keep:
        for name, run in list_images(shop.engine):
            if run == shop.run.id.lower():
                remove_image(shop.engine, name)


def _remove_containers(shop: Workshop) -> None:
    for name, _ in list_containers(shop.engine, shop.run.id):
        remove_container(shop.engine, name)


def _remove_networks(shop: Workshop) -> None:
    for name, _ in list_networks(shop.engine, shop.run.id):
        remove_network(shop.engine, name)
