"""Cells of which nothing has changed, asked for with one buildx: to start one takes longer than such a build."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from threading import Condition
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from orchestrator.building import following, take_built
from orchestrator.disk import disk_errors, passing_folder
from orchestrator.docker.bake import (
    Sorter,
    find_ways_on,
    load_all_metadata,
    make_untraced_parent,
    render_bake_argv,
    render_bake_file,
)
from orchestrator.docker.build import run_build
from orchestrator.docker.graph import start_together
from orchestrator.errors import EngineError
from orchestrator.events import Event
from orchestrator.inputs import read_inputs
from orchestrator.known import recall_image
from orchestrator.measuring import choose_runners, find_likely, make_caller, open_graph
from orchestrator.places import is_remote
from orchestrator.smoke.choose import CONTAINER, GRAPH
from orchestrator.smoke.run import foresee_steps
from orchestrator.workshop import CancelledError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.building import Built, Following
    from orchestrator.docker.build import BuildMetadata, Target
    from orchestrator.docker.graph import Graph
    from orchestrator.docker.process import Exit, Signal
    from orchestrator.model import Cell
    from orchestrator.tracing.collect import TracedBuild
    from orchestrator.workshop import Workshop

GROUP = 32  # cells in one buildx: the first can be tested when the last has been built
_POLL_S = 0.1
_MOMENT_S = 1.0  # until the cache has said that it holds a step


def find_groups(shop: Workshop, cells: Sequence[Cell]) -> dict[str, Group]:
    """Put cells of which nothing is likely to have changed into groups; give each such cell's.

    With one job nothing goes on beside a build, so none has a group. Nor has any where
    there are several pods: bake sends all to one, which may not be where they were built.
    """
    can_group = shop.jobs > 1 and shop.engine.can_bake and not shop.builder.pods
    found = [(cell.id, _find_likely(shop, cell)) for cell in cells if _is_plain(cell)] if can_group else []
    known = [(cell, digest) for cell, digest in found if digest]
    pieces = [dict(known[at : at + GROUP]) for at in range(0, len(known), GROUP)]
    together = [piece for piece in pieces if len(piece) > 1]
    rows = shop.jobs if len(together) == 1 else max(1, shop.jobs // 2)  # the next group is built while one is tested
    groups = [Group(shop, likely, rows) for likely in together]
    return {cell: group for group in groups for cell in group.cells}


def _is_plain(cell: Cell) -> bool:
    """Tell whether a cell's build reads nothing but files of this machine, and leaves nothing but an image here."""
    settings = cell.settings
    return not (is_remote(settings.context) or settings.secret_args or settings.cache_from or settings.cache_to or settings.push)


def _find_likely(shop: Workshop, cell: Cell) -> str | None:
    """Give the digest of the image that a cell had the last time, if it is known and need not leave the builder."""
    inputs = read_inputs(cell.settings, shop.folder, shop.contexts)
    return find_likely(shop, cell, inputs, wants_engine=CONTAINER in choose_runners(shop, cell).values())


class Group:
    """Cells that are built by one buildx, which whoever comes first starts when all have come.

    It is meant for what the cache holds. Where more steps are run than there
    are jobs, or a build fails, takes too long, or cannot be started, it is given
    up: each cell is then built by itself, as if nothing had been. A bake that can
    go on when one fails leaves that one only.
    """

    def __init__(self, shop: Workshop, likely: Mapping[str, str], rows: int) -> None:
        """Wait for all of these cells, each with the digest that its image is likely to have; test so many at once."""
        self.cells = list(likely)
        self._likely = likely
        self._rows = rows
        self._shop = shop
        self._missing = set(self.cells)
        self._orders: dict[str, _Order] = {}
        self._built: dict[str, Built] = {}
        self._graphs: dict[str, Graph] = {}
        self._over = False
        self._news = Condition()

    def leave(self, cell: Cell) -> None:
        """Keep nobody waiting for a cell, nor the builder testing it."""
        with self._news:
            self._missing.discard(cell.id)
            self._news.notify_all()
        if graph := self.take_graph(cell):
            graph.close()

    def wait_for_turn(self, cell: Cell) -> None:
        """Wait until the builder comes to a cell's checks, where it has begun with those of all."""
        if graph := self._graphs.get(cell.id):
            graph.wait_for_turn()

    def take_graph(self, cell: Cell) -> Graph | None:
        """Give a cell's graph, where the builder has begun with the checks of all."""
        return self._graphs.pop(cell.id, None)

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
                if len(self._orders) > 1:  # of one alone bake names no target in its progress
                    self._begin_checks()
                    self._built = self._build()
            except EngineError as error:
                self._part(list(self._orders), str(error))
            finally:
                self._drop_checks()
                with self._news:
                    self._over = True
                    self._news.notify_all()
        if self._shop.cancel.is_set():
            raise CancelledError
        return self._built.get(cell.id)

    def _build(self) -> dict[str, Built]:
        shop, orders = self._shop, {f"cell{at}": order for at, order in enumerate(self._orders.values())}
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

            with shop.watch(next(iter(orders.values())).cell.settings.platform) as cancel:
                ended = run_build(
                    render_bake_argv(
                        shop.engine.buildx_argv, shop.builder, file, metadata, list(orders), find_ways_on(shop.engine)
                    ),
                    on_progress=take,
                    timeout_s=min(order.cell.settings.timeout.build_s for order in orders.values()),
                    cancel=_Limit(cancel, sorter, shop.jobs),
                    environment={"TRACEPARENT": make_untraced_parent()},
                )
            told = load_all_metadata(metadata)
            left = [order.cell.id for name, order in orders.items() if name not in told]
            if left and not shop.cancel.is_set():
                self._part(left)
            return {
                order.cell.id: self._take(order, builds[name], ended, told[name]) for name, order in orders.items() if name in told
            }

    def _part(self, cells: list[str], reason: str | None = None) -> None:
        """Say which cells are to be built by themselves, and why where no build tells it."""
        self._shop.emit(Event("group-parted", None, {"cells": cells, "reason": reason}))

    def _begin_checks(self) -> None:
        """Let the builder test the likely images beside: the cells of each row one after another, in one build."""
        shop, ready = self._shop, defaultdict(list)
        for cell, target, _ in self._orders.values():
            runners = choose_runners(shop, cell)
            checks = [check for check in cell.settings.smoke if runners.get(check) == GRAPH]
            known = recall_image(self._likely[cell.id]) if checks else None
            if known and known.manifest and (steps := foresee_steps(make_caller(shop, cell, known), checks)):
                ready[cell.settings.platform].append((cell.id, open_graph(shop, cell, target, known), steps))
        for alike in ready.values():
            rows = max(1, self._rows // len(ready))
            for row in (alike[at::rows] for at in range(min(rows, len(alike)))):
                start_together([(graph, steps) for _, graph, steps in row])
                self._graphs.update({cell_id: graph for cell_id, graph, _ in row})  # what is not started has nothing to be closed

    def _drop_checks(self) -> None:
        """End the checks of images that are not what became of the cells, and all where a cell may have left before they began."""
        for cell_id in [*self._graphs]:
            built = self._built.get(cell_id)
            is_likely = built is not None and built.metadata.digest == self._likely[cell_id]
            is_wanted = is_likely and not self._shop.cancel.is_set()
            if not is_wanted and (graph := self._graphs.pop(cell_id, None)):
                graph.close()

    def _take(self, order: _Order, build: Following, ended: Exit, told: BuildMetadata) -> Built:
        followed = replace(build.end(ended), wall_s=build.heard_s)
        order.traced.vertices = followed.progress.told
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
