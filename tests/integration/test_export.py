"""Traces out to a backend arrive as they are, over both protocols, and as OpenTelemetry's variables say."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest
import trustme

from orchestrator.tracing.export import BUDGET_S, open_exporter
from orchestrator.tracing.otlp import dump_lines
from tests.integration.exporting import HTTP, RECEIVERS, environment_of, export_one, fail
from tests.receivers import http_receiver
from tests.spans import BUILDKIT, MATRIX, by_id, make_trace

if TYPE_CHECKING:
    from pathlib import Path


# A connection that is given up in the middle of its handshake belongs to a thread of the library, and is closed when it
# is collected: here, and in no other test.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("exporters", "collected"),
]


def test_every_part_of_a_span_arrives_as_it_was(protocol: str) -> None:
    """Ids, times, kinds, attributes with their types, events, links, status, resource and scope."""
    trace = make_trace(700)  # more than one request takes
    with RECEIVERS[protocol](None) as received:
        exporter = open_exporter(environment_of(received.port, protocol), fail)
        assert exporter is not None
        exporter.send(trace)
        assert exporter.close() is None
        assert by_id(received.spans) == by_id(trace)
        assert len(received.headers) > 1


def test_spans_arrive_while_the_run_goes_on(protocol: str) -> None:
    """A cell that has ended can be looked at before the run has."""
    first, second = make_trace(), make_trace()
    with RECEIVERS[protocol](None) as received:
        exporter = open_exporter(environment_of(received.port, protocol), fail)
        assert exporter is not None
        exporter.send(first)
        assert by_id(received.wait_for_spans(len(first))) == by_id(first)
        exporter.send(second)
        assert exporter.close() is None
        assert by_id(received.spans) == by_id([*first, *second])


def test_a_trace_file_is_what_any_receiver_reads() -> None:
    """Each line of trace.json, posted as it is to an OTLP/HTTP receiver, gives every span back equal."""
    trace = make_trace()
    with http_receiver() as received:
        for line in dump_lines(trace).splitlines():
            request = urllib.request.Request(  # the receiver above
                f"http://127.0.0.1:{received.port}/v1/traces", line.encode(), {"content-type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # as above
                assert answer.status == 200
    assert by_id(received.spans) == by_id(trace)


def test_headers_arrive(protocol: str) -> None:
    """As OTEL_EXPORTER_OTLP_HEADERS has them, percent signs decoded, names in lower case, the signal's own before all others'."""
    with RECEIVERS[protocol](None) as received:
        more = {"EXPORTER_OTLP_HEADERS": "x-all=no", "EXPORTER_OTLP_TRACES_HEADERS": "X-Key=a%20b%3D, Authorization = Bearer t"}
        problem, _ = export_one(environment_of(received.port, protocol, **more))
    assert problem is None
    assert received.headers[0]["x-key"] == "a b="
    assert received.headers[0]["authorization"] == "Bearer t"
    assert "x-all" not in received.headers[0]


def test_a_user_in_the_address_is_sent_as_a_header(protocol: str) -> None:
    """`user:password@` works the same for both protocols."""
    with RECEIVERS[protocol](None) as received:
        environment = environment_of(received.port, protocol)
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://ann:p%40ss@127.0.0.1:{received.port}"
        assert export_one(environment)[0] is None
    assert received.headers[0]["authorization"] == "Basic YW5uOnBAc3M="


def test_a_netrc_does_not_take_the_place_of_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user says for this purpose wins over what lies in the home folder for all."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with http_receiver() as received:
        assert export_one(environment_of(received.port, HTTP, EXPORTER_OTLP_HEADERS="authorization=Bearer%20t"))[0] is None
    assert received.headers[0]["authorization"] == "Bearer t"


def test_requests_are_compressed_when_asked(protocol: str) -> None:
    """With gzip, and with none when none is asked for."""
    with RECEIVERS[protocol](None) as received:
        assert export_one(environment_of(received.port, protocol, EXPORTER_OTLP_COMPRESSION="gzip"))[0] is None
        assert export_one(environment_of(received.port, protocol, EXPORTER_OTLP_COMPRESSION="none"))[0] is None
    if protocol == HTTP:
        assert [headers.get("content-encoding") for headers in received.headers] == ["gzip", None]
        assert [raw.startswith(b"\x1f\x8b") for raw in received.raw] == [True, False]
    else:
        assert [len(received.spans), len(received.headers)] == [12, 2]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Give a certificate authority of our own."""
    return trustme.CA()


def test_tls_with_a_ca_of_ones_own(protocol: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_EXPORTER_OTLP_CERTIFICATE names it; without it the certificate is not trusted, and that is said."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))  # what is meant for everything comes second
    with RECEIVERS[protocol](authority.issue_cert("127.0.0.1")) as received:
        trusted = environment_of(received.port, protocol, "https", EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "ca.pem"))
        assert export_one(trusted)[0] is None
        assert len(received.spans) == 6
        problem, took_s = export_one(environment_of(received.port, protocol, "https"))
        assert problem is not None
        assert "its certificate is not trusted: name its CA in OTEL_EXPORTER_OTLP_CERTIFICATE" in problem.text
        assert took_s < BUDGET_S
        missing = environment_of(received.port, protocol, "https", EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "gone.pem"))
        problem, _ = export_one(missing)
        assert problem is not None
        assert "gone.pem" in problem.text


def test_a_client_shows_its_certificate(protocol: str, authority: trustme.CA, tmp_path: Path) -> None:
    """OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY; a backend that asks for one in vain takes nothing."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    client = authority.issue_cert("client.test")
    client.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    client.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    files = {"EXPORTER_OTLP_CLIENT_CERTIFICATE": "client.pem", "EXPORTER_OTLP_CLIENT_KEY": "key.pem"}
    with RECEIVERS[protocol](authority.issue_cert("127.0.0.1"), authority) as received:
        environment = environment_of(received.port, protocol, "https", EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "ca.pem"))
        assert export_one(environment)[0] is not None
        shown = environment | {f"OTEL_{name}": str(tmp_path / file) for name, file in files.items()}
        assert export_one(shown)[0] is None
    assert len(received.spans) == 6


def test_nothing_is_opened_where_nothing_is_asked_for() -> None:
    """No endpoint, the SDK switched off, or `none`: no thread, no connection, no word."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    for environment in (
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        endpoint | {"OTEL_SDK_DISABLED": "TRUE"},
        endpoint | {"OTEL_TRACES_EXPORTER": "none"},
    ):
        assert open_exporter(environment, fail) is None


def test_the_users_resource_is_on_matrixs_own_spans_only(protocol: str) -> None:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say who ran this, not who BuildKit is."""
    with RECEIVERS[protocol](None) as received:
        more = {"RESOURCE_ATTRIBUTES": "service.name=x,team=a%2Cb,service.version=9", "SERVICE_NAME": "nightly"}
        assert export_one(environment_of(received.port, protocol, **more))[0] is None
    found = {str(span.resource["service.name"]): span.resource for span in received.spans}
    assert found == {"nightly": {"team": "a,b", **MATRIX, "service.name": "nightly"}, "buildkitd": BUILDKIT}
