"""What the bench measures unless it is told otherwise: cases, contenders, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bench.fit import FITTED_ON
from bench.nouns import (
    ALONE,
    BAKE,
    BARE,
    CARRIED,
    IN_CONTAINER,
    IN_ENGINE,
    IN_GRAPH,
    MATRIX,
    NOTHING_KEPT,
    PARALLEL,
    SERIAL,
    STATES,
    WITHOUT_SMOKE,
    WITHOUT_TRACE,
    Case,
)
from bench.projects import REAL_CELLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COLD, _OWN, _UNCHANGED, _FAILING = STATES
_REAL = (MATRIX, WITHOUT_SMOKE, BAKE, NOTHING_KEPT)
PROJECTS = ("tiny", "large", "real")


class Item(Struct, frozen=True):
    """One case, who takes part, and how many samples each gives."""

    case: Case
    contenders: tuple[str, ...]
    rounds: int
    usual: bool


def make_agenda(*, has_builder_image: bool) -> Iterator[Item]:
    """Give all cases; those that are not usual are measured when they are asked for."""

    def item(project: str, cells: int, state: str, contenders: tuple[str, ...], rounds: int, *, usual: bool = True) -> Item:
        return Item(Case(project, cells, IN_ENGINE, state), contenders, rounds, usual)

    both = (MATRIX, BAKE)
    ours = {_COLD: (MATRIX, IN_GRAPH, WITHOUT_SMOKE), _UNCHANGED: (MATRIX, IN_GRAPH, CARRIED, WITHOUT_SMOKE, WITHOUT_TRACE)}
    bare = {_COLD: (), _UNCHANGED: (BARE,)}  # of bake's images, which are there when nothing has changed
    # One state after the other: the model is fitted to some of its cases, and held against others.
    for state in (_COLD, _UNCHANGED):
        yield item("tiny", 1, state, both, 3)
        if state == _COLD:  # what has not changed is built in groups, which the model knows nothing of
            yield item("tiny", FITTED_ON, state, (MATRIX, ALONE), 3)
        yield item("tiny", 36, state, both, 1)
        yield item("tiny", 100, state, (MATRIX, IN_GRAPH, WITHOUT_SMOKE, BAKE, *bare[state]), 1)
        yield item("tiny", 12, state, (*ours[state], BAKE, PARALLEL, SERIAL, *bare[state]), 3)
    yield item("large", 12, _UNCHANGED, (MATRIX, IN_GRAPH, CARRIED, BAKE, PARALLEL, BARE), 3)
    yield from _in_a_container() if has_builder_image else ()
    for state in (_OWN, _FAILING):
        yield item("tiny", 12, state, both, 1)
    yield item("real", REAL_CELLS, _COLD, _REAL, 1)
    for state in (_OWN, _FAILING):
        yield item("tiny", 1, state, both, 3, usual=False)
        for cells in (36, 100):
            yield item("tiny", cells, state, both, 1, usual=False)
    for state in (_COLD, _OWN, _FAILING):
        yield item("large", 12, state, (*both, PARALLEL, SERIAL), 1, usual=False)
    yield item("real", REAL_CELLS, _OWN, both, 1, usual=False)
    yield item("real", REAL_CELLS, _UNCHANGED, (MATRIX, CARRIED, BAKE), 1, usual=False)


def _in_a_container() -> Iterator[Item]:
    """Give what is measured with a builder in a container, where bake has to bring each image into the engine."""
    yield Item(Case("large", 12, IN_CONTAINER, _UNCHANGED), (MATRIX, CARRIED, BAKE), 3, usual=True)
    for state in (_COLD, _UNCHANGED):
        yield Item(Case("tiny", 12, IN_CONTAINER, state), (MATRIX, WITHOUT_SMOKE, BAKE), 3, usual=True)
    yield Item(Case("real", REAL_CELLS, IN_CONTAINER, _COLD), _REAL, 1, usual=True)


def choose(
    agenda: Sequence[Item],
    projects: Sequence[str],
    cells: Sequence[int],
    states: Sequence[str],
    drivers: Sequence[str],
    rounds: int | None,
) -> list[Item]:
    """Keep what was asked for; without any wish, what is usual."""
    wants_usual = not (projects or cells or states or drivers)
    return [
        replace(item, rounds=rounds or item.rounds)
        for item in agenda
        if (item.usual or not wants_usual)
        and (not projects or item.case.project in projects)
        and (not cells or item.case.cells in cells)
        and (not states or item.case.state in states)
        and (not drivers or item.case.driver in drivers)
    ]
