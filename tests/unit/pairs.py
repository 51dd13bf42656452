"""Two runs of one cell on a Debian base, made by hand with realistic layers and packages, to change one thing at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.inside import Package, Packages
from orchestrator.model import Status
from orchestrator.record import (
    SCHEMA,
    Base,
    Build,
    CellInputs,
    CellRecord,
    Environment,
    Image,
    Layer,
    Measurement,
    Noise,
    RunInputs,
    RunRecord,
    Scenario,
    Step,
)
from tests.unit.records import STARTED

if TYPE_CHECKING:
    from collections.abc import Iterable

SLIM = "docker.io/library/python:3.13-slim"
MACHINE = Environment(
    docker="28.5.2", buildx="0.29.1", driver="docker", storage="containerd", cpus=2, memory_bytes=8_000_000_000,
    platform="linux/amd64", cgroup="v2", tool="0.1.0", cpu="A CPU",
)  # fmt: skip


def digest(letter: str) -> str:
    """Make a digest that can be told from others."""
    return f"sha256:{letter * 64}"


BASE_LAYERS = (
    Layer(digest("1"), "# debian.sh --arch 'amd64' out/ 'trixie'", 29_800_000, 81_000_000),
    Layer(digest("2"), "RUN set -eux; apt-get update; apt-get install -y ca-certificates netbase tzdata", 1_300_000, 4_200_000),
    Layer(digest("3"), "RUN set -eux; wget -O python.tar.xz", 12_000_000, 39_000_000),
)
OWN_LAYERS = (
    Layer(digest("4"), "RUN apt-get install -y libpq5", 1_200_000, 4_500_000),
    Layer(digest("5"), "COPY /venv /venv", 14_000_000, 52_000_000),
    Layer(digest("6"), "COPY app app", 3_000, 12_000),
)
OS = (
    Package("libc6", "2.41-12", bytes=13_000_000, layer=0),
    Package("libpq5", "17.6-0+deb13u1", bytes=1_200_000, layer=3),
    Package("openssl", "3.5.1-1", bytes=2_400_000, layer=1),
)
PYTHON = (
    Package("grpcio", "1.66.0", "wheel", native=True, bytes=14_100_000, layer=4),
    Package("pip", "25.2", "wheel", native=False, bytes=9_000_000, layer=2),
    Package("protobuf", "5.27.0", "wheel", native=True, bytes=1_100_000, layer=4),
)
INPUTS = CellInputs(digest("d"), digest("c"), (Base(SLIM, digest("0")),), digest("e"), {"BASE_IMAGE": "python:3.13-slim"}, None, {})
STEPS = (
    Step("[1/3] FROM python", None, "FROM python", STARTED, 0.0, "cached"),
    Step("[2/3] RUN pip install -r requirements.txt", None, "RUN pip install -r requirements.txt", STARTED, 42.0, "executed"),
    Step("[3/3] COPY app app", None, "COPY app app", STARTED, 0.1, "executed"),
)


def make_image(base: Iterable[Layer] = BASE_LAYERS, own: Iterable[Layer] = OWN_LAYERS) -> Image:
    """Make an image of its base's layers and its own."""
    below, above = tuple(base), tuple(own)
    layers = (*below, *above)
    return Image(
        digest=digest("a"),
        compressed_bytes=sum(layer.compressed_bytes or 0 for layer in layers),
        uncompressed_bytes=sum(layer.uncompressed_bytes or 0 for layer in layers),
        over_base_bytes=sum(layer.uncompressed_bytes or 0 for layer in above),
        layers=layers,
        packages=Packages(OS, PYTHON),
        base_layers=len(below),
    )


def make_build(median_s: float | None = None) -> Build:
    """Make a build of three steps, with isolated samples where a median is given."""
    scenarios = () if median_s is None else (Scenario("cold", (median_s,) * 5, median_s, 0.1),)
    timing = "shared" if median_s is None else "isolated"
    return Build(
        timing, 2, 45.0, own_s=45.0, shared_s=0.0, alone_s=45.0, cached_steps=1, total_steps=3, steps=STEPS,
        median_s=median_s, scenarios=scenarios,
    )  # fmt: skip


