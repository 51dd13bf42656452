"""Cells that are built together: nobody waits for one that does not come, and what goes wrong with all is nobody's failure."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator import together
from orchestrator.docker.build import Target
from orchestrator.docker.builder import Builder
from orchestrator.docker.process import Exit
from orchestrator.errors import EngineError
from orchestrator.known import KnownImage
from orchestrator.store import RunFolder
from orchestrator.together import GROUP, Group, find_groups
from orchestrator.workshop import CancelledError
from tests.unit.docker_fake import make_engine
from tests.unit.folders import make_files, plan_of
from tests.unit.records import make_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.building import Built
    from orchestrator.model import Cell

NOWHERE = Target(None, None)
LIKELY, OTHER = "sha256:0", "sha256:1"
SMOKE = "defaults: {smoke: [{run: [a]}]}\n"


class FakeGraph:
    """Checks in a cell's image, of which somebody wants no more when they are closed."""

    def __init__(self) -> None:
        """Begin neither started nor closed."""
        self.started = self.closed = 0

    def close(self) -> None:
        """Want no more of them."""
        self.closed += 1


class Stage:
    """A workshop, and what stands in the place of buildx and of the builder that tests images."""

    def __init__(self, folder: Path) -> None:
        """Have every image come out as it was expected."""
        self.cancel = Event()
        self.events: list[Any] = []
        self.made: dict[str, str] = {}  # another digest, by the name that a cell has in the bake; none where it fails
        self.refusal: EngineError | None = None
        self.rows: list[list[FakeGraph]] = []
        self.graphs: dict[str, FakeGraph] = {}
        self.on_open: Callable[[Cell], None] = lambda _: None
        self.on_start: Callable[[], None] = lambda: None
        self.shop: Any = SimpleNamespace(
            cancel=self.cancel,
            jobs=4,
            smoke=True,
            runner="graph",
            engine=make_engine(storage="", containerd_store=True),
            builder=Builder("b", "docker", None, exports_oci=True, did=""),
            name="m",
            folder=folder,
            store=SimpleNamespace(folder=folder / "images"),
            run=RunFolder(folder / "run"),
            emit=self.events.append,
            watch=lambda _: nullcontext(self.cancel),
        )

    def bake(self, argv: list[str], **_: object) -> Exit:
        """Stand in the place of run_build: say of each cell what its image is."""
        if self.refusal:
            raise self.refusal
        names = [word for word in argv if word.startswith("cell")]
        told = {name: {"containerimage.digest": digest} for name in names if (digest := self.made.get(name, LIKELY))}
        Path(argv[argv.index("--metadata-file") + 1]).write_text(json.dumps(told))
        return Exit(0 if len(told) == len(names) else 1)

    def open(self, _shop: object, cell: Cell, *_: object) -> FakeGraph:
        """Stand in the place of open_graph."""
        self.on_open(cell)
        return self.graphs.setdefault(cell.id, FakeGraph())

    def start(self, row: Sequence[tuple[FakeGraph, object]]) -> None:
        """Stand in the place of start_together."""
        self.on_start()
        self.rows.append([graph for graph, _ in row])
        for graph, _ in row:
            graph.started += 1

    def build(self, cells: Sequence[Cell], rows: int = 2) -> tuple[Group, dict[str, Built | None]]:
        """Build cells as a group, each from a thread of its own; give what became of each."""
        group = Group(self.shop, {cell.id: LIKELY for cell in cells}, rows)
        traced: Any = SimpleNamespace()
        with ThreadPoolExecutor(len(cells)) as pool:
            ends = [pool.submit(group.build, cell, NOWHERE, traced) for cell in cells]
            return group, {cell.id: end.result(timeout=10) for cell, end in zip(cells, ends, strict=True)}

    def parted(self) -> list[tuple[list[str], str | None]]:
        """Give the cells that were said to be built by themselves, and why."""
        return [(sorted(one.data["cells"]), one.data["reason"]) for one in self.events if one.kind == "group-parted"]


@pytest.fixture
def cells(tmp_path: Path) -> tuple[Cell, ...]:
    """Give three cells with a check."""
    return plan_of(f"axes: {{base: [a, b, c]}}\n{SMOKE}", make_files(tmp_path, "Dockerfile")).cells


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Put fakes in the place of all that would start something."""
    stage = Stage(tmp_path)
    known = KnownImage(make_image(1), (), {}, manifest="{}", config="{}")
    monkeypatch.setattr(together, "run_build", stage.bake)
    monkeypatch.setattr(together, "find_ways_on", lambda _: ())
    monkeypatch.setattr(together, "recall_image", lambda _: known)
    monkeypatch.setattr(together, "open_graph", stage.open)
    monkeypatch.setattr(together, "start_together", stage.start)
    return stage


def test_a_cell_that_is_left_over_is_built_by_itself(stage: Stage, cells: tuple[Cell, ...]) -> None:
    """Two of three have ended before they could be built; one may say so twice."""
    group = Group(stage.shop, {cell.id: LIKELY for cell in cells}, rows=2)
    untraced: Any = None  # nothing is built
    with ThreadPoolExecutor() as pool:
        left = pool.submit(group.build, cells[0], NOWHERE, untraced)
        for cell in (cells[1], cells[2], cells[2]):
            group.leave(cell)
        assert left.result(timeout=10) is None


def test_a_run_that_is_cancelled_lets_go_of_all_that_wait(stage: Stage, cells: tuple[Cell, ...]) -> None:
    """Whoever waits for the others, and whoever waits for the one that builds."""
    group = Group(stage.shop, {cell.id: LIKELY for cell in cells}, rows=2)
    untraced: Any = None  # as above
    with ThreadPoolExecutor() as pool:
        waits = [pool.submit(group.build, cell, NOWHERE, untraced) for cell in cells[:2]]
        stage.cancel.set()
        for wait in waits:
            with pytest.raises(CancelledError):
                wait.result(timeout=10)


def test_what_comes_out_as_expected_keeps_the_checks_that_were_begun(stage: Stage, cells: tuple[Cell, ...]) -> None:
    """In two rows, since so many are tested at once; each cell takes its own."""
    group, found = stage.build(cells)
    assert {cell: built and built.metadata.digest for cell, built in found.items()} == dict.fromkeys("abc", LIKELY)
    assert sorted(map(len, stage.rows)) == [1, 2]
    assert stage.parted() == []
    for cell in cells:
        graph: Any = group.take_graph(cell)
        assert graph is stage.graphs[cell.id]
        assert graph.closed == 0


def test_an_image_other_than_the_likely_one_has_its_checks_dropped(stage: Stage, cells: tuple[Cell, ...]) -> None:
    """What was found in the image that was expected is nobody's."""
    stage.made = {"cell0": OTHER}
    group, found = stage.build(cells)
    (changed,) = (cell for cell, built in found.items() if built and built.metadata.digest == OTHER)
    assert {cell: graph.closed for cell, graph in stage.graphs.items()} == {cell: int(cell == changed) for cell in "abc"}
    assert [group.take_graph(cell) is None for cell in cells] == [cell.id == changed for cell in cells]


