"""The probes in images of the real service: what works, what is skipped and what could not be tried."""

from __future__ import annotations

import pytest

from orchestrator.probes import PROBE_NAMES
from tests.probes.containers import Build, build, run_probe

pytestmark = [pytest.mark.engine, pytest.mark.lab, pytest.mark.long]

FULL = "fastapi-pyroscope"


def make(requirements: str, base: str = "slim") -> Build:
    """Build the service with one dependency set."""
    name = f"{base}-{requirements}"
    return build(name, f"dockerfiles/{base}.Dockerfile", REQUIREMENTS=f"dockerfiles/deps/{requirements}.txt")


@pytest.mark.parametrize("probe", sorted(set(PROBE_NAMES) - {"telemetry"}))
def test_every_probe_passes_with_all_packages_on_glibc(probe: str) -> None:
    """Nothing of it is a problem of the probes themselves."""
    answer = run_probe(make(FULL).built(), probe)
    assert (answer.outcome, answer.reason) == ("passed", answer.reason)


OWN_COMMAND = (
    *("call_answers", "error_answers", "header_is_the_trace", "server_span", "client_span", "called_span"),
    *("error_span", "log", "metrics", "system_metrics", "resource"),
)


def test_telemetry_is_seen_from_the_request_to_the_last_worker_on_musl() -> None:
    """Each fact about the telemetry is one of its own."""
    answer = run_probe(make(FULL, "alpine").built(), "telemetry")
    assert answer.detail["own_command"] == dict.fromkeys(OWN_COMMAND, True)
    assert answer.detail["gunicorn"] == {"spans_of_every_worker": True, "metrics_of_every_worker_go_on": True}
    assert answer.detail["prometheus"] == {"metrics": True, "system_metrics": True}
    assert answer.outcome == "passed"


@pytest.mark.parametrize("variant", ["alpine-single-stage", "alpine-debug"])
def test_the_other_dockerfiles_of_alpine_make_the_same_service(variant: str) -> None:
    """They differ in what they leave behind, not in what works."""
    assert run_probe(make(FULL, variant).built(), "otlp-grpc").outcome == "passed"


def test_a_command_that_ends_is_the_images_failure() -> None:
    """Its last words are the reason."""
    answer = run_probe(make("fastapi").built(), "telemetry", "--env", "PYROSCOPE_SERVER_ADDRESS=http://127.0.0.1:1")
    assert answer.outcome == "failed"
    assert "own_command: the image's command ended with 1: ModuleNotFoundError" in answer.reason


@pytest.mark.parametrize("probe", ["otlp-grpc", "otlp-http", "telemetry", "pyroscope", "native"])
def test_what_is_not_in_the_image_is_skipped_and_not_passed(probe: str) -> None:
    """The reason says what is not there."""
    answer = run_probe(make("stdlib").built(), probe)
    assert answer.outcome == "skipped"
    assert answer.reason.startswith(("not in the image: ", "no native files"))


@pytest.mark.parametrize(("probe", "protocol", "port"), [("otlp-grpc", "grpc", 4318), ("otlp-http", "http/protobuf", 4317)])
def test_a_protocol_that_is_sent_to_the_wrong_port_is_reported_as_such(probe: str, protocol: str, port: int) -> None:
    """A protocol that does not fit its port gives silence, so the settings are compared."""
    settings = [f"--env=OTEL_EXPORTER_OTLP_PROTOCOL={protocol}", f"--env=OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:{port}"]
    answer = run_probe(make(FULL).built(), probe, *settings)
    assert answer.outcome == "failed"
    assert answer.reason.startswith(f"{protocol} is sent to the wrong port: http://collector:{port}")


@pytest.mark.parametrize(
    ("probe", "reason"), [("tls", "adding a CA is not allowed here"), ("dns", "/etc/resolv.conf must be writable")]
)
def test_a_probe_that_cannot_do_its_work_says_nothing_about_the_image(probe: str, reason: str) -> None:
    """Without the rights that it needs, the outcome is an error."""
    answer = run_probe("python:3.13-slim", probe, "--user", "65532")
    assert answer.outcome == "error"
    assert answer.reason.startswith(reason)
