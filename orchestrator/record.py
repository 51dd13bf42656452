"""The nouns of a result: what a run stored, and what every report renders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from orchestrator.inside import Inventory, Packages, SizedPath, Vulnerabilities, WastedBy, WastedPath
from orchestrator.model import Status
from orchestrator.rules import Rules
from orchestrator.verdicts import Decision, Finding, Gate, Verdict

SCHEMA = 1


class Environment(Struct, frozen=True):
    """The machine and the tools a run was measured with."""

    docker: str | None = None
    buildx: str | None = None
    buildkit: str | None = None
    driver: str | None = None
    builder: str | None = None
    storage: str | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    platform: str | None = None
    cgroup: str | None = None
    python: str | None = None
    tool: str | None = None
    stand_in_bases: tuple[str, ...] = ()
    cpu: str | None = None
    builder_limits: Mapping[str, str] | None = None
    endpoints: tuple[str, ...] | None = None  # where the nodes of a remote builder are
    product: str | None = None  # the engine's: `docker` is its version, Docker's or Podman's


class RunInputs(Struct, frozen=True):
    """What a run was started from."""

    matrix_digest: str | None = None
    lock_digest: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None


class Base(Struct, frozen=True):
    """A base image as the build resolved it."""

    ref: str
    digest: str


class CellInputs(Struct, frozen=True):
    """What a cell was built from."""

    dockerfile_digest: str | None = None
    context_digest: str | None = None
    base: tuple[Base, ...] = ()
    requirements_digest: str | None = None
    args: Mapping[str, str] | None = None
    stand_in: str | None = None
    options: Mapping[str, str] | None = None  # what else a build is told: target, platform, contexts, names of secrets
    smoke_digest: str | None = None
    images: Mapping[str, str] | None = None  # contexts that are images, which a lock pins; none where there are none
    beside_digest: str | None = None  # of files in its contexts that some cell names, and so has in its digests


class Layer(Struct, frozen=True):
    """One layer of an image and the instruction that made it."""

    digest: str
    instruction: str | None
    compressed_bytes: int | None
    uncompressed_bytes: int | None
    wasted_bytes: int | None = None
    problem: str | None = None
    package_bytes: int | None = None  # of its files, what can be seen in the image and belongs to a package


class Image(Struct, frozen=True):
    """A cell's image, its sizes and what it holds; unique is what no other cell of the run has."""

    digest: str
    compressed_bytes: int | None = None
    compressed_estimated: bool = False
    uncompressed_bytes: int | None = None
    over_base_bytes: int | None = None
    wasted_bytes: int | None = None
    layers: tuple[Layer, ...] = ()
    packages: Packages | None = None
    unique_bytes: int | None = None
    unique_compressed_bytes: int | None = None
    wasted_paths: tuple[WastedPath, ...] = ()
    wasted_by: tuple[WastedBy, ...] = ()
    largest_files: tuple[SizedPath, ...] = ()
    largest_folders: tuple[SizedPath, ...] = ()
    inventory: Inventory | None = None
    vulnerabilities: Vulnerabilities | None = None
    base_layers: int | None = None  # how many of the layers are the base's


class Usage(Struct, frozen=True):
    """What a step used of the machine, where the builder's cgroups tell."""

    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None


class Step(Struct, frozen=True):
    """One Dockerfile step as it went in one cell's build."""

    name: str
    stage: str | None
    instruction: str
    started_at: datetime | None
    duration_s: float | None
    outcome: str
    ran_in: str | None = None
    digest: str | None = None  # the builder's own name for it, the same in every cell
    usage: Usage | None = None


class Scenario(Struct, frozen=True):
    """A build timed by itself again and again, each time under the same circumstances."""

    name: str
    samples_s: tuple[float, ...]
    median_s: float | None
    spread_s: float | None
    outliers: int = 0


