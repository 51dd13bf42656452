"""Two runs in which one thing was changed: what differs is charged to it, and to nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.inside import Packages
from orchestrator.judge.compare import compare_runs
from orchestrator.measure.image import base_layers_of
from orchestrator.record import Base
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

if TYPE_CHECKING:
    from orchestrator.judge.differences import CellChange
    from orchestrator.record import CellRecord


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
        inputs=inputs,
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


def test_bytes_that_only_compress_otherwise_are_said_to() -> None:
    """Another BuildKit packs better; nothing in the image changed."""
    image = make_image(own=(OWN_LAYERS[0], heavier(OWN_LAYERS[1], "b", -900_000, 0), OWN_LAYERS[2]))
    assert charges(make_cell(), replace(make_cell(), image=image)) == [("compression", None)]
