"""Two runs in which one thing was changed: what differs is charged to it, and to nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.inside import Packages
from orchestrator.judge.attribution import attribute
from orchestrator.judge.compare import compare_runs
from orchestrator.judge.surroundings import differing
from orchestrator.measure.image import base_layers_of
from orchestrator.model import Status
from orchestrator.record import Base, Environment
from orchestrator.report.compare import render_comparison
from tests.unit.golden import assert_golden
from tests.unit.pairs import (
    BASE_LAYERS,
    INPUTS,
    MACHINE,
    OS,
    OWN_LAYERS,
    PYTHON,
    SLIM,
    digest,
    heavier,
    make_cell,
    make_image,
    make_run,
    rebuilt,
    with_dockerfile_line,
    with_moved_base,
    with_newer_package,
)
from tests.unit.records import HOSTILE, make_hostile_record, make_record

if TYPE_CHECKING:
    from orchestrator.judge.differences import CellChange, Comparison
    from orchestrator.record import CellRecord, RunRecord


def only_change(old: CellRecord, new: CellRecord) -> CellChange:
    """Compare two records of a cell."""
    (cell,) = compare_runs(make_run(old), make_run(new, day=1)).cells
    return cell


def charges(old: CellRecord, new: CellRecord) -> list[tuple[str, int | None]]:
    """Give what the difference is charged to."""
    return [(cause.kind, cause.bytes) for cause in only_change(old, new).causes]


def test_nothing_changed_and_nothing_is_accused() -> None:
    """Building the same anew gives other digests and a few bytes more or less, which is no difference."""
    again = replace(make_cell(), image=make_image(own=rebuilt(OWN_LAYERS)))
    for cell in (make_cell(), again):
        change = only_change(make_cell(), cell)
        assert not change.differs
        assert change.causes == ()


def test_what_changed_without_a_difference_is_named_once() -> None:
    """A version of the same size, or a file that nobody copies, is no difference, and is not passed over in silence."""
    old = make_cell("slim")
    changed = replace(old, inputs=replace(old.inputs, context_digest="sha256:other"))
    found = compare_runs(make_run(old), make_run(changed, day=1))
    assert (found.cells[0].differs, found.cells[0].unfelt) == (False, ("the build context changed",))
    for kind in ("table", "markdown"):
        text = render_comparison(found, kind, 200)
        assert "The build context changed, without a difference beyond noise, in slim" in text


def test_a_moved_base_is_charged_with_all_of_it() -> None:
    """What the base brought, and what was built anew on it, is the base's; its packages are named and not counted twice."""
    (cause,) = only_change(make_cell(), with_moved_base(make_cell())).causes
    assert (cause.kind, cause.title, cause.bytes) == ("base", f"the base moved: {SLIM}", 1_390_000 - 3 * 17)
    assert cause.evidence[:3] == (
        f"{SLIM}: sha256:000000000000 → sha256:999999999999",
        "2 of its 3 layers are others (of 3 before)",
        "0.430 MB compressed".replace("0.430", "+0.430"),
    )
    assert cause.evidence[-1] == "in it: libc6 2.41-12 → 2.41-13, pip 25.2 → 25.3"


def test_a_package_of_another_version_is_charged_with_its_bytes() -> None:
    """Nothing else changed, so nothing else is named."""
    (cause,) = only_change(make_cell(), with_newer_package(make_cell())).causes
    assert (cause.kind, cause.title, cause.bytes) == ("packages", "the package grpcio 1.66.0 → 1.67.1", 2_900_000)
    assert cause.evidence == ("grpcio 1.66.0 → 1.67.1: +2.9 MB",)


def test_a_line_of_the_dockerfile_is_charged_with_what_it_added() -> None:
    """The layer that it made is the evidence."""
    (cause,) = only_change(make_cell(), with_dockerfile_line(make_cell())).causes
    assert (cause.kind, cause.title, cause.bytes) == ("dockerfile", "the Dockerfile changed", 8_000_000)
    assert cause.evidence[-1] == "+8.0 MB: RUN curl -o /opt/agent.jar https://example.org/agent.jar (new)"


