"""The shape of matrix.yaml: one definition for checking it and for `matrix schema`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from orchestrator.config.words import AxisName, AxisValue, Duration, Name, Noun, Percent, Size, Text, Values, Where
from orchestrator.rules import Metric, Relation, Requirement


class _Check(Noun):
    timeout: Duration | None = Field(None, description="how long this check may take")
    memory: Size | None = Field(None, description="memory limit of its container; 512MiB unless told")
    pids: int | None = Field(None, ge=1, le=100_000, description="process limit of its container; 256 unless told")
    cpus: float | None = Field(None, ge=0.01, le=1024, description="processor limit of its container; 2 unless told")
    capabilities: list[str] | None = Field(None, description="capabilities to keep; none unless told")
    network: Literal["none", "internal", "bridge"] | None = Field(None, description="none unless told; without a way out for http")
    writable: bool | None = Field(None, description="whether the root file system may be written; read-only unless told")


class ImportCheck(_Check):
    """Import Python modules, each in a process of its own."""

    modules: list[str] = Field(alias="import", min_length=1)


class RunCheck(_Check):
    """Run a command in the image."""

    run: list[Text] = Field(min_length=1)
    exit: int = Field(0, ge=0, le=255)
    stdout: str | None = Field(None, description="a regular expression that its output must hold")


class Http(Noun):
    """A request to the running image and the answer it must give."""

    port: int = Field(ge=1, le=65535)
    path: str = Field("/", pattern=r"^/")
    status: int = Field(200, ge=100, le=599)
    header: dict[str, str] = Field(default_factory=dict, description="name: regular expression")
    body: str | None = Field(None, description="a regular expression")
    within: Duration = 30.0


class HttpCheck(_Check):
    """Start the image and ask it something."""

    http: Http


class Healthy(Noun):
    """How long the image's own HEALTHCHECK may take to pass."""

    within: Duration = 30.0


class HealthyCheck(_Check):
    """Start the image and wait for its own HEALTHCHECK."""

    healthy: Annotated[Healthy | None, AfterValidator(lambda value: value or Healthy())]


class ProbeCheck(_Check):
    """Run one of matrix's own probes inside the image."""

    probe: Literal["otlp-grpc", "otlp-http", "telemetry", "tls", "timezone", "locale", "dns", "native", "pyroscope"]


class StructureCheck(_Check):
    """Run a container-structure-test file."""

    structure: str


CHECKS: dict[str, type[_Check]] = {
    "import": ImportCheck,
    "run": RunCheck,
    "http": HttpCheck,
    "healthy": HealthyCheck,
    "probe": ProbeCheck,
    "structure": StructureCheck,
}


def _check_kind(value: object) -> str | None:
    """Tell a check's kind by the one key that names it."""
    if isinstance(value, dict):
        return next((kind for kind in CHECKS if kind in value), None)
    return next((kind for kind, model in CHECKS.items() if isinstance(value, model)), None)


Check = Annotated[
    Annotated[ImportCheck, Tag("import")]
    | Annotated[RunCheck, Tag("run")]
    | Annotated[HttpCheck, Tag("http")]
    | Annotated[HealthyCheck, Tag("healthy")]
    | Annotated[ProbeCheck, Tag("probe")]
    | Annotated[StructureCheck, Tag("structure")],
    Discriminator(
        _check_kind,
        custom_error_type="check_kind",
        custom_error_message="a check has one of the keys import, run, http, healthy, probe, structure",
    ),
]


class Secret(Noun):
    """Where a build secret comes from: a file, a variable, or a variable that names a file."""

    file: str | None = None
    env: str | None = None
    file_env: str | None = Field(None, description="the variable that holds the file's path; not given when unset")
    optional: bool = False


class Timeout(Noun):
    """How long a cell's build, and all its checks together, may take."""

    build: Duration | None = None
    smoke: Duration | None = None


class Cache(Noun):
    """Caches to read and to write, as buildx takes them."""

    from_: list[str] = Field(default_factory=list, alias="from")
    to: list[str] = Field(default_factory=list)


class Settings(Noun):
    """Settings of a cell."""

    dockerfile: str | None = None
    context: str | None = None
    contexts: dict[str, Text] | None = None
    target: str | None = None
    args: dict[str, Text] | None = None
    secret_args: dict[str, str] | None = Field(None, description="build arguments from variables of the environment; shown nowhere")
    secrets: dict[str, Secret] | None = None
    platform: str | None = None
    env: dict[str, Text] | None = None
    labels: dict[str, Text] | None = None
    network: str | None = Field(None, pattern=r"^(default|none|host|\{.*\})$")
    requirements: str | None = None
    source: str | None = Field(None, description="a file of the app, which `--scenario code` changes")
    libc: str | None = Field(None, pattern=r"^(musl|glibc|\{.*\})$")
    push: str | None = Field(None, description="the reference to push the cell's image to")
    cache: Cache | None = None
    smoke: list[Check] | None = None
    timeout: Timeout | None = None
    retries: int | None = Field(None, ge=0, le=10)


