"""Sizes and times taken apart: what is known adds up, and what is not is said, never guessed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from orchestrator.inside import Package, Packages
from orchestrator.record import Build, CellRecord, Image, Step
from orchestrator.report.parts import make_size_table, make_time_table, stack_sizes, stack_times
from orchestrator.report.stacks import make_stacks
from tests.unit.records import STARTED, make_image, make_record, make_whole_image

RECORD = make_record()
CELL = RECORD.cells[0]


def sizes_of(image: Image) -> tuple[tuple[float | None, ...], float]:
    """Give an image's parts, and what is not told apart."""
    (found,) = stack_sizes(replace(RECORD, cells=(replace(CELL, image=image),)))
    return found.parts, found.untold


def times_of(build: Build, image: Image | None = CELL.image) -> tuple[tuple[float | None, ...], float]:
    """Give a build's parts, and what is not told apart."""
    (found,) = stack_times(replace(RECORD, cells=(replace(CELL, build=build, image=image),)))
    return tuple(None if part is None else round(part, 6) for part in found.parts), round(found.untold, 6)


def step(instruction: str, start_s: float, duration_s: float | None, outcome: str = "executed") -> Step:
    """Make a step."""
    return Step(instruction, None, instruction, STARTED + timedelta(seconds=start_s), duration_s, outcome)


def test_a_size_is_base_packages_app_and_waste() -> None:
    """Packages and waste of the base itself are the base's."""
    assert sizes_of(make_whole_image()) == ((40_000_000, 12_000_000, 6_500_000, 1_500_000), 0)


def test_a_run_from_before_base_layers_were_counted_tells_them_by_their_sizes() -> None:
    """The layers whose sizes make up the base's are the base's."""
    image = replace(make_whole_image(), base_layers=None)
    assert sizes_of(image)[0] == (40_000_000, 12_000_000, 6_500_000, 1_500_000)
    assert sizes_of(replace(image, over_base_bytes=19_999_999)) == ((40_000_001, None, None, None), 19_999_999)


@pytest.mark.parametrize(
    ("changes", "parts", "untold"),
    [
        ({"over_base_bytes": None}, (None, None, None, None), 60_000_000),
        ({"over_base_bytes": 60_000_001}, (None, None, None, None), 60_000_000),
        ({"layers": ()}, (40_000_000, None, None, None), 20_000_000),
        ({"base_layers": 9}, (40_000_000, None, None, None), 20_000_000),
    ],
)
def test_a_part_that_the_record_does_not_tell_is_unknown(
    changes: dict[str, object], parts: tuple[float | None, ...], untold: float
) -> None:
    """Also where a damaged record says what cannot be."""
    assert sizes_of(replace(make_whole_image(), **changes)) == (parts, untold)


def test_layers_that_were_not_looked_into_leave_the_app_unknown() -> None:
    """Waste may be known where packages are not; packages of more bytes than the layers cannot be."""
    base, above = make_whole_image().layers
    unknown = replace(make_whole_image(), layers=(base, replace(above, package_bytes=None)))
    assert sizes_of(unknown) == ((40_000_000, None, None, 1_500_000), 18_500_000)
    absurd = replace(make_whole_image(), layers=(base, replace(above, package_bytes=90_000_000)))
    assert sizes_of(absurd)[0] == (40_000_000, None, None, 1_500_000)


def test_a_time_is_pull_compile_install_and_the_rest() -> None:
    """Eight seconds of pip, of which five compiled; the sum is the wall time."""
    assert CELL.build
    assert times_of(CELL.build) == ((1.5, 5.0, 3.0, 2.84), 0)


@pytest.mark.parametrize(
    ("steps", "parts"),
    [
        ((step("RUN apk add gcc", 1, 2), step("RUN pip install x", 2, 2)), (1.5, 0.0, 3.0, 5.5)),  # side by side: once
        ((step("RUN pip install x", -4, 6, "joined"),), (1.5, 0.0, 2.0, 6.5)),  # what went on before this cell is not its time
        ((step("RUN pip install x", 1, 3, "cached"),), (1.5, 0.0, 0.0, 8.5)),
        ((step("RUN echo pip; true install", 1, 3),), (1.5, 0.0, 0.0, 8.5)),
        ((step("COPY pip install", 1, 3), step("RUN make", 1, 9)), (1.5, 0.0, 0.0, 8.5)),
        ((step("RUN npm ci", 1, None),), (1.5, 0.0, 0.0, 8.5)),
        ((step("RUN uv pip sync x", 0, 60),), (0.0, 0.0, 10.0, 0.0)),  # a clock that cannot be right is cut to the wall
    ],
)
def test_steps_that_install_are_known_by_their_words(steps: tuple[Step, ...], parts: tuple[float, ...]) -> None:
    """apk, apt, pip, uv, npm and the like; only what this cell ran or waited for."""
    build = Build("shared", 1, 10.0, started_at=STARTED, pull_s=1.5, steps=steps)
    assert times_of(build, make_image(1)) == (parts, 0)


