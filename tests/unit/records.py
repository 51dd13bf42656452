"""A run made by hand, with every status and with texts that an attacker would choose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from msgspec.structs import replace

from orchestrator.inside import Inventory, Package, Packages, SizedPath, WastedPath
from orchestrator.model import Status
from orchestrator.record import (
    SCHEMA,
    Base,
    Build,
    CellInputs,
    CellRecord,
    CheckResult,
    Environment,
    Image,
    Layer,
    Measurement,
    Noise,
    RunInputs,
    RunRecord,
    Scenario,
    Smoke,
    Step,
)
from orchestrator.rules import Choice, Preference, Rules
from orchestrator.verdicts import Decision, Finding, Gate, GroupDecision, Pair, Verdict
from tests.rendering import render_record

STARTED = datetime(2026, 11, 21, 5, 6, 7, tzinfo=UTC)
HOSTILE = "=cmd|'/c calc'!A0 | <script>alert(1)</script> **bold** `x` \x1b[31mred\x1b[0m\n::error::line two\u202egnp.exe"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1")


def make_image(compressed: int | None, *, estimated: bool = False) -> Image:
    """Make an image of two layers."""
    return Image(
        digest="sha256:" + "d" * 64,
        compressed_bytes=compressed,
        compressed_estimated=estimated,
        uncompressed_bytes=None if compressed is None else compressed * 3,
        over_base_bytes=None if compressed is None else compressed // 4,
        layers=(
            Layer("sha256:" + "a" * 64, "ADD file:x in /", 20_000_000, 60_000_000),
            Layer("sha256:" + "b" * 64, None, None, None),
        ),
        packages=Packages(
            os=(Package("musl", "1.2.5"),),
            python=(Package("grpcio", "1.66.0", "wheel", native=True, bytes=14_000_000, installed_by="pip"),),
        ),
        wasted_bytes=None if compressed is None else 1_500_000,
        unique_bytes=None if compressed is None else compressed,
        wasted_paths=(WastedPath("/usr/bin/<b>gcc</b>", 1_500_000, 0, 1),),
        largest_folders=(SizedPath("/usr/lib", 30_000_000),),
        largest_files=(SizedPath("/usr/lib/libpython3.so", 9_000_000),),
        inventory=Inventory("alpine", "3.20", 100, 50_000_000, user="app", set_id_files=("/bin/su",), shells=("/bin/sh",)),
    )


def make_whole_image() -> Image:
    """Make an image of which every layer is known: 40 MB of base, 12 of packages, 6.5 of app, 1.5 wasted."""
    image = make_image(20_000_000)
    base, above = image.layers
    above = replace(
        above,
        instruction="COPY --from=build /app /app",
        compressed_bytes=6_000_000,
        uncompressed_bytes=20_000_000,
        wasted_bytes=1_500_000,
        package_bytes=12_000_000,
    )
    base = replace(base, uncompressed_bytes=40_000_000, wasted_bytes=0, package_bytes=9_000_000)
    compiled = Package("psutil", "7.0.0", "sdist", native=True, bytes=500_000, installed_by="pip", compile_s=5.0)
    packages = replace(image.packages or Packages(), python=(*(image.packages or Packages()).python, compiled))
    return replace(image, over_base_bytes=20_000_000, layers=(base, above), packages=packages, base_layers=1)


def make_sampled_build() -> Build:
    """Make a build of which every step is known, and which was timed by itself as well: 1.5 s of pull, 8 of pip."""
    install = Step("[2/2] RUN pip install -r x", None, "RUN pip install -r x", STARTED + timedelta(seconds=2), 8.0, "executed")
    build = make_build(12.34)
    return replace(
        build,
        own_s=12.34,
        shared_s=0.0,
        alone_s=12.34,
        started_at=STARTED,
        steps=(build.steps[0], install),
        scenarios=(Scenario("cold", (12.0, 12.1, 12.2, 12.4, 15.0), 12.2, 0.4, 1),),
    )


def make_build(wall_s: float) -> Build:
    """Make a build of two steps."""
    return Build(
        timing="shared",
        jobs=2,
        wall_s=wall_s,
        pull_s=1.5,
        export_s=0.25,
        cached_steps=1,
        total_steps=2,
        steps=(
            Step("[1/2] FROM x", None, "FROM x", STARTED, 0.0, "cached"),
            Step("[build 2/2] RUN y", "build", "RUN y", None, None, "executed"),
        ),
    )


def make_smoke(*outcomes: str) -> Smoke:
    """Make a smoke test of checks with these outcomes."""
    worst = next((outcome for outcome in ("failed", "timeout", "error") if outcome in outcomes), "passed")
    checks = [
        CheckResult(f"import m{at}", outcome, None if outcome == "passed" else "why", "detail", 0.5)
        for at, outcome in enumerate(outcomes)
    ]
    return Smoke(worst, tuple(checks))


def make_cell(base: str, python: str, status: Status, expected: Status = Status.PASSED, reason: str | None = None) -> CellRecord:
    """Make a cell with nothing measured."""
    axes = {"base": base, "python": python}
    return CellRecord(f"{base}-{python}", axes, status, expected, as_expected=status is expected, reason=reason)


def _measured(cell: CellRecord, image: Image | None, build: Build | None, smoke: Smoke | None) -> CellRecord:
    return CellRecord(
        cell.id, cell.axes, cell.status, cell.expected, cell.as_expected, cell.reason,
        inputs=CellInputs("sha256:f", None, (Base("docker.io/library/x:1", "sha256:0"),), None, {"A": "b"}),
        image=image, build=build, smoke=smoke, attempts=1,
    )  # fmt: skip


def make_record() -> RunRecord:
    """Make a run with every status there is, expected and not."""
    passed = _measured(make_cell("alpine", "3.12", Status.PASSED), make_whole_image(), make_sampled_build(), make_smoke("passed"))
    passed = replace(passed, diagnosis=(make_finding("slow-step", "one step is 65 % of the build", "RUN pip install: 8.0 s"),))
    larger = _measured(make_cell("slim", "3.12", Status.PASSED), make_image(45_400_000, estimated=True), make_build(61.0), None)
    tiny = _measured(make_cell("wolfi", "3.11", Status.PASSED), make_image(999), None, Smoke("skipped"))
    expected = replace(
        make_cell("alpine", "3.13", Status.BUILD_FAILED, Status.BUILD_FAILED, "[2/3] RUN pip: exit 1: error: no wheel"),
        diagnosis=(make_finding("no-wheel", "no wheel for musl, and no compiler", "error: command 'gcc' failed", "RUN pip"),),
        expected_reason="psutil 7.0 has no wheel for musl",
    )
    unexpected = _measured(
        make_cell("slim", "3.13", Status.PASSED, Status.BUILD_FAILED),
        make_image(50_000_000),
        make_build(9.96),
        make_smoke("passed"),
    )
    smoke_failed = _measured(
        make_cell("wolfi", "3.13", Status.SMOKE_FAILED, reason=HOSTILE),
        make_image(None),
        make_build(0.04),
        make_smoke("passed", "failed", "skipped"),
    )
    timeout = replace(
        make_cell("alpine", "3.14", Status.TIMEOUT, reason="build: still running after 1800 s in [2/2] RUN make"),
        build=replace(make_build(1800.0), pull_s=None, steps=()),
    )
    return RunRecord(
        schema=SCHEMA,
        id="20261121T050607Z-abc123",
        name="otel-python",
        started_at=STARTED,
        axes=("base", "python"),
        compare="base",
        finished_at=STARTED.replace(minute=30),
        complete=True,
        only=("base=*",),
        environment=Environment(
            docker="28.1.0",
            buildx="0.23.0",
            buildkit="v0.21.0",
            driver="docker-container",
            builder="matrix",
            storage="overlay2",
            cpus=2,
            memory_bytes=8_000_000_000,
            platform="linux/amd64",
            cgroup="v2",
            python="3.11.7",
            tool="0.1.0",
        ),
        inputs=RunInputs("sha256:m", None, "c0ffee", git_dirty=True),
        cells=(
            passed,
            larger,
            tiny,
            expected,
            unexpected,
            smoke_failed,
            timeout,
            make_cell("slim", "3.14", Status.ERROR, Status.ERROR, "the registry of x cannot be reached"),
            make_cell("wolfi", "3.14", Status.SKIPPED, reason="there is no stand-in for it"),
            make_cell("alpine", "3.9", Status.EXCLUDED, Status.EXCLUDED, "too old"),
        ),
        measurement=Measurement(5, 7, "alpine-3.12", (Noise("cold", (12.0, 12.2), (12.1, 12.3), 0.04),), ("one sample failed",)),
        claims=make_claims(),
        decision=make_decision(),
        gates=make_gates(),
        rules=Rules(choice=Choice("base", ("smoke",), (Preference("size", 2.0), Preference("build_time")))),
        baseline="20261120T050607Z-abc122",
    )


def make_claims() -> tuple[Verdict, ...]:
    """Make a claim of each verdict, with evidence in words, in pairs, and none."""
    holds = Pair("alpine-3.12", "slim-3.12", 20_000_000, 45_400_000, holds=True)
    fails = Pair("alpine-3.13", "slim-3.13", None, 50_000_000, holds=None, why="alpine-3.13 has no image")
    slower = Pair("alpine-3.12", "slim-3.12", 12.34, 61.0, holds=False)
    return (
        Verdict("Alpine is smaller than slim", "confirmed", ("20.0 MB < 45.4 MB",), "size", must=True, pairs=(holds,)),
        Verdict("Alpine builds slower than slim", "refuted", (), "build_time", pairs=(slower,)),
        Verdict("Alpine wastes less than slim", "mixed", (), "wasted", pairs=(holds, replace(holds, holds=False), fails)),
        Verdict("Wolfi fails where Alpine does", "unknown", ("no two cells differ in nothing else",), "outcome"),
    )


def make_decision() -> Decision:
    """Make a decision with a group that has a winner, one within the noise, and one in which nothing passed."""
    return Decision(
        winner="alpine",
        per_group=(
            GroupDecision({"python": "3.12"}, "alpine", "slim", ("alpine",), ("20.0 MB against 45.4 MB, 12.3 s against 61.0 s",)),
            GroupDecision({"python": "3.13"}, None, None, (), ("no cell passed its checks as expected",)),
            GroupDecision({"python": "3.11"}, "wolfi", None, ("wolfi",), ("the only cell",)),
        ),
        why=("smallest in 1 of 3 groups, and never larger",),
        runner_up="slim",
        noise="4.0 % of cold",
        between="base",
        would_change=("a build time that weighs more than 5 times the size",),
        unknown=("alpine-3.14: it was still building after 1800 s",),
    )


def make_gates() -> tuple[Gate, ...]:
    """Make gates that passed, failed and could not be judged, in every unit."""
    return (
        Gate("size", "slim-3.12", 50_000_000, 45_400_000, passed=True, unit="bytes"),
        Gate("size", "slim-3.13", 40_000_000, 50_000_000, passed=False, unit="bytes"),
        Gate("build_time", "slim-3.12", 60.0, 61.0, passed=False, unit="s"),
        Gate("growth of size", "wolfi-3.13", 0.05, None, passed=None, unit="share", reason="wolfi-3.13 has no image"),
        Gate("compiled", "alpine-3.12", 0, 0, passed=True, unit="count"),
        Gate("claim: Alpine is smaller than slim", None, None, None, passed=True),
    )


def make_finding(code: str, title: str, *evidence: str, remedy: str = "use a builder stage with a compiler") -> Finding:
    """Make a finding."""
    return Finding(code, title, evidence, remedy)


@cache
def run_json() -> str:
    """Write the run as run.json has it, once for all tests."""
    return render_record(make_record())


def make_hostile_record() -> RunRecord:
    """Make a run whose every text tries to be something else: a stored run may come from anywhere."""
    axes = ("base", "py|thon")
    cells = tuple(
        CellRecord(
            f"{formula}-x", {"base": formula, "py|thon": HOSTILE}, Status.PASSED, Status.PASSED, as_expected=True, reason=formula
        )
        for formula in FORMULAS
    )
    finding = Finding("x", HOSTILE, (HOSTILE,), HOSTILE)
    hostile = CellRecord(
        HOSTILE, {"base": HOSTILE}, Status.ERROR, Status.PASSED, as_expected=False, reason=HOSTILE, diagnosis=(finding,)
    )
    return RunRecord(
        schema=SCHEMA,
        id=f"id{HOSTILE}",
        name=HOSTILE,
        started_at=STARTED,
        axes=axes,
        compare="base",
        environment=Environment(docker=HOSTILE, storage=HOSTILE, stand_in_bases=(f"python:3.13 ({HOSTILE})",)),
        cells=(*cells, hostile),
    )
