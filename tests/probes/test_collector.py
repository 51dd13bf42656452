"""The probes' own collector and service starter, against real exporters and a real process, without a container."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from orchestrator.probes import INPUT_VARIABLE
from orchestrator.probes._collector import Collector
from orchestrator.probes._otlp import probe_otlp
from orchestrator.probes._prelude import ProbeError, SkipProbe, patient, require
from orchestrator.probes._service import ServiceFailed, run_exporting_service, run_service
from orchestrator.probes.telemetry import CLIENT, RESOURCE, SERVER, judge


@pytest.mark.parametrize(("protocol", "first_bytes"), [("grpc", "gRPC"), ("http/protobuf", "OTLP over HTTP")])
def test_what_an_exporter_sends_arrives_and_a_wrong_port_is_told_by_its_first_bytes(
    monkeypatch: pytest.MonkeyPatch, protocol: str, first_bytes: str
) -> None:
    """Both protocols, through the SDK that is installed here."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    outcome, reason, detail = probe_otlp(protocol)
    assert (outcome, reason) == ("passed", f"a span and a metric arrived over {protocol}")
    assert detail["arrived"] == {"span": True, "metric": True}
    assert detail["wrong_port"]["received"] == first_bytes
    assert detail["wrong_port"]["exporter_says"] == "FAILURE"


def test_grpc_at_the_http_port_is_a_stranger() -> None:
    """Nothing of it is decoded, and it is called by its name."""
    collector = Collector()
    span = TracerProvider().get_tracer("test").start_span("lost")
    span.end()
    assert isinstance(span, ReadableSpan)
    exporter = OTLPSpanExporter(endpoint=collector.listen_http(), insecure=True, timeout=1)
    assert exporter.export([span]) is SpanExportResult.FAILURE
    exporter.shutdown()
    assert collector.wait(lambda: "gRPC" in collector.strangers, 5)
    assert collector.spans == []


def give(monkeypatch: pytest.MonkeyPatch, **given: object) -> None:
    """Tell the probe about its image."""
    monkeypatch.setenv(INPUT_VARIABLE, json.dumps(given))


def test_the_images_command_is_started_asked_and_stopped(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    """The service of the standard library stands for it."""
    give(monkeypatch, command=[sys.executable, "-m", "app.plain"], port=unused_port)
    folder = str(Path(__file__).parents[2] / "dockerfiles")
    with run_service({"PORT": str(unused_port), "PYTHONPATH": folder}) as service:
        assert service.get("/healthz")[0] == 200
        assert service.get("/other")[0] == 404
    assert service.process.returncode is not None


TELLS_ITS_ENVIRONMENT = """
import http.server, json, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_nothing_of_the_images_own_environment_leads_telemetry_elsewhere(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    """A variable of one signal wins over the general one, a sampler drops spans, and the collector here has no certificate."""
    give(monkeypatch, command=[sys.executable, "-c", TELLS_ITS_ENVIRONMENT], port=unused_port)
    own = {f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT": "https://elsewhere:4318" for signal in ("TRACES", "METRICS", "LOGS")}
    own |= {f"OTEL_EXPORTER_OTLP_{name}": "x" for name in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE", "INSECURE")}
    own |= {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "a=b"}
    kept = {"OTEL_EXPORTER_OTLP_HEADERS": "a=b", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_SERVICE_NAME": "shop"}
    for name, value in {**own, **kept, "OTEL_TRACES_SAMPLER": "always_off"}.items():
        monkeypatch.setenv(name, value)
    collector = Collector()
    with run_exporting_service(collector, PORT=str(unused_port)) as service:
        found = json.loads(service.get("/")[2])
    assert not own.keys() & found.keys()
    assert found.items() >= kept.items()
    assert found["OTEL_TRACES_SAMPLER"] == "always_on"
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"].startswith("http://127.0.0.1:")


def test_a_command_that_ends_is_reported_with_its_last_words(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    """There is nothing left to wait for then."""
    give(monkeypatch, command=[sys.executable, "-c", "raise SystemExit('no module named shop')"], port=unused_port)
    with pytest.raises(ServiceFailed, match="the image's command ended with 1: no module named shop"), run_service({}):
        pass


def test_without_a_command_a_probe_of_the_service_cannot_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is the runner's fault and not the image's."""
    give(monkeypatch)
    with pytest.raises(ProbeError, match="the runner named no command"), run_service({}):
        pass


def test_a_probe_is_as_patient_as_the_check_and_never_less_than_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an emulated or a busy machine all that it waits for takes longer."""
    give(monkeypatch)
    assert patient(10) == 10
    give(monkeypatch, patience=2.5)
    assert patient(10) == 25
    give(monkeypatch, patience=0.1)
    assert patient(10) == 10


def test_a_probe_names_what_is_not_in_the_image() -> None:
    """All of it at once."""
    with pytest.raises(SkipProbe, match=r"not in the image: no_such_package, json\.no_such_module"):
        require("json", "no_such_package", "json.no_such_module")


def make_collected(span_id: str, parent: str, kind: int) -> dict[str, object]:
    """Make a span as the collector keeps it."""
    return {"trace": "a" * 32, "id": span_id, "parent": parent, "kind": kind, "status": 0, "resource": dict(RESOURCE)}


def test_an_instrumentation_that_is_left_out_is_missed() -> None:
    """A service without its client's instrumentation answers all the same: only what does not arrive gives it away."""
    collector = Collector()
    collector.spans += [make_collected("1", "", SERVER), make_collected("2", "1", CLIENT), make_collected("3", "2", SERVER)]
    whole = judge(collector, "a" * 32, "b" * 32)
    assert (whole["server_span"], whole["client_span"], whole["called_span"], whole["resource"]) == (True,) * 4
    del collector.spans[1]
    missing = judge(collector, "a" * 32, "b" * 32)
    assert (missing["server_span"], missing["client_span"], missing["called_span"]) == (True, False, False)
