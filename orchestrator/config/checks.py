"""The shapes of the checks in matrix.yaml, each with the one key that names its kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from orchestrator.config.words import REQUEST_PATH, Duration, Flag, Noun, Number, Size, Text, Whole


class _Check(Noun):
    timeout: Duration | None = Field(None, description="how long this check may take")
    memory: Size | None = Field(None, description="memory limit of its container; 512MiB unless told")
    pids: Whole | None = Field(None, ge=1, le=100_000, description="process limit of its container; 256 unless told")
    cpus: Annotated[float, Field(ge=0.01, le=1024), Number] | None = Field(
        None, description="processor limit of its container; 2 unless told"
    )
    capabilities: list[str] | None = Field(None, description="capabilities to keep; none unless told")
    network: Literal["none", "internal", "bridge"] | None = Field(None, description="none unless told; without a way out for http")
    writable: Flag | None = Field(None, description="whether the root file system may be written; read-only unless told")


class ImportCheck(_Check):
    """Import Python modules, each in a process of its own."""

    modules: list[str] = Field(alias="import", min_length=1)


class RunCheck(_Check):
    """Run a command in the image."""

    run: list[Text] = Field(min_length=1)
    exit: Whole = Field(0, ge=0, le=255)
    stdout: str | None = Field(None, description="a regular expression that its output must hold")


class Http(Noun):
    """A request to the running image and the answer it must give."""

    port: Whole = Field(ge=1, le=65535)
    path: str = Field("/", pattern=REQUEST_PATH)
    status: Whole = Field(200, ge=100, le=599)
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
