"""Two runs side by side: cells, times and sizes that differ beyond chance, machines that may be compared, and how it reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.judge.attribution import attribute
from orchestrator.judge.compare import compare_runs
from orchestrator.judge.surroundings import differing
from orchestrator.model import Status
from orchestrator.record import Environment, Shard
from orchestrator.report.compare import render_comparison
from orchestrator.units import UNKNOWN
from tests.unit.golden import assert_golden
from tests.unit.pairs import (
    INPUTS,
    MACHINE,
    digest,
    make_cell,
    make_image,
    make_run,
    with_dockerfile_line,
    with_moved_base,
    with_newer_package,
)
from tests.unit.records import HOSTILE, make_hostile_record, make_record

if TYPE_CHECKING:
    from orchestrator.judge.differences import Comparison
    from orchestrator.record import RunRecord


def test_what_changed_without_a_difference_is_named_once() -> None:
    """A version of the same size, or a file that nobody copies, is no difference, and is not passed over in silence."""
    old = make_cell("slim")
    changed = replace(old, inputs=replace(old.inputs, context_digest="sha256:other"))
    found = compare_runs(make_run(old), make_run(changed, day=1))
    assert (found.cells[0].differs, found.cells[0].unfelt) == (False, ("the build context changed",))
    for kind in ("table", "markdown"):
        text = render_comparison(found, kind, 200)
        assert "The build context changed, without a difference beyond noise, in slim" in text


def test_cells_that_came_went_or_ended_otherwise_are_told() -> None:
    """An outcome is a difference even where no figure is."""
    failed = replace(make_cell(), status=Status.BUILD_FAILED, as_expected=False, reason="no wheel", image=None, build=None)
    failed = replace(failed, inputs=replace(INPUTS, requirements_digest=digest("f"), base=()))
    comparison = compare_runs(make_run(make_cell(), make_cell("gone")), make_run(failed, make_cell("new"), day=1))
    assert [cell.id for cell in comparison.added] == ["new-3.13"]
    assert [cell.id for cell in comparison.removed] == ["gone-3.13"]
    (change,) = comparison.cells
    assert change.outcome_changed
    assert change.reason == "no wheel"
    assert [cause.kind for cause in change.causes] == ["requirements"]
    assert [cause.title for cause in attribute(failed, failed)] == ["nothing that is recorded changed"]


def test_cells_that_a_run_was_not_asked_for_neither_came_nor_went() -> None:
    """They are counted as that, one by one they are of no interest; two runs of one selection are held against each other."""
    whole, some = make_run(make_cell(), make_cell("other")), replace(make_run(make_cell(), day=1), only=("base=slim",))
    for old, new, side in ((whole, some, "new"), (some, whole, "old")):
        found = compare_runs(old, new)
        assert (found.added, found.removed, [cell.id for cell in found.not_asked]) == ((), (), ["other-3.13"])
        text = render_comparison(found, "table", 200)
        assert "0 of 1 cell differs by more than noise, 1 not asked for.\n" in text
        assert "other-3.13" not in text
        assert f"The {side} run was made with --only, --skip or --shard: cells that it lacks were not asked for.\n" in text
    part = replace(some, only=(), shard=Shard(1, 2, (some.cells[0].id,)))
    assert [cell.id for cell in compare_runs(whole, part).not_asked] == ["other-3.13"]
    found = compare_runs(replace(whole, only=("x",)), replace(some, only=("x",)))
    assert [cell.id for cell in found.removed] == ["other-3.13"]
    assert "not asked for" not in render_comparison(found, "table", 200)


def timed(*, old: float | None = 40.0, new: float | None = 40.0, noise: float | None = 0.05) -> tuple[RunRecord, RunRecord]:
    """Make two measured runs."""
    return make_run(make_cell(median_s=old), noise=noise), make_run(make_cell(median_s=new), day=1, noise=0.02)


def test_times_count_beyond_the_noise_of_both_runs_only() -> None:
    """5 % of chance in one run hides 4 % of difference; shared times are never compared."""
    (slower,) = compare_runs(*timed(new=50.0)).cells
    assert [(time.metric, time.amount, time.is_real) for time in slower.times] == [("cold", 10.0, True)]
    assert [cause.title for cause in slower.causes] == ["nothing that is recorded changed"]
    (same,) = compare_runs(*timed(new=41.5)).cells
    assert [time.is_real for time in same.times] == [False]
    (unknown,) = compare_runs(*timed(new=90.0, noise=None)).cells
    assert [(time.is_real, time.note) for time in unknown.times] == [(None, "the noise is not known")]
    comparison = compare_runs(*timed(new=None))
    assert comparison.cells[0].times == ()
    assert comparison.notes == ("times are not compared: both runs need isolated ones (`matrix run --measure 7`)",)


def test_times_whose_samples_lie_farther_apart_than_that_do_not_count() -> None:
    """Half of these builds took ten seconds more or less than the others."""
    old, new = timed(new=50.0)
    build = new.cells[0].build
    assert build is not None
    restless = replace(build, scenarios=tuple(replace(one, spread_s=20.0) for one in build.scenarios))
    (cell,) = compare_runs(old, replace(new, cells=(replace(new.cells[0], build=restless),))).cells
    assert [time.is_real for time in cell.times] == [False]


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -1.0])
def test_what_is_no_time_is_not_compared(broken: float) -> None:
    """A damaged record has anything in place of a figure."""
    assert compare_runs(*timed(new=broken)).cells[0].times == ()
    assert [time.is_real for time in compare_runs(*timed(new=90.0, noise=broken)).cells[0].times] == [None]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cpu": "B CPU"}, "cpu: A CPU → B CPU"),
        ({"cpu": None}, "cpu: A CPU → not known"),
        ({"cpus": 4}, "CPUs: 2 → 4"),
        ({"memory_bytes": 16_000_000_000}, "memory: 8000.0 MB → 16000.0 MB"),
        ({"builder_limits": {"memory": "2g", "cpu-period": "1"}}, "builder limits: none → cpu-period=1, memory=2g"),
        ({"tool": "0.2.0"}, "matrix: 0.1.0 → 0.2.0"),
        ({"storage": "overlay2"}, "image store: containerd → overlay2"),
    ],
)
def test_times_of_unlike_machines_are_refused_by_the_field_that_differs(change: dict[str, object], words: str) -> None:
    """--force compares them all the same, and says that it did; sizes are compared in any case."""
    old, new = timed(new=80.0)
    new = replace(new, environment=replace(MACHINE, **change))
    refused = compare_runs(old, new)
    assert refused.times_refused == (words,)
    assert refused.cells[0].times == ()
    assert [size.is_real for size in refused.cells[0].sizes] == [False, False]
    forced = compare_runs(old, new, force=True)
    assert forced.times_refused == ()
    assert [time.is_real for time in forced.cells[0].times] == [True]
    assert [cause.kind for cause in forced.cells[0].causes] == ["environment"]
    assert any(note.startswith("times are compared by force") for note in forced.notes)


def test_machines_are_alike_in_what_does_not_matter() -> None:
    """The builder's name, matrix's own Python and a few pages of memory change no time."""
    other = replace(MACHINE, builder="x", python="3.14", memory_bytes=7_900_000_000)
    assert differing(MACHINE, other) == ()
    assert differing(Environment(), Environment()) == ()
    one, two = Environment(endpoints=("tcp://a:1", "tcp://b:1")), Environment(endpoints=("tcp://c:1",))
    assert differing(one, two) == ("builder: tcp://a:1 and tcp://b:1 → tcp://c:1",), "of such machines nothing else is known"


def test_estimates_are_shown_and_decide_nothing() -> None:
    """A classic image store has no compressed layers; the unpacked size means the same everywhere."""
    new = make_cell()
    assert new.image
    new = replace(new, image=replace(new.image, compressed_estimated=True, compressed_bytes=99_000_000))
    comparison = compare_runs(make_run(), make_run(new))
    packed, unpacked = comparison.cells[0].sizes
    assert (packed.is_real, unpacked.is_real) == (None, False)
    assert not comparison.cells[0].differs
    assert comparison.notes[0].startswith("one run's compressed sizes are estimates")


def sizes_shown(old: int | None, new: int | None, *, estimated: tuple[bool, bool]) -> list[str]:
    """Give how the compressed size of a cell whose unpacked one has changed is shown, and its change."""
    before, after = (
        replace(make_image(), compressed_bytes=size, compressed_estimated=is_estimate)
        for size, is_estimate in zip((old, new), estimated, strict=True)
    )
    after = replace(after, uncompressed_bytes=1)
    cells = [replace(make_cell("x"), image=image) for image in (before, after)]
    text = render_comparison(compare_runs(make_run(cells[0]), make_run(cells[1], day=1)), "markdown", 200)
    (row,) = [line for line in text.splitlines() if line.startswith("| x-3.13")]
    return [part.strip().replace("\\", "") for part in row.split("|")][3:5]


def test_estimates_are_marked_and_nothing_else_is() -> None:
    """What is not known has no figure to mark."""
    assert sizes_shown(20_000_000, 30_000_000, estimated=(False, False)) == ["30.0", "+10.0 (+50.0%)"]
    assert sizes_shown(20_000_000, 30_000_000, estimated=(True, True)) == ["~30.0", "~+10.0 (+50.0%)"]
    assert sizes_shown(20_000_000, 30_000_000, estimated=(True, False)) == ["30.0", "~+10.0 (+50.0%)"]
    assert sizes_shown(None, 5_000_000, estimated=(False, False)) == ["5.0", UNKNOWN]
    assert sizes_shown(5_000_000, None, estimated=(False, False)) == [UNKNOWN, UNKNOWN]


def all_kinds() -> Comparison:
    """Compare two runs with every kind of difference."""
    names = ("slim", "package", "line", "same", "fails", "gone")
    old = make_run(*(make_cell(name, median_s=40.0) for name in names), noise=0.05)
    failed = replace(make_cell("fails"), status=Status.SMOKE_FAILED, as_expected=False, reason="import grpc: exit 139", build=None)
    cells = (
        with_moved_base(make_cell("slim", median_s=40.5)),
        with_newer_package(make_cell("package", median_s=52.0)),
        with_dockerfile_line(make_cell("line", median_s=40.0)),
        make_cell("same", median_s=39.5),
        replace(failed, inputs=replace(INPUTS, args={"BASE_IMAGE": "other"})),
        make_cell("new", median_s=41.0),
    )
    return compare_runs(old, make_run(*cells, day=1, noise=0.05))


@pytest.mark.parametrize(
    ("name", "kind", "width"),
    [
        ("wide.txt", "table", 200),
        ("80.txt", "table", 80),
        ("40.txt", "table", 40),
        ("md.md", "markdown", 80),
        ("json.json", "json", 80),
    ],
)
def test_a_comparison_reads_as_it_always_did(name: str, kind: str, width: int) -> None:
    """What people and machines read is kept word for word, and no line is wider than the terminal."""
    text = render_comparison(all_kinds(), kind, width)
    if kind == "table":
        assert max(map(len, text.splitlines())) <= width
    if kind == "json":
        assert json.loads(text)["cells"][0]["causes"][0]["kind"] == "base"
    assert_golden(f"compare-{name}", text)


def test_runs_of_anything_can_be_compared() -> None:
    """Empty runs, runs with every status, and hostile texts: nothing breaks, and nothing reaches a terminal alive."""
    hostile = make_hostile_record()
    renamed = replace(hostile, cells=tuple(replace(cell, status=Status.TIMEOUT, reason=HOSTILE) for cell in hostile.cells))
    empty = make_run()
    empty = replace(empty, cells=(), complete=False, only=("x",))
    for old, new in ((make_record(), hostile), (hostile, renamed), (empty, empty), (make_record(), make_record())):
        for kind in ("table", "markdown", "json"):
            text = render_comparison(compare_runs(old, new, force=True), kind, 80)
            assert not {"\x1b", "\u202e"} & set(text)
            assert "<script>" not in text or kind != "markdown"
    assert "0 of 0 cells differ" in render_comparison(compare_runs(empty, empty), "table", 80)