def test_a_pull_beside_an_installation_is_not_counted_again() -> None:
    """As a build of two bases told it: one was fetched while the other stage installed, and what came then is the rest."""
    fetch, install, last = step("FROM python", 0.1, 3.5), step("RUN pip install x", 0.1, 3.4), step("RUN make", 4, 1.3)
    build = Build("shared", 1, 5.4, started_at=STARTED, pull_s=3.4, steps=(fetch, install, last))
    assert times_of(build, make_image(1)) == ((0.1, 0.0, 3.4, 1.9), 0)
    joined = replace(build, steps=(replace(fetch, outcome="cached"), install, last))
    assert times_of(joined, make_image(1))[0] == (2.0, 0.0, 3.4, 0.0), "where no step tells when it was, it may have been besides"


def test_what_nobody_timed_is_not_told_apart() -> None:
    """A failed build has no packages to ask, an old one no steps, a compile may have no time, a heredoc may install anything."""
    install = (step("RUN pip install x", 1, 4),)
    build = Build("shared", 1, 10.0, started_at=STARTED, pull_s=1.0, steps=install)
    assert times_of(build, None) == ((1.0, None, None, 5.0), 4.0)
    assert times_of(replace(build, steps=()), None) == ((1.0, None, None, None), 9.0)
    heredoc = (*install, step("RUN <<EOT (set -e...)", 5, 4))
    assert times_of(replace(build, steps=heredoc), make_image(1)) == ((1.0, None, None, None), 9.0)
    assert times_of(replace(build, pull_s=None), make_image(1)) == ((None, 0.0, 4.0, None), 6.0)
    untimed = replace(make_image(1), packages=Packages(python=(Package("x", "1", "sdist"),)))
    assert times_of(build, untimed)[0] == (1.0, None, None, 5.0)


def test_the_tables_have_the_rounding_of_the_comparison() -> None:
    """The same digits, an unknown part is a dash, and a column for what is not told apart only where there is any."""
    sizes = make_size_table(stack_sizes(RECORD))
    assert sizes.headers == ("cell", "base MB", "packages MB", "app MB", "waste MB", "not told apart MB", "unpacked MB")
    assert sizes.rows[0] == ("alpine-3.12", "40.0", "12.0", "6.5", "1.5", "0.0", "60.0")
    assert sizes.rows[1] == ("slim-3.12", "124.8", "–", "–", "–", "11.3", "136.2")
    alone = make_time_table(stack_times(replace(RECORD, cells=(CELL,))))
    assert alone.headers == ("cell", "pull s", "compile s", "install s", "rest s", "build s")
    assert alone.rows == (("alpine-3.12", "1.5", "5.0", "3.0", "2.8", "12.3"),)


def test_a_picture_is_on_one_scale_and_said_in_words() -> None:
    """The longest bar that was built to its end is the scale; one that was cut short may be longer."""
    sizes, times = make_stacks(RECORD)
    longest = [sum(piece.width for piece in bar.pieces) for bar in sizes.bars]
    assert max(longest) == pytest.approx(1_000_000, abs=3)
    assert (
        sizes.bars[0].words == "base MB 40.0, packages MB 12.0, app MB 6.5, waste MB 1.5, not told apart MB 0.0, unpacked MB 60.0"
    )
    assert [piece.kind for piece in sizes.bars[0].pieces] == ["part-1", "part-2", "part-3", "part-4"]
    assert [piece.kind for piece in times.bars[0].pieces] == ["part-1", "part-2", "part-3", "rest"]
    assert sum(piece.width for piece in times.bars[1].pieces) == pytest.approx(1_000_000, abs=3)
    assert [piece.width for piece in times.bars[-1].pieces] == [2_000_000]
    assert "stands for more than fits" in times.notes[-1]


def test_a_run_without_figures_has_no_pictures() -> None:
    """Nor does a time that is none."""
    bare = CellRecord(CELL.id, CELL.axes, CELL.status, CELL.expected, as_expected=True)
    assert make_stacks(replace(RECORD, cells=(bare,))) == []
    assert stack_times(replace(RECORD, cells=(replace(bare, build=Build("shared", 1, float("inf"))),))) == ()
