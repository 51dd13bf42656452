"""What makes a cell large or slow: figures with the problem, and figures that look like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.inside import Inventory, Package, Packages, SizedPath, WastedBy, WastedPath
from orchestrator.judge.diagnosis.nouns import Evidence
from orchestrator.judge.diagnosis.rules import diagnose
from orchestrator.model import Status
from orchestrator.record import Build, CellInputs, CellRecord, Image, Layer, Scenario, Step

if TYPE_CHECKING:
    from orchestrator.verdicts import Finding

MB = 1_000_000
PIP = "RUN pip install --no-cache-dir -r requirements.txt"


def passed(image: Image | None = None, *steps: Step, wall_s: float = 100.0, **arguments: str) -> CellRecord:
    """Make a cell that passed, with an image and steps."""
    build = Build("shared", 1, wall_s, steps=steps)
    return CellRecord(
        "c",
        {},
        Status.PASSED,
        Status.PASSED,
        as_expected=True,
        image=image or Image("sha256:0"),
        build=build,
        inputs=CellInputs(args=arguments),
    )


def step(name: str, duration_s: float = 0.1, outcome: str = "executed") -> Step:
    """Make a step from its name as BuildKit has it."""
    stage = name[1:].partition("]")[0].rpartition(" ")[0] or None
    return Step(name, stage, name.partition("] ")[2], None, duration_s, outcome)


def codes_of(cell: CellRecord) -> list[str]:
    """Give the codes of what is found."""
    return [one.code for one in diagnose(cell, Evidence())]


def only(cell: CellRecord) -> Finding:
    """Give the one finding."""
    (finding,) = diagnose(cell, Evidence())
    return finding


def make_image(hidden: int, *, by_layer: int = 2, over_base: int = 61 * MB) -> Image:
    """Make an image of three layers, the middle one of which stores what another hides."""
    layers = (
        Layer("sha256:a", "ADD base", 20 * MB, 50 * MB),
        Layer("sha256:b", "RUN apk add gcc", 20 * MB, 60 * MB),
        Layer("sha256:c", "RUN apk del gcc", 1, 1 * MB),
    )
    return Image(
        "sha256:0",
        uncompressed_bytes=111 * MB,
        over_base_bytes=over_base,
        layers=layers,
        wasted_paths=(WastedPath("/usr/bin/gcc", hidden // 2, 1, by_layer),),
        wasted_by=(WastedBy(1, by_layer, hidden, 3),),
    )


def test_bytes_that_a_later_layer_hides_are_charged_to_both_steps() -> None:
    """The one that stores, the one that deletes, and what it was."""
    finding = only(passed(make_image(58 * MB)))
    assert finding.title == "58.0 MB of the image cannot be seen: layer 2 stores what layer 3 deletes or overwrites"
    assert finding.evidence == (
        "stored by layer 2: RUN apk add gcc",
        "hidden by layer 3: RUN apk del gcc",
        "58.0 MB in 3 files",
        "/usr/bin/gcc: 29.0 MB",
    )
    assert "in the same RUN" in finding.remedy


def test_two_layers_that_hide_as_many_bytes_are_two_findings() -> None:
    """A mode that is changed twice stores the same file three times, twice for nothing."""
    image = replace(make_image(58 * MB), wasted_by=(WastedBy(0, 1, 9 * MB, 1), WastedBy(1, 2, 9 * MB, 1)), wasted_paths=())
    assert [one.evidence[:2] for one in diagnose(passed(image), Evidence())] == [
        ("stored by layer 1: ADD base", "hidden by layer 2: RUN apk add gcc"),
        ("stored by layer 2: RUN apk add gcc", "hidden by layer 3: RUN apk del gcc"),
    ]


def test_a_changed_owner_or_mode_has_a_remedy_of_its_own() -> None:
    """Nothing is deleted there: the step that stores can give it, and a file that is named like the command is no change."""

    def remedy(instruction: str) -> str:
        image = make_image(58 * MB)
        return only(passed(replace(image, layers=(*image.layers[:2], replace(image.layers[2], instruction=instruction))))).remedy

    assert remedy("RUN chown -R app:app /app").startswith(
        "Give files their mode and owner in the step that stores them (`COPY --ch"
    )
    assert "Delete in the same RUN" not in remedy("RUN chown -R app:app /app")
    assert "Delete in the same RUN" in remedy("RUN rm -rf /src && chown -R app:app /app")
    assert remedy("RUN adduser app && chmod 755 /app/x").startswith("Give files their mode")
    assert remedy("COPY --chmod=755 x /app/x").startswith("Delete in the same RUN")


@pytest.mark.parametrize("hidden", [0, 900_000, 2 * MB])
def test_a_few_hidden_bytes_are_nobodys_worry(hidden: int) -> None:
    """Each package manager overwrites its database; 2 MB of 111 MB is less than the share that is worth a word."""
    assert codes_of(passed(make_image(hidden))) == []


def test_what_the_base_itself_hides_is_not_charged_to_the_dockerfile() -> None:
    """Nobody can mend the layers of a base but who makes it."""
    finding = only(passed(make_image(58 * MB, over_base=0)))
    assert finding.remedy.startswith("Both layers are the base's own")
    assert "in the same RUN" in only(passed(replace(make_image(58 * MB), over_base_bytes=None))).remedy


def test_layers_that_a_record_does_not_have_are_named_by_number() -> None:
    """A damaged run, or one of an older matrix, may name layers that are not listed."""
    image = replace(make_image(58 * MB), layers=(), uncompressed_bytes=None)
    assert only(passed(image)).evidence[:2] == ("stored by layer 2", "hidden by layer 3")


def test_compilers_in_the_image_that_runs_are_named_with_their_bytes() -> None:
    """The runtime library of gcc is no compiler, and a compiler whose bytes were deleted is not there."""

    def image(*packages: Package) -> Image:
        return Image("sha256:0", packages=Packages(os=packages), inventory=Inventory(system="alpine"))

    finding = only(
        passed(image(Package("gcc", "14", bytes=90 * MB), Package("g++", "14", bytes=40 * MB), Package("libgcc", "14", bytes=MB)))
    )
    assert finding.title == "compilers take 130.0 MB of the image"
    assert finding.evidence == ("the image", "gcc 14: 90.0 MB", "g++ 14: 40.0 MB")
    assert codes_of(passed(image(Package("libgcc", "14", bytes=90 * MB), Package("libstdc++", "14", bytes=9 * MB)))) == []
    assert codes_of(passed(image(Package("gcc", "14", bytes=0), Package("gcc", "14")))) == []
    assert codes_of(passed(image(Package("gcc-14-base", "14", bytes=5_000), Package("gcc-14", "14", bytes=30 * MB)))) == [
        "compilers-left"
    ]


def test_an_installers_cache_in_the_image_is_named_with_what_prevents_it() -> None:
    """The folder must be the cache itself: a package may have a folder of that name."""
    found = only(passed(Image("sha256:0", largest_folders=(SizedPath("/root/.cache/pip", 30 * MB), SizedPath("/usr", 90 * MB)))))
    assert (found.code, found.evidence[1]) == ("cache-left", "/root/.cache/pip: 30.0 MB")
    assert "--no-cache-dir" in found.remedy
    others = (SizedPath("/srv/root/.cache/pip", 30 * MB), SizedPath("/var/lib/apt/lists", 100_000))
    assert codes_of(passed(Image("sha256:0", largest_folders=others))) == []


def test_packages_that_were_compiled_are_named_with_their_time() -> None:
    """Making a wheel of a pure package takes moments, and a wheel takes none."""

    def image(*packages: Package) -> Image:
        return Image("sha256:0", packages=Packages(python=packages))

    slow = Package("grpcio", "1.40.0", "sdist", native=True, compile_s=312.04)
    found = only(passed(image(slow, Package("psutil", "7.0.0", "sdist", native=True, compile_s=7.0)), wall_s=900))
    assert found.title == "compiling grpcio, psutil took 319.0 s"
    assert found.evidence[1:] == ("grpcio 1.40.0: 312.0 s", "psutil 7.0.0: 7.0 s")
    assert (
        codes_of(
            passed(image(Package("idna", "3", "sdist", compile_s=0.4), Package("a", "1", "sdist"), Package("b", "1", "wheel")))
        )
        == []
    )


def test_one_step_that_is_most_of_the_time_is_named_with_its_share() -> None:
    """With what speeds such a step up; its share is of what the build takes alone."""
    cell = passed(None, step("[2/3] COPY a /a"), step(f"[3/3] {PIP}", 80.0))
    found = only(cell)
    assert (found.code, found.title) == ("slow-step", "one step is 80% of the build's time")
    assert found.evidence == (f"step [3/3] {PIP}", "80.0 s of 100.0 s (80%)")
    assert found.remedy.startswith("Give it a cache mount (`--mount=type=cache`); wheels")
    behind_all = diagnose(passed(None, step("[2/3] COPY . /a"), step(f"[3/3] {PIP}", 80.0)), Evidence())
    assert behind_all[0].remedy.startswith("Copy only what it needs (the requirements) before it")
    joined = replace(step(f"[3/3] {PIP}", 80.0, "joined"), ran_in="other")
    assert "it was run by other, which this cell waited for" in only(passed(None, joined)).evidence


@pytest.mark.parametrize(
    ("steps", "wall_s"),
    [
        ((step("[2/2] RUN x", 10.0),), 11.0),
        ((step("[2/3] RUN x", 40.0), step("[3/3] RUN y", 45.0)), 100.0),
        ((step("[2/2] RUN x", 90.0, "cached"),), 100.0),
        ((), 0.0),
    ],
)
def test_a_quick_step_one_of_several_and_a_cached_one_are_not_the_slow_one(steps: tuple[Step, ...], wall_s: float) -> None:
    """Most of ten seconds is no worry, and of a cached step the time is that of another build."""
    assert codes_of(passed(None, *steps, wall_s=wall_s)) == []


def test_the_context_before_an_installation_breaks_its_cache() -> None:
    """The line is named, and what it costs; that earlier steps came from the cache makes it plain."""
    cell = passed(None, step("[2/4] WORKDIR /srv", outcome="cached"), step("[3/4] COPY . ."), step(f"[4/4] {PIP}", 12.0))
    found = only(cell)
    assert found.title == "COPY . . stands before an installation: any changed file runs that again"
    assert found.evidence == (
        "step [3/4] COPY . .",
        f"step [4/4] {PIP}: 12.0 s",
        "in this build it ran again although the steps before it came from the cache: [2/4] WORKDIR /srv",
    )
    build = cell.build
    assert build is not None
    measured = (Scenario("code", (13.0,), 13.0, None), Scenario("cold", (14.0,), 14.0, None))
    again = only(replace(cell, build=replace(build, scenarios=measured)))
    assert again.evidence[-1] == "with one source file changed the build takes 13.0 s, and 14.0 s without any cache"


@pytest.mark.parametrize(
    "steps",
    [
        (step("[2/4] COPY requirements.txt ."), step(f"[3/4] {PIP}", 12.0), step("[4/4] COPY . .")),
        (step("[2/3] COPY . ."), step("[3/3] RUN pip install --no-cache-dir .", 12.0)),
        (step("[2/3] COPY . ."), step("[3/3] RUN pip install -e .[dev]", 12.0)),
        (step("[2/3] COPY . .", outcome="cached"), step(f"[3/3] {PIP}", 12.0, "cached")),
        (step("[2/3] COPY . ."), step("[3/3] RUN python -m compileall .", 12.0)),
        (step("[2/3] COPY . ."), step(f"[3/3] {PIP}", 0.5)),
        (step("[app 2/2] COPY . ."), step(f"[deps 2/2] {PIP}", 12.0)),
        (step("[2/4] RUN uv sync --locked --no-install-project", 9.0), step("[3/4] COPY . /app"), step("[4/4] RUN uv sync", 12.0)),
        (step("[deps 2/2] RUN poetry install --no-root", 9.0), step("[3/4] COPY . ."), step("[4/4] RUN poetry install", 12.0)),
        (step("[2/3] COPY --from=deps . ."), step(f"[3/3] {PIP}", 12.0)),
        (step("[2/3] COPY ./requirements.txt /x"), step(f"[3/3] {PIP}", 12.0)),
    ],
)
def test_a_copy_that_is_rightly_placed_breaks_nothing(steps: tuple[Step, ...]) -> None:
    """Behind the installation, for an installation of the context itself, in another stage, or with a cache that hit."""
    assert "cache-broken-by-context" not in codes_of(passed(None, *steps))


@pytest.mark.parametrize(
    "copy", ["COPY . .", "COPY . /srv", "COPY ./ /srv/", "COPY --chown=app:app . /srv", 'COPY [".", "/srv"]', "ADD . /srv"]
)
@pytest.mark.parametrize(
    "install",
    [
        PIP,
        "RUN npm ci --omit=dev",
        "RUN uv sync --locked",
        "RUN poetry install --no-root",
        "RUN apt-get update && apt-get install -y gcc",
        "RUN --mount=type=cache,target=/x uv pip install -r r",
    ],
)
def test_the_whole_context_is_known_in_all_its_forms(copy: str, install: str) -> None:
    """As Dockerfiles write it."""
    assert codes_of(passed(None, step(f"[2/3] {copy}"), step(f"[3/3] {install}", 12.0))) == ["cache-broken-by-context"]


def test_a_slow_installation_of_system_packages_is_not_told_of_wheels() -> None:
    """There is nothing to copy before it, and nothing to compile."""
    name = "RUN apt-get update && apt-get install -y --no-install-recommends gcc"
    found = only(passed(None, step(f"[2/2] {name}", 60.0), wall_s=61.0))
    assert found.code == "slow-step"
    assert "base that has them" in found.remedy
    assert "wheels" not in found.remedy


ARGUED = (
    step("[1/3] FROM x", outcome="cached"),
    step("[2/3] COPY requirements.txt /r", outcome="cached"),
    step(f"[3/3] {PIP}", 12.0),
)


@pytest.mark.parametrize(
    "value", ["2026-11-21T17:50:00Z", "1763747400", "c0ffee1", "0123456789abcdef0123456789abcdef01234567", "20261121T175000Z"]
)
def test_an_argument_that_changes_with_each_build_is_named_where_an_installation_ran_again(value: str) -> None:
    """All before it came from the cache, so nothing else of what a RUN depends on has changed."""
    found = only(passed(None, *ARGUED, BUILT_AT=value, PYTHON_VERSION="3.13"))
    assert found.code == "cache-broken-by-argument"
    assert found.evidence == (
        f"step [3/3] {PIP}",
        "from the cache: [2/3] COPY requirements.txt /r",
        "run again: 12.0 s",
        f"BUILT_AT={value}",
    )
    assert "Move `ARG BUILT_AT` below the installation" in found.remedy


def test_an_argument_is_not_charged_without_a_sign_of_it() -> None:
    """A first build runs everything; a version is the same tomorrow; a cache that hit was not broken."""
    moment = "2026-11-21T17:50:00Z"
    first = tuple(replace(one, outcome="executed") for one in ARGUED)
    assert codes_of(passed(None, *first, BUILT_AT=moment)) == []
    assert (
        codes_of(passed(None, *ARGUED, BASE_IMAGE="python:3.13-slim", PYTHON_VERSION="3.13", REVISION="release", PORT="8000")) == []
    )
    hit = (*ARGUED[:2], replace(ARGUED[2], outcome="cached"))
    assert codes_of(passed(None, *hit, BUILT_AT=moment)) == []


def test_a_cell_with_nothing_measured_has_nothing_to_say() -> None:
    """Old and damaged records lack all of this."""
    bare = CellRecord("c", {}, Status.PASSED, Status.PASSED, as_expected=True)
    assert diagnose(bare, Evidence()) == ()
    assert codes_of(passed(Image("sha256:0"), Step("odd", None, "odd", None, None, "executed"))) == []
