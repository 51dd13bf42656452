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
    ONE_PLATFORM,
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
    file: str | None = Field(None, min_length=1, description="the file whose content is the secret")
    env: str | None = Field(None, min_length=1, description="the variable whose value is the secret")
    file_env: str | None = Field(None, min_length=1, description="the variable that holds the file's path; not given when unset")
    optional: Flag = Field(
        default=False, description="whether the build goes on without it; else a run ends at once where it is not there"
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Secret:
        if sum(source is not None for source in (self.file, self.env, self.file_env)) != 1:
            message = "a secret has one of the keys file, env, file_env, and one only"
            raise ValueError(message)
        return self


class Timeout(Noun):
    """How long a cell's build, and all its checks together, may take."""

    build: Duration | None = Field(None, description="how long a build may take", json_schema_extra={"default": "30m"})
    smoke: Duration | None = Field(None, description="how long all checks may take together", json_schema_extra={"default": "5m"})


class Cache(Noun):
    """Caches to read and to write, as buildx takes them."""

    from_: list[str] = Field(default_factory=list, alias="from", description="caches to read: type=registry,ref=…")
    to: list[str] = Field(default_factory=list, description="caches to write: type=registry,ref=…,mode=max")


class Settings(Noun):
    """Settings of a cell."""

    dockerfile: str | None = Field(
        None,
        description="the Dockerfile: looked for beside matrix.yaml, then in the context; of a remote context, a path in it",
        json_schema_extra={"default": "Dockerfile"},
    )
    context: str | None = Field(
        None,
        description="the build's context: a folder, or an address that the builder fetches",
        json_schema_extra={"default": "."},
    )
    contexts: dict[str, Text] | None = Field(
        None, description="further contexts by name: folders, or what else buildx takes, such as docker-image://alpine"
    )
    target: str | None = Field(None, min_length=1, description="the stage that is built; the last one unless told")
    args: dict[str, Text] | None = Field(None, description="build arguments by name")
    secret_args: dict[str, str] | None = Field(None, description="build arguments from variables of the environment; shown nowhere")
    secrets: dict[str, Secret] | None = Field(None, description="secrets by id, for RUN --mount=type=secret")
    platform: str | None = Field(
        None,
        min_length=1,
        pattern=ONE_PLATFORM,
        description="the platform to build for and to test on, such as linux/arm64; the builder's own unless told",
    )
    env: dict[str, Text] | None = Field(None, description="variables of the checks by name; the build does not get them")
    labels: dict[str, Text] | None = Field(None, description="labels of the image by name, besides those of matrix itself")
    network: str | None = Field(None, pattern=NETWORK, description="the network of RUN steps: default, none or host")
    requirements: str | None = Field(
        None,
        description="the file of what is installed, which preflight, lock and `--scenario deps` are about; "
        "the build gets its path in the context as the argument REQUIREMENTS",
    )
    source: str | None = Field(None, description="a file of the app, which `--scenario code` changes")
    libc: str | None = Field(
        None,
        pattern=LIBC,
        description="the C library of the base, musl or glibc, by which preflight and lock know which wheels fit",
    )
    push: str | None = Field(None, min_length=1, description="the reference to push the cell's image to")
    cache: Cache | None = Field(None, description="caches of the build outside of the builder")
    smoke: list[Check] | None = Field(
        None, description="checks of the image, in this order; those of defaults and of settings add up"
    )
    timeout: Timeout | None = Field(None, description="how long the build and the checks may take")
    retries: Whole | None = Field(
        None,
        ge=0,
        le=10,
        description="how often a cell is tried again where engine, builder, registry or network failed, not the Dockerfile",
        json_schema_extra={"default": 2},
    )


class _Selection(BaseModel):
    """Cells by their values: one value, a list of values or a glob for each axis that matters."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    __pydantic_extra__: dict[str, Values] = Field(init=False)
    reason: str | None = Field(None, description="why, as reports say it")

    @property
    def where(self) -> Mapping[str, Sequence[str]]:
        """Give the axes and values named."""
        return self.__pydantic_extra__


class Exclude(_Selection):
    """Cells that are left out; they stay in the report, with the reason."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "dependentSchemas": {"reason": {"minProperties": 2}}})


class Expect(_Selection):
    """Cells that end otherwise than by passing; then that is what passes."""

    outcome: Literal["passed", "build-failed", "smoke-failed", "timeout", "error"] = Field(description="how they have to end")


class Claim(Noun):
    """A statement put to the test."""

    say: str = Field(min_length=1, description="the statement in words, as reports show it")
    metric: Metric = Field("size", description="the figure that is compared; `fails` and `passes` are about the outcome")
    left: Where = Field(description="the cells that it is about, by their values: an axis that is not named does not matter")
    right: Where | None = Field(None, description="what it is compared with, on the same values of all other axes")
    value: Text | None = Field(None, description="a figure to compare with instead of cells: 240MB, 90s, 12 or 50%")
    is_: Relation = Field(alias="is", description="what is said of the left figure against the right one")
    by: Percent | None = Field(None, description="by which share of the right figure at least; for `equal`, at most")
    must: Flag = Field(default=False, description="whether a run ends with 5 where it is refuted or mixed")


class Preference(Noun):
    """A figure that decides, and how much it weighs."""

    metric: Metric = Field(description="the figure, of which less is better; no outcome")
    weight: Annotated[float, Field(gt=0, le=1_000_000), Number] = Field(
        1.0, description="the power to which its ratio is taken: at 2, half of it is as good as a quarter at 1"
    )


class Decide(Noun):
    """The rule by which one value of an axis is taken."""

    between: str = Field(description="the axis; cells that are equal on all others are compared")
    require: list[Requirement] = Field(
        default_factory=list,
        description="what a cell must have: an image (build, always), checks that passed (smoke), its expected end (expected)",
    )
    prefer: list[Preference] = Field(default_factory=list, description="what decides between those; the size unless told")


class Growth(Noun):
    """How much a figure may grow against the baseline; times only where both runs were measured with --measure."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    size: Percent | None = Field(None, description="the compressed size, such as 5%")
    build_time: Percent | None = Field(None, description="the isolated median of cold builds, such as 20%")


class Budget(Noun):
    """A limit on figures."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": [of]} for of in ("size", "build_time", "growth", "step")]})
    where: Where = Field(default_factory=dict, description="the cells that it is about, by their values; all unless told")
    size: Size | None = Field(None, description="the most that the compressed image may weigh")
    build_time: Duration | None = Field(
        None, description="the most that a build may take: the isolated median where measured, or what it would have taken alone"
    )
    growth: Growth | None = Field(None, description="the most that figures may grow against the baseline")
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

    name: Annotated[str, Field(pattern=BUILDER_NAME)] = Field("matrix", description="its name in buildx")
    driver: Literal["auto", "docker", "docker-container", "kubernetes", "remote"] = Field(
        "auto", description="where it runs; auto takes a container where its image can be had, or else the engine itself"
    )
    image: str = Field("moby/buildkit:buildx-stable-1", description="BuildKit's image, with docker-container and kubernetes")
    network: str = Field("host", description="the network of its container, with docker-container")
    endpoint: str | None = Field(None, description="of a remote builder, as buildx takes it")
    env: dict[str, Text] = Field(
        default_factory=dict, description="variables of its container, with docker-container, or of its pods, with kubernetes"
    )
    options: dict[str, Text] = Field(default_factory=dict, description="further driver options, as buildx takes them")
    mirrors: dict[str, list[str]] = Field(
        default_factory=dict, description="mirrors by registry, with docker-container and kubernetes: docker.io: [mirror.example]"
    )
    platforms: list[str] = Field(default_factory=list, description="what its first node builds for, where it is to be told")
    nodes: list[Node] = Field(default_factory=list, description="further nodes; each cell goes to one that fits its platform")
    smoke: Literal["auto", "container", "graph"] = Field(
        "auto",
        description="where checks run: in containers, as steps of builds (graph), or where the image need not be moved (auto)",
    )