class _Selection(BaseModel):
    """Cells by their values: one value, a list of values or a glob for each axis that matters."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    __pydantic_extra__: dict[str, Values] = Field(init=False)
    reason: str | None = None

    @property
    def where(self) -> Mapping[str, Sequence[str]]:
        """Give the axes and values named."""
        return self.__pydantic_extra__


class Exclude(_Selection):
    """Cells that are left out; they stay in the report, with the reason."""


class Expect(_Selection):
    """Cells that end otherwise than by passing; then that is what passes."""

    outcome: Literal["passed", "build-failed", "smoke-failed", "timeout", "error"]


class Claim(Noun):
    """A statement put to the test."""

    say: str = Field(min_length=1)
    metric: Metric = Field("size", description="the figure that is compared; `fails` and `passes` are about the outcome")
    left: Where
    right: Where | None = Field(None, description="what it is compared with, on the same values of all other axes")
    value: Text | None = Field(None, description="a figure to compare with instead of cells: 240MB, 90s, 12 or 50%")
    is_: Relation = Field(alias="is")
    by: Percent | None = Field(None, description="by which share of the right figure at least; for `equal`, at most")
    must: bool = False


class Preference(Noun):
    """A figure that decides, and how much it weighs."""

    metric: Metric
    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0


class Decide(Noun):
    """The rule by which one value of an axis is taken."""

    between: str
    require: list[Requirement] = Field(default_factory=list, description="what a cell must be to be taken at all")
    prefer: list[Preference] = Field(default_factory=list, description="what decides between those; the size unless told")


class Growth(Noun):
    """How much a figure may grow against the baseline; times only where both runs were measured with --measure."""

    size: Percent | None = None
    build_time: Percent | None = None


class Budget(Noun):
    """A limit on figures."""

    where: Where = Field(default_factory=dict)
    size: Size | None = Field(None, description="of the compressed image")
    build_time: Duration | None = Field(None, description="the isolated median where measured, or what it would have taken alone")
    growth: Growth | None = None
    step: str | None = Field(None, description="a glob on instructions, which max and compiled are about: '*pip install*'")
    max: Duration | None = Field(None, description="how long such a step may run")
    compiled: int | None = Field(None, ge=0, description="how many packages may be compiled in cells with such a step")


class Node(Noun):
    """A further node of the builder."""

    endpoint: str | None = Field(None, description="of another remote builder, or a context of docker")
    platforms: list[str] = Field(default_factory=list, description="what it builds for, where it is to be told")
    options: dict[str, Text] = Field(default_factory=dict, description="its own driver options, besides those of the builder")


class Builder(Noun):
    """The builder that builds every cell."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")] = "matrix"
    driver: Literal["auto", "docker", "docker-container", "kubernetes", "remote"] = "auto"
    image: str = "moby/buildkit:buildx-stable-1"
    network: str = "host"
    endpoint: str | None = Field(None, description="of a remote builder, as buildx takes it")
    env: dict[str, Text] = Field(default_factory=dict)
    options: dict[str, Text] = Field(default_factory=dict, description="further driver options, as buildx takes them")
    mirrors: dict[str, list[str]] = Field(default_factory=dict)
    platforms: list[str] = Field(default_factory=list, description="what its first node builds for, where it is to be told")
    nodes: list[Node] = Field(default_factory=list, description="further nodes; each cell goes to one that fits its platform")
    smoke: Literal["auto", "container", "graph"] = Field(
        "auto",
        description="where checks run: in containers of the engine, as steps of builds, or where the image need not be moved",
    )


class Traces(Noun):
    """Where traces can be looked at."""

    ui: str | None = Field(None, pattern=r"^https?://[^/\s@]+/\S*\{trace_id\}\S*$", description="a page on a cell's trace")


class MatrixFile(Noun):
    """matrix.yaml: base images, Python versions and dependency sets to build and compare."""

    version: Literal[1]
    name: Name
    axes: dict[AxisName, Annotated[list[AxisValue], Field(min_length=1)]] = Field(min_length=1)
    defaults: Settings = Field(default_factory=lambda: Settings.model_validate({}))
    settings: dict[str, dict[str, Settings]] = Field(default_factory=dict)
    exclude: list[Exclude] = Field(default_factory=list)
    include: list[dict[str, AxisValue]] = Field(default_factory=list)
    expect: list[Expect] = Field(default_factory=list)
    claims: list[Claim] = Field(default_factory=list)
    decide: Decide | None = None
    budgets: list[Budget] = Field(default_factory=list)
    builder: Builder = Field(default_factory=lambda: Builder.model_validate({}))
    traces: Traces = Field(default_factory=lambda: Traces.model_validate({}))
