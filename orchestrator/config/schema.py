"""The shape of matrix.yaml: one definition for checking it and for `matrix schema`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from orchestrator.config.checks import Check
from orchestrator.config.words import (
    AXIS_NAMES,
    BUILDER_NAME,
    LIBC,
    NETWORK,
    TRACE_PAGE,
    AxisName,
    AxisValue,
    Duration,
    Flag,
    Name,
    Noun,
    Number,
    Percent,
    Size,
    Text,
    Values,
    Version,
    Where,
    Whole,
)
from orchestrator.rules import Metric, Relation, Requirement


def _only(name: str) -> JsonDict:
    """Give the JSON Schema of a mapping that has a text under a name."""
    return {"required": [name], "properties": {name: {"type": "string"}}}


class Secret(Noun):
    """Where a build secret comes from: a file, a variable, or a variable that names a file."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_only(name) for name in ("file", "env", "file_env")]})
    file: str | None = Field(None, min_length=1)
    env: str | None = Field(None, min_length=1)
    file_env: str | None = Field(None, min_length=1, description="the variable that holds the file's path; not given when unset")
    optional: Flag = False

    @model_validator(mode="after")
    def _has_one_source(self) -> Secret:
        if sum(source is not None for source in (self.file, self.env, self.file_env)) != 1:
            message = "a secret has one of the keys file, env, file_env, and one only"
            raise ValueError(message)
        return self


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
    network: str | None = Field(None, pattern=NETWORK)
    requirements: str | None = None
    source: str | None = Field(None, description="a file of the app, which `--scenario code` changes")
    libc: str | None = Field(None, pattern=LIBC)
    push: str | None = Field(None, description="the reference to push the cell's image to")
    cache: Cache | None = None
    smoke: list[Check] | None = None
    timeout: Timeout | None = None
    retries: Whole | None = Field(None, ge=0, le=10)


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
    must: Flag = False


class Preference(Noun):
    """A figure that decides, and how much it weighs."""

    metric: Metric
    weight: Annotated[float, Field(gt=0, le=1_000_000), Number] = 1.0


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
    compiled: Whole | None = Field(None, ge=0, description="how many packages may be compiled in cells with such a step")


class Node(Noun):
    """A further node of the builder."""

    endpoint: str | None = Field(None, description="of another remote builder, or a context of docker")
    platforms: list[str] = Field(default_factory=list, description="what it builds for, where it is to be told")
    options: dict[str, Text] = Field(default_factory=dict, description="its own driver options, besides those of the builder")


class Builder(Noun):
    """The builder that builds every cell."""

    name: Annotated[str, Field(pattern=BUILDER_NAME)] = "matrix"
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

    ui: str | None = Field(None, pattern=TRACE_PAGE, description="a page on a cell's trace")


class MatrixFile(Noun):
    """matrix.yaml: base images, Python versions and dependency sets to build and compare."""

    version: Annotated[Literal[1], Version]
    name: Name
    axes: dict[AxisName, Annotated[list[AxisValue], Field(min_length=1)]] = Field(min_length=1, json_schema_extra=AXIS_NAMES)
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