class Build(Struct, frozen=True):
    """How a cell's build went, and how its times were taken."""

    timing: str
    jobs: int
    wall_s: float
    own_s: float | None = None
    shared_s: float | None = None
    alone_s: float | None = None
    started_at: datetime | None = None  # by the builder's clock, as the steps' times are
    pull_s: float | None = None
    export_s: float | None = None
    cached_steps: int | None = None
    total_steps: int | None = None
    samples_s: tuple[float, ...] = ()
    median_s: float | None = None
    spread_s: float | None = None
    steps: tuple[Step, ...] = ()
    scenarios: tuple[Scenario, ...] = ()
    cpu_s: float | None = None  # of all steps that ran, here or in a cell that was joined
    platform: str | None = None  # the one asked for, or the builder's own
    emulated: bool | None = None
    foreign_base: str | None = None  # one that is for another platform than the build, of which the builder only warns


class CheckResult(Struct, frozen=True):
    """How one check of a cell went."""

    name: str
    outcome: str
    reason: str | None = None
    detail: str | None = None
    duration_s: float | None = None
    runner: str | None = None  # container or graph; a run that is older had containers only


class Smoke(Struct, frozen=True):
    """How all checks of a cell went."""

    outcome: str
    checks: tuple[CheckResult, ...] = ()


class Foretold(Struct, frozen=True):
    """What `matrix preflight` had foretold of a cell's build."""

    outlook: str
    why: tuple[str, ...]
    at: str


class CellRecord(Struct, frozen=True):
    """All that is known of a cell after a run."""

    id: str
    axes: Mapping[str, str]
    status: Status
    expected: Status
    as_expected: bool
    reason: str | None = None
    inputs: CellInputs = CellInputs()
    image: Image | None = None
    build: Build | None = None
    smoke: Smoke | None = None
    diagnosis: tuple[Finding, ...] = ()
    trace_id: str | None = None
    attempts: int = 0
    foretold: Foretold | None = None
    carried_from: str | None = None  # the run that built and tested it, where nothing had changed since
    part: str | None = None  # the run that it comes from, where machines of a merged run were unlike
    expected_reason: str | None = None  # what matrix.yaml says of an end that it expects


class Noise(Struct, frozen=True):
    """What one cell, measured as if it were two, says of chance."""

    scenario: str
    a_s: tuple[float, ...]
    b_s: tuple[float, ...]
    share: float | None


class Measurement(Struct, frozen=True):
    """How the isolated measurements of a run were taken."""

    rounds: int
    seed: int
    control: str
    noise: tuple[Noise, ...] = ()
    warnings: tuple[str, ...] = ()


class Shard(Struct, frozen=True):
    """The part of a plan that one run was given: which of how many, and its cells."""

    number: int
    count: int
    cells: tuple[str, ...]


class Part(Struct, frozen=True):
    """A run that was merged into another: where and when its cells were built."""

    run: str
    shard: Shard
    started_at: datetime
    finished_at: datetime | None
    environment: Environment
    complete: bool
    interrupted: bool


class RunRecord(Struct, frozen=True):
    """One execution of a plan."""

    schema: int
    id: str
    name: str
    started_at: datetime
    axes: tuple[str, ...]
    compare: str
    finished_at: datetime | None = None
    complete: bool = False
    interrupted: bool = False
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    traces_ui: str | None = None
    environment: Environment = Environment()
    inputs: RunInputs = RunInputs()
    measurement: Measurement | None = None
    cells: tuple[CellRecord, ...] = ()
    claims: tuple[Verdict, ...] = ()
    decision: Decision | None = None
    gates: tuple[Gate, ...] = ()
    rules: Rules | None = None  # unknown of runs older than rules are stored
    baseline: str | None = None  # the run that growth was held against
    excerpt_of: int | None = None  # how many cells the run has, where a report was asked for some of them
    planned: tuple[str, ...] = ()  # all cells of the plan, where this run is a shard of it or made of shards
    shard: Shard | None = None
    parts: tuple[Part, ...] = ()
