"""The nouns of a plan: cells, their settings and the checks they must pass."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

LABEL = "io.matrix"  # the prefix of every label by which matrix knows what it made
STAND_IN_LABEL = f"{LABEL}.stand-in"  # on a base that only stands for the real one; images built on it inherit it

Pairs = tuple[tuple[str, str], ...]


class Status(StrEnum):
    """How a cell ended."""

    PASSED = "passed"
    BUILD_FAILED = "build-failed"
    SMOKE_FAILED = "smoke-failed"
    TIMEOUT = "timeout"
    ERROR = "error"
    EXCLUDED = "excluded"
    SKIPPED = "skipped"

    @property
    def is_left_out(self) -> bool:
        """Tell whether such a cell was never tried."""
        return self in (Status.EXCLUDED, Status.SKIPPED)


class Limits(Struct, frozen=True):
    """What a check's container may use; the defaults are what a hostile image gets."""

    timeout_s: float | None = None
    memory_bytes: int = 512 * 1024**2
    pids: int = 256
    capabilities: tuple[str, ...] = ()
    network: str = "none"
    writable: bool = False
    user: str | None = None
    cpus: float = 2.0


class ImportCheck(Struct, frozen=True, tag="import"):
    """Import each Python module in a process of its own."""

    modules: tuple[str, ...]
    limits: Limits = Limits()


class RunCheck(Struct, frozen=True, tag="run"):
    """Run a command in the image and look at its exit code and output."""

    argv: tuple[str, ...]
    exit: int = 0
    stdout: str | None = None
    limits: Limits = Limits()


class HttpCheck(Struct, frozen=True, tag="http"):
    """Start the image and ask it something over HTTP."""

    port: int
    path: str = "/"
    status: int = 200
    header: Pairs = ()
    body: str | None = None
    within_s: float = 30.0
    limits: Limits = Limits()


class HealthyCheck(Struct, frozen=True, tag="healthy"):
    """Start the image and wait for its own HEALTHCHECK."""

    within_s: float = 30.0
    limits: Limits = Limits()


class ProbeCheck(Struct, frozen=True, tag="probe"):
    """Run one of matrix's own probes inside the image."""

    probe: str
    limits: Limits = Limits()


class StructureCheck(Struct, frozen=True, tag="structure"):
    """Run the tests of a container-structure-test file."""

    file: str
    limits: Limits = Limits()


Check = ImportCheck | RunCheck | HttpCheck | HealthyCheck | ProbeCheck | StructureCheck


class Secret(Struct, frozen=True):
    """Where a build secret comes from; its value never passes through matrix."""

    id: str
    file: str | None = None
    env: str | None = None
    file_env: str | None = None
    optional: bool = False


class Timeouts(Struct, frozen=True):
    """How long the two long parts of a cell may take."""

    build_s: float = 1800.0
    smoke_s: float = 300.0


class Settings(Struct, frozen=True):
    """All that says how one cell is built and tested; paths are as the file has them."""

    dockerfile: str = "Dockerfile"
    context: str = "."
    contexts: Pairs = ()
    target: str | None = None
    args: Pairs = ()
    secret_args: Pairs = ()
    secrets: tuple[Secret, ...] = ()
    platform: str | None = None
    env: Pairs = ()
    labels: Pairs = ()
    network: str | None = None
    requirements: str | None = None
    source: str | None = None
    libc: str | None = None
    push: str | None = None
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    smoke: tuple[Check, ...] = ()
    timeout: Timeouts = Timeouts()
    retries: int = 2


class Cell(Struct, frozen=True):
    """One combination of axis values and what follows from it."""

    id: str
    axes: Pairs
    settings: Settings
    expected: Status = Status.PASSED
    expected_reason: str | None = None

    def axis(self, name: str) -> str:
        """Give this cell's value on an axis."""
        return next(value for axis, value in self.axes if axis == name)


class ExcludedCell(Struct, frozen=True):
    """A combination that is left out on purpose, and why."""

    id: str
    axes: Pairs
    reason: str | None


class Plan(Struct, frozen=True):
    """Everything that would run, in axis order, before anything does."""

    name: str
    axes: tuple[str, ...]
    cells: tuple[Cell, ...]
    excluded: tuple[ExcludedCell, ...]


class Route(Struct, frozen=True):
    """What buildx chooses a BuildKit by: of several nodes by the platform, of the pods of a cluster by the context's folder."""

    platform: str | None = None
    folder: str | None = None


class NodeSpec(Struct, frozen=True):
    """A further node of a builder: another machine, or another platform of the same cluster."""

    endpoint: str | None = None
    platforms: tuple[str, ...] = ()
    options: Pairs = ()


class BuilderSpec(Struct, frozen=True):
    """The builder that matrix.yaml asks for."""

    name: str = "matrix"
    driver: str = "auto"
    image: str = "moby/buildkit:buildx-stable-1"
    network: str = "host"
    endpoint: str | None = None
    env: Pairs = ()
    options: Pairs = ()
    mirrors: tuple[tuple[str, tuple[str, ...]], ...] = ()
    platforms: tuple[str, ...] = ()
    nodes: tuple[NodeSpec, ...] = ()
    smoke: str = "auto"
    why_in_engine: str = "matrix.yaml asks for it"

    @property
    def needs_engine(self) -> bool:
        """Tell whether nothing can be built or tested without an engine on this side."""
        return not self.is_elsewhere or self.smoke == "container"

    @property
    def is_elsewhere(self) -> bool:
        """Tell whether other machines build than the engine's."""
        return self.driver in ("remote", "kubernetes")
