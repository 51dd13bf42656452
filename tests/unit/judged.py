"""Runs made by hand to be judged: cells with a size, a time, packages and an end, and the rules they are judged by."""

from __future__ import annotations

from orchestrator.inside import Package, Packages
from orchestrator.model import Status
from orchestrator.record import SCHEMA, Build, CellRecord, Image, Measurement, Noise, RunRecord, Scenario, Smoke
from orchestrator.rules import Choice, Claim, Preference, Rules
from tests.unit.records import STARTED

MB = 1_000_000
CHOICE = Choice("base", ("smoke",), (Preference("size", 2.0), Preference("build_time", 1.0)))


def make_image(size_mb: float | None, packages: int = 10, *, estimated: bool = False) -> Image:
    """Make an image of a size."""
    size = None if size_mb is None else int(size_mb * MB)
    return Image(
        digest="sha256:i",
        compressed_bytes=size,
        compressed_estimated=estimated,
        uncompressed_bytes=size and size * 3,
        over_base_bytes=size and size * 2,
        wasted_bytes=0,
        packages=Packages(os=tuple(Package(f"p{at}", "1") for at in range(packages))),
    )


def make_build(cold_s: float | None = None) -> Build:
    """Make a build, timed by itself if there is a time."""
    scenarios = () if cold_s is None else (Scenario("cold", (cold_s,) * 5, cold_s, 0.0),)
    return Build("shared" if cold_s is None else "isolated", 2, 9.9, median_s=cold_s, scenarios=scenarios)


def cell(base: str, size_mb: float | None, cold_s: float | None = None, *, deps: str = "none", packages: int = 10) -> CellRecord:
    """Make a cell that passed."""
    return CellRecord(
        f"{base}-{deps}",
        {"base": base, "deps": deps},
        Status.PASSED,
        Status.PASSED,
        as_expected=True,
        image=make_image(size_mb, packages),
        build=make_build(cold_s),
        smoke=Smoke("passed"),
    )


def failed(base: str, status: Status, size_mb: float | None = None, *, deps: str = "none", expected: bool = False) -> CellRecord:
    """Make a cell that did not pass; with a size it has an image all the same."""
    return CellRecord(
        f"{base}-{deps}",
        {"base": base, "deps": deps},
        status,
        status if expected else Status.PASSED,
        as_expected=expected or status in (Status.SKIPPED, Status.EXCLUDED),
        reason="no wheel",
        image=None if size_mb is None else make_image(size_mb),
    )


def run(*cells: CellRecord, claims: tuple[Claim, ...] = (), choice: Choice | None = None, noise: float | None = 0.03) -> RunRecord:
    """Make a run with its rules, timed with a noise."""
    measurement = Measurement(5, 1, cells[0].id if cells else "", (Noise("cold", (1.0,), (1.0,), noise),))
    return RunRecord(
        schema=SCHEMA,
        id="r",
        name="judged",
        started_at=STARTED,
        axes=("base", "deps"),
        compare="base",
        complete=True,
        measurement=measurement,
        cells=cells,
        rules=Rules(claims=claims, choice=choice),
    )


def claim(relation: str = "smaller", metric: str = "size", by: float | None = None, *, value: float | None = None) -> Claim:
    """Claim something of Alpine against slim, or against a value."""
    right = None if value is not None else {"base": ("slim",)}
    return Claim("a claim", metric, {"base": ("alpine",)}, right, relation, by, value=value)
