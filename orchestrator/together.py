"""Cells of which nothing has changed, asked for with one buildx: to start one takes longer than such a build."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from threading import Condition
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.building import following, take_built
from orchestrator.disk import disk_errors, passing_folder
from orchestrator.docker.bake import Sorter, load_all_metadata, make_untraced_parent, render_bake_argv, render_bake_file
from orchestrator.docker.build import run_build
from orchestrator.events import Event
from orchestrator.inputs import read_inputs
from orchestrator.measuring import choose_runners, is_likely_known
from orchestrator.places import is_remote
from orchestrator.smoke.choose import CONTAINER
from orchestrator.workshop import CancelledError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.building import Built, Following
    from orchestrator.docker.build import BuildMetadata, Target
    from orchestrator.docker.process import Exit, Signal
    from orchestrator.model import Cell
    from orchestrator.tracing.collect import TracedBuild
    from orchestrator.workshop import Workshop

GROUP = 16  # cells in one buildx: the first can be tested when the last has been built
_POLL_S = 0.1
_MOMENT_S = 1.0  # until the cache has said that it holds a step


def find_groups(shop: Workshop, cells: Sequence[Cell]) -> dict[str, Group]:
    """Put cells of which nothing is likely to have changed into groups; give each such cell's.

    With one job nothing goes on beside a build, so none has a group.
    """
    likely = [cell for cell in cells if _is_plain(cell) and _is_known(shop, cell)] if shop.jobs > 1 else []
    groups = [Group(shop, likely[at : at + GROUP]) for at in range(0, len(likely), GROUP)]
    return {cell: group for group in groups if len(group.cells) > 1 for cell in group.cells}


def _is_plain(cell: Cell) -> bool:
    """Tell whether a cell's build reads nothing but files of this machine, and leaves nothing but an image here."""
    settings = cell.settings
    return not (is_remote(settings.context) or settings.secret_args or settings.cache_from or settings.cache_to or settings.push)


def _is_known(shop: Workshop, cell: Cell) -> bool:
    """Tell whether the image that a cell had the last time is known, and need not leave the builder."""
    inputs = read_inputs(cell.settings, shop.folder, shop.contexts)
    return is_likely_known(shop, cell, inputs, wants_engine=CONTAINER in choose_runners(shop, cell).values())


class Group:
    """Cells that are built by one buildx, which whoever comes first starts when all have come.

    It is meant for what the cache holds. Where more steps are run than there
    are jobs, or a build fails, or takes too long, it is given up: each cell is
    then built by itself, as if nothing had been.
    """

    def __init__(self, shop: Workshop, cells: Sequence[Cell]) -> None:
        """Wait for all of these."""
        self.cells = [cell.id for cell in cells]
        self._shop = shop
        self._missing = set(self.cells)
        self._orders: dict[str, _Order] = {}
        self._built: dict[str, Built] = {}
        self._over = False
        self._news = Condition()

    def leave(self, cell: Cell) -> None:
        """Keep nobody waiting for a cell."""
        with self._news:
            self._missing.discard(cell.id)
            self._news.notify_all()

    def build(self, cell: Cell, target: Target, traced: TracedBuild) -> Built | None:
        """Give what became of a cell when all are built; None when it is to be built by itself."""
        with self._news:
            is_first = not self._orders
            self._orders[cell.id] = _Order(cell, target, traced)
            self._missing.discard(cell.id)
            self._news.notify_all()
            while self._missing if is_first else not self._over:
                self._news.wait(_POLL_S)
                if self._shop.cancel.is_set():
                    raise CancelledError
        if is_first:
            try:
                self._built = self._build()
            finally:
                with self._news:
                    self._over = True
                    self._news.notify_all()
        if self._shop.cancel.is_set():
            raise CancelledError
        return self._built.get(cell.id)

    def _build(self) -> dict[str, Built]:
        shop, orders = self._shop, {f"cell{at}": order for at, order in enumerate(self._orders.values())}
        if len(orders) == 1:  # bake then names no target in its progress
            return {}
        sorter = Sorter()
        with ExitStack() as stack:
            folder = stack.enter_context(passing_folder(shop.store.folder))
            file, metadata = folder / "bake.json", folder / "metadata.json"
            targets = {name: (order.cell, order.target) for name, order in orders.items()}
            with disk_errors(folder):
                file.write_text(render_bake_file(targets, shop.builder, shop.name, shop.folder), encoding="utf-8")
            builds = {
                name: stack.enter_context(following(shop, order.cell, shop.run.cell(order.cell.id)))
                for name, order in orders.items()
            }

            def take(line: bytes) -> None:
                for name, part in sorter.sort(line):
                    if name in builds:
                        builds[name].take(part)

            ended = run_build(
                render_bake_argv(shop.engine.buildx_argv, shop.builder, file, metadata, list(orders)),
                on_progress=take,
                timeout_s=min(order.cell.settings.timeout.build_s for order in orders.values()),
                cancel=_Limit(shop.cancel, sorter, shop.jobs),
                environment={"TRACEPARENT": make_untraced_parent()},
            )
            if ended.code != 0:
                shop.emit(Event("group-parted", None, {"cells": self.cells}))
                return {}
            return {
                orders[name].cell.id: self._take(orders[name], builds[name], ended, told)
                for name, told in load_all_metadata(metadata).items()
            }

    def _take(self, order: _Order, build: Following, ended: Exit, told: BuildMetadata) -> Built:
        followed = replace(build.end(ended), wall_s=build.heard_s)
        order.traced.vertices, order.traced.platform = followed.progress.told, order.cell.settings.platform
        return take_built(self._shop, order.cell, followed, told, len(self._orders))


class _Order(NamedTuple):
    """What one cell of a group wants."""

    cell: Cell
    target: Target
    traced: TracedBuild


class _Limit:
    """Says when a group is given up."""

    def __init__(self, cancel: Signal, sorter: Sorter, most: int) -> None:
        self._cancel, self._sorter, self._most = cancel, sorter, most

    def is_set(self) -> bool:
        """Tell whether the run is cancelled, or more is being run than may be at once."""
        return self._cancel.is_set() or self._sorter.count_running(_MOMENT_S) > self._most