def test_a_cell_that_the_bake_has_not_made_is_built_by_itself(stage: Stage, cells: tuple[Cell, ...]) -> None:
    """The others are what it made of them."""
    stage.made = {"cell1": ""}
    _, found = stage.build(cells)
    (missing,) = (cell for cell, built in found.items() if built is None)
    assert stage.parted() == [([missing], None)]
    assert stage.graphs[missing].closed == 1


@pytest.mark.parametrize("where", ["bake", "checks"])
def test_what_cannot_be_started_is_no_cells_failure(stage: Stage, cells: tuple[Cell, ...], where: str) -> None:
    """No memory for a process: each cell is built by itself, the first one too, and none has lost an attempt."""
    refusal = EngineError("buildx cannot be started: Cannot allocate memory")

    def refuse() -> None:
        if where == "checks" and stage.rows:
            raise refusal

    stage.refusal, stage.on_start = refusal if where == "bake" else None, refuse
    group, found = stage.build(cells)
    assert found == dict.fromkeys("abc")
    assert stage.parted() == [(["a", "b", "c"], str(refusal))]
    assert [graph.closed for graph in stage.graphs.values()] == [graph.started for graph in stage.graphs.values()]
    assert [group.take_graph(cell) for cell in cells] == [None, None, None]


def test_a_cell_may_leave_while_the_checks_are_begun(stage: Stage, cells: tuple[Cell, ...]) -> None:
    """A run that is cancelled just then neither stumbles over it nor leaves a build that nobody ends."""
    group = Group(stage.shop, {cell.id: LIKELY for cell in cells}, rows=1)

    def leave(cell: Cell) -> None:
        stage.cancel.set()
        group.leave(cell)

    stage.on_open = leave
    untraced: Any = SimpleNamespace()
    with ThreadPoolExecutor() as pool:
        ends = [pool.submit(group.build, cell, NOWHERE, untraced) for cell in cells]
        for end in ends:
            with pytest.raises(CancelledError):
                end.result(timeout=10)
    assert [(graph.started, graph.closed) for graph in stage.graphs.values()] == [(1, 1)] * 3


def test_rows_are_shared_out_among_platforms(stage: Stage, tmp_path: Path) -> None:
    """A build is for one platform; all of a group's together are no more than there are jobs, unless there are more platforms."""
    text = (
        "axes: {base: [a, b, c], platform: [linux/amd64, linux/arm64]}\ndefaults: {platform: '{platform}', smoke: [{run: [a]}]}\n"
    )
    cells = plan_of(text, make_files(tmp_path, "Dockerfile")).cells
    for rows, sizes in ((4, [1, 1, 2, 2]), (1, [3, 3])):
        stage.rows.clear()
        stage.build(cells, rows)
        assert sorted(map(len, stage.rows)) == sizes


@pytest.mark.parametrize(("count", "grouped", "rows"), [(3, 3, 4), (GROUP + 1, GROUP, 4), (GROUP + 2, GROUP + 2, 2)])
def test_half_the_jobs_test_where_another_group_is_built_meanwhile(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, grouped: int, rows: int
) -> None:
    """A cell that is left over is no group."""
    cells = plan_of(f"axes: {{base: [{', '.join(f'b{at}' for at in range(count))}]}}\n", make_files(tmp_path, "Dockerfile")).cells
    made: list[int] = []

    class Counting(Group):
        """Remembers in how many rows it tests."""

        def __init__(self, shop: Any, likely: Any, rows: int) -> None:
            made.append(rows)
            super().__init__(shop, likely, rows)

    monkeypatch.setattr(together, "_find_likely", lambda *_: LIKELY)
    monkeypatch.setattr(together, "Group", Counting)
    assert len(find_groups(stage.shop, cells)) == grouped
    assert set(made) == {rows}


def test_cells_of_several_pods_are_in_no_group(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bake sends all of them to one pod, whichever has built them."""
    cells = plan_of("axes: {base: [a, b]}\n", make_files(tmp_path, "Dockerfile")).cells
    monkeypatch.setattr(together, "_find_likely", lambda *_: LIKELY)
    assert len(find_groups(stage.shop, cells)) == 2
    stage.shop.builder = replace(stage.shop.builder, driver="kubernetes", pods="sticky")
    assert find_groups(stage.shop, cells) == {}