class Traces(Noun):
    """Where traces can be looked at."""

    ui: str | None = Field(None, pattern=TRACE_PAGE, description="the page of a cell's trace; {trace_id} in it is filled in")


class MatrixFile(Noun):
    """matrix.yaml: base images, Python versions and dependency sets to build and compare."""

    version: Annotated[Literal[1], Version] = Field(description="of this format")
    name: Name = Field(description="of the matrix: history, baseline and images go by it")
    axes: dict[AxisName, Annotated[list[AxisValue], Field(min_length=1)]] = Field(
        min_length=1,
        description="values by axis: each combination is a cell, whose id is its values joined by -",
        json_schema_extra=AXIS_NAMES,
    )
    defaults: Settings = Field(default_factory=lambda: Settings.model_validate({}), description="settings of every cell")
    settings: dict[str, dict[str, Settings]] = Field(
        default_factory=dict, description="settings by axis and value, merged over the defaults in the order of the axes"
    )
    exclude: list[Exclude] = Field(default_factory=list, description="cells that are left out, included ones as well")
    include: list[dict[str, AxisValue]] = Field(
        default_factory=list, description="further cells, each by one value on every axis, which may be a new one"
    )
    expect: list[Expect] = Field(default_factory=list, description="how cells end; the last that fits a cell counts")
    claims: list[Claim] = Field(default_factory=list, description="statements that every run puts to the test")
    decide: Decide | None = Field(None, description="which value of an axis to take")
    budgets: list[Budget] = Field(default_factory=list, description="limits; where one is broken, a run ends with 5")
    builder: Builder = Field(default_factory=lambda: Builder.model_validate({}), description="what builds all cells")
    traces: Traces = Field(default_factory=lambda: Traces.model_validate({}), description="where traces can be looked at")
