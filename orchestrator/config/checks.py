"""The shapes of the checks in matrix.yaml, each with the one key that names its kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from orchestrator.config.words import REQUEST_PATH, Duration, Flag, Noun, Number, Size, Text, Whole


class _Check(Noun):
    timeout: Duration | None = Field(
        None,
        description="how long this check may take; unless told 60s for import, run and each test of a structure file, "
        "120s for probe, and for http and healthy 10s more than within",
    )
    memory: Size | None = Field(None, description="memory limit of its container", json_schema_extra={"default": "512MiB"})
    pids: Whole | None = Field(
        None, ge=1, le=100_000, description="process limit of its container", json_schema_extra={"default": 256}
    )
    cpus: Annotated[float, Field(ge=0.01, le=1024), Number] | None = Field(
        None, description="processor limit of its container", json_schema_extra={"default": 2}
    )
    capabilities: list[str] | None = Field(None, description="capabilities to keep; none unless told")
    network: Literal["none", "internal", "bridge"] | None = Field(
        None,
        description="internal has no way out, and is what http has for none",
        json_schema_extra={"default": "none"},
    )
    writable: Flag | None = Field(
        None, description="whether the root file system may be written", json_schema_extra={"default": False}
    )


class ImportCheck(_Check):
    """Import Python modules, each in a process of its own."""

    modules: list[str] = Field(alias="import", min_length=1, description="the modules, by the image's own Python")


class RunCheck(_Check):
    """Run a command in the image."""

    run: list[Text] = Field(min_length=1, description="the program and its arguments, without a shell")
    exit: Whole = Field(0, ge=0, le=255, description="the exit code that it has to end with")
    stdout: str | None = Field(None, description="a regular expression that has to match somewhere in all that it prints")


class Http(Noun):
    """A request to the running image and the answer it must give."""

    port: Whole = Field(ge=1, le=65535, description="the port at which the image's command listens")
    path: str = Field("/", pattern=REQUEST_PATH, description="what is asked for, by GET")
    status: Whole = Field(200, ge=100, le=599, description="the status of the answer; redirects are not followed")
    header: dict[str, str] = Field(default_factory=dict, description="regular expressions for headers of the answer, by name")
    body: str | None = Field(None, description="a regular expression that has to match somewhere in the body")
    within: Duration = Field(
        30.0, description="how long it is asked again until the answer is the right one", json_schema_extra={"default": "30s"}
    )


class HttpCheck(_Check):
    """Start the image and ask it something."""

    http: Http = Field(description="the request, and the answer")


class Healthy(Noun):
    """How long the image's own HEALTHCHECK may take to pass."""

    within: Duration = Field(
        30.0, description="how long it is tried again, every second, until it passes", json_schema_extra={"default": "30s"}
    )


class HealthyCheck(_Check):
    """Start the image and wait for its own HEALTHCHECK."""

    healthy: Annotated[Healthy | None, AfterValidator(lambda value: value or Healthy())] = Field(
        description="how long it may take, or nothing"
    )


class ProbeCheck(_Check):
    """Run one of matrix's own probes inside the image."""

    probe: Literal["otlp-grpc", "otlp-http", "telemetry", "tls", "timezone", "locale", "dns", "native", "pyroscope"] = Field(
        description="which one; it needs a Python in the image"
    )


class StructureCheck(_Check):
    """Run a container-structure-test file."""

    structure: str = Field(description="the file")


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