def test_what_changed_together_is_charged_apart_as_far_as_bytes_can_tell() -> None:
    """Base and package are weighed; a Dockerfile and a context that share the rest are charged together."""
    old = make_cell()
    moved = with_moved_base(old)
    assert moved.image
    both = replace(
        moved,
        image=replace(
            make_image(moved.image.layers[:3], (OWN_LAYERS[0], heavier(OWN_LAYERS[1], "b", 0, 2_900_000), OWN_LAYERS[2])),
            packages=Packages(OS, (replace(PYTHON[0], version="1.67.1", bytes=17_000_000), *PYTHON[1:])),
        ),
    )
    assert charges(old, both) == [("base", 1_390_000), ("packages", 2_900_000)]
    line = with_dockerfile_line(old)
    context = replace(line, inputs=replace(line.inputs, context_digest=digest("f")))
    assert charges(old, context) == [("dockerfile", None), ("context", None), ("inputs", 8_000_000)]


def test_a_change_without_a_record_of_it_is_unexplained() -> None:
    """It is said, with the layers that weigh otherwise, and nobody is accused."""
    grown = replace(make_cell(), image=make_image(own=(OWN_LAYERS[0], heavier(OWN_LAYERS[1], "b", 1, 700_000), OWN_LAYERS[2])))
    (cause,) = only_change(make_cell(), grown).causes
    assert (cause.kind, cause.bytes) == ("unexplained", 700_000)
    assert cause.evidence == ("+0.700 MB: COPY /venv /venv",)
    tool = replace(make_run(grown), environment=replace(MACHINE, buildkit="v0.26"))
    (cell,) = compare_runs(make_run(), tool).cells
    assert [(cause.kind, cause.bytes) for cause in cell.causes] == [("environment", 700_000)]


@pytest.mark.parametrize(
    ("inputs", "kind", "title"),
    [
        (replace(INPUTS, context_digest=digest("f")), "context", "the build context changed"),
        (replace(INPUTS, requirements_digest=digest("f")), "requirements", "the requirements file changed"),
        (replace(INPUTS, args={"BASE_IMAGE": "x", "MORE": "1"}), "args", "build arguments changed: BASE_IMAGE, MORE"),
        (replace(INPUTS, options={"target": "x"}), "options", "settings of the build changed: target"),
    ],
)
def test_the_one_input_that_changed_is_charged_with_the_rest(inputs: object, kind: str, title: str) -> None:
    """Bytes that neither the base nor a package accounts for are its own."""
    grown = replace(
        make_cell(),
        image=make_image(own=(*OWN_LAYERS[:2], heavier(OWN_LAYERS[2], "b", 1, 700_000))),
        inputs=inputs,  # type: ignore[arg-type]  # given as parameters
    )
    (cause,) = only_change(make_cell(), grown).causes
    assert (cause.kind, cause.title, cause.bytes) == (kind, title, 700_000)


def test_an_input_that_is_not_known_is_not_accused() -> None:
    """Old runs have no digest of their context: it may have changed, and nobody knows."""
    old = replace(make_cell(), inputs=replace(INPUTS, context_digest=None, args=None, options=None))
    new = replace(with_newer_package(make_cell()), inputs=replace(INPUTS, context_digest=digest("f")))
    assert charges(old, new) == [("packages", 2_900_000)]


def test_old_runs_without_the_newer_fields_are_charged_as_far_as_they_tell() -> None:
    """The base's layers follow from what lies over it; packages of a moved base are the base's where their layer is not known."""
    old, new = make_cell(), with_moved_base(make_cell())
    stripped = []
    for cell in (old, new):
        assert cell.image
        assert cell.image.packages
        packages = Packages(
            *(tuple(replace(one, layer=None) for one in group) for group in (cell.image.packages.os, cell.image.packages.python))
        )
        stripped.append(replace(cell, image=replace(cell.image, base_layers=None, packages=packages)))
    assert charges(*stripped) == [("base", 1_390_000 - 3 * 17)]
    assert stripped[0].image
    assert base_layers_of(stripped[0].image) == 3
    assert base_layers_of(replace(stripped[0].image, over_base_bytes=1)) is None
    assert base_layers_of(replace(stripped[0].image, over_base_bytes=None)) is None
    blind = [replace(cell, image=replace(cell.image, over_base_bytes=None)) for cell in stripped if cell.image]
    assert charges(*blind) == [("base", 1_390_000 - 3 * 17)]