def make_cell(name: str = "slim", image: Image | None = None, median_s: float | None = None) -> CellRecord:
    """Make a cell that passed."""
    return CellRecord(
        f"{name}-3.13", {"base": name, "python": "3.13"}, Status.PASSED, Status.PASSED, as_expected=True,
        inputs=INPUTS, image=image or make_image(), build=make_build(median_s),
    )  # fmt: skip


def make_run(*cells: CellRecord, day: int = 0, noise: float | None = None) -> RunRecord:
    """Make a finished run of these cells, so many days after the first."""
    started = STARTED + timedelta(days=day)
    measured = None if noise is None else Measurement(5, 1, "slim-3.13", (Noise("cold", (), (), noise),))
    return RunRecord(
        schema=SCHEMA,
        id=f"{started:%Y%m%dT%H%M%SZ}-{day:06x}",
        name="otel-python",
        started_at=started,
        axes=("base", "python"),
        compare="base",
        finished_at=started + timedelta(minutes=20),
        complete=True,
        environment=MACHINE,
        inputs=RunInputs(digest("7"), None, "c0ffee" * 6),
        measurement=measured,
        cells=cells or (make_cell(),),
    )


def heavier(layer: Layer, letter: str, packed: int, unpacked: int) -> Layer:
    """Make another layer in the place of one, of another weight."""
    return Layer(
        digest(letter), layer.instruction, (layer.compressed_bytes or 0) + packed, (layer.uncompressed_bytes or 0) + unpacked
    )


def rebuilt(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Make what building the same layers again gives: other digests, a few bytes more or less."""
    return tuple(heavier(layer, "89abcdef"[at % 8], 11, -17) for at, layer in enumerate(layers))


def _held(cell: CellRecord) -> tuple[tuple[Layer, ...], tuple[Layer, ...], Packages]:
    """Give the layers of a cell's base, its own, and its packages."""
    assert cell.image
    assert cell.image.packages
    return cell.image.layers[:3], cell.image.layers[3:], cell.image.packages


def with_moved_base(cell: CellRecord) -> CellRecord:
    """Change one thing: the base has another libc and Python, and all on top is built anew."""
    base, own, packages = _held(cell)
    base = (heavier(base[0], "b", 410_000, 1_300_000), base[1], heavier(base[2], "f", 20_000, 90_000))
    newer = (replace(packages.os[0], version="2.41-13", bytes=14_200_000), *packages.os[1:])
    python = (packages.python[0], replace(packages.python[1], version="25.3"), *packages.python[2:])
    image = replace(make_image(base, rebuilt(own)), packages=Packages(newer, python))
    return replace(cell, image=image, inputs=replace(cell.inputs, base=(Base(SLIM, digest("9")),)))


def with_newer_package(cell: CellRecord) -> CellRecord:
    """Change one thing: an unpinned dependency has a new version."""
    base, own, packages = _held(cell)
    python = (replace(packages.python[0], version="1.67.1", bytes=17_000_000), *packages.python[1:])
    image = make_image(base, (own[0], heavier(own[1], "b", 900_000, 2_900_000), *own[2:]))
    return replace(cell, image=replace(image, packages=Packages(packages.os, python)))


def with_dockerfile_line(cell: CellRecord) -> CellRecord:
    """Change one thing: a line of the Dockerfile adds a file of 8 MB that no package owns."""
    base, own, packages = _held(cell)
    line = Layer(digest("b"), "RUN curl -o /opt/agent.jar https://example.org/agent.jar", 7_500_000, 8_000_000)
    image = replace(make_image(base, (*own[:2], line, heavier(own[2], "f", 3, 0))), packages=packages)
    return replace(cell, image=image, inputs=replace(cell.inputs, dockerfile_digest=digest("f")))