def test_packages_without_bytes_take_the_rest_when_nothing_else_can_have() -> None:
    """An image whose packages own no lists still has packages of other versions."""
    old = make_cell()
    assert old.image
    image = make_image(own=(OWN_LAYERS[0], heavier(OWN_LAYERS[1], "b", 1, 700_000), OWN_LAYERS[2]))
    python = (replace(PYTHON[0], version="2", bytes=None), *PYTHON[1:])
    new = replace(old, image=replace(image, packages=Packages(OS, python)))
    assert charges(old, new) == [("packages", 700_000)]
    (cause,) = only_change(old, new).causes
    assert cause.evidence == ("grpcio 1.66.0 → 2: its bytes are not known",)


@pytest.mark.parametrize(("around", "kinds"), [(100_000, ["packages"]), (900_000, ["packages", "unexplained"])])
def test_what_lies_around_a_packages_files_is_its_own(around: int, kinds: list[str]) -> None:
    """Headers and padding of an archive are counted, and folders and caches that no list names are a little more; not a lot."""
    old = make_cell()
    assert old.image
    image = make_image(own=(OWN_LAYERS[0], heavier(OWN_LAYERS[1], "b", 1, 2_000_000 + around), OWN_LAYERS[2]))
    stored = [
        replace(PYTHON[0], stored_bytes=15_000_000),
        replace(PYTHON[0], version="2", bytes=14_200_000, stored_bytes=17_000_000),
    ]
    olds, news = (Packages(OS, (package, *PYTHON[1:])) for package in stored)
    causes = only_change(
        replace(old, image=replace(old.image, packages=olds)), replace(old, image=replace(image, packages=news))
    ).causes
    assert [cause.kind for cause in causes] == kinds
    assert sum(cause.bytes or 0 for cause in causes) == 2_000_000 + around


def test_a_package_that_is_compiled_now_is_another_package() -> None:
    """The same version from a source archive is larger, and that is said; an origin that is not known is no change."""
    image = make_image(own=(OWN_LAYERS[0], heavier(OWN_LAYERS[1], "b", 1, 9_000_000), OWN_LAYERS[2]))
    compiled = (replace(PYTHON[0], built_from="sdist", bytes=23_100_000), replace(PYTHON[1], built_from=None), PYTHON[2])
    new = replace(make_cell(), image=replace(image, packages=Packages(OS, compiled)))
    (cause,) = only_change(make_cell(), new).causes
    assert (cause.title, cause.bytes) == ("the package grpcio 1.66.0 from wheel → sdist", 9_000_000)


def test_another_base_is_no_moved_one() -> None:
    """A Dockerfile that names another tag changes the base, and the rest is the Dockerfile's."""
    base = (heavier(BASE_LAYERS[0], "b", 0, 5_000_000), *BASE_LAYERS[1:])
    inputs = replace(INPUTS, base=(Base("docker.io/library/python:3.13", digest("8")),), dockerfile_digest=digest("f"))
    new = replace(make_cell(), image=make_image(base), inputs=inputs)
    causes = only_change(make_cell(), new).causes
    assert [(cause.kind, cause.bytes) for cause in causes] == [("base", 5_000_000), ("dockerfile", None)]
    assert causes[0].title == f"another base: {SLIM} → docker.io/library/python:3.13"


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
    new = replace(new, environment=replace(MACHINE, **change))  # type: ignore[arg-type]  # given as parameters
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


def test_bytes_that_only_compress_otherwise_are_said_to() -> None:
    """Another BuildKit packs better; nothing in the image changed."""
    image = make_image(own=(OWN_LAYERS[0], heavier(OWN_LAYERS[1], "b", -900_000, 0), OWN_LAYERS[2]))
    assert charges(make_cell(), replace(make_cell(), image=image)) == [("compression", None)]


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
