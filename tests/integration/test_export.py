"""Traces out to a backend: what is sent arrives as it is, and a backend that fails costs a run little and is said once."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest
import trustme

from orchestrator.errors import BackendError, UsageError
from orchestrator.tracing import export
from orchestrator.tracing.export import BUDGET_S, open_exporter, send_stored
from orchestrator.tracing.otlp import dump_lines
from orchestrator.tracing.spans import Kind, SpanStatus
from tests.backends import drips, hangs_up, never_accepts, never_answers, nothing_listens
from tests.receivers import Received, grpc_receiver, http_receiver
from tests.spans import BUILDKIT, MATRIX, by_id, make_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from orchestrator.tracing.export import Problem

    Receiver = Callable[..., AbstractContextManager[Received]]

GRPC, HTTP = "grpc", "http/protobuf"
RECEIVERS: dict[str, Receiver] = {GRPC: grpc_receiver, HTTP: http_receiver}
CANARY = "canary-8f3a71"


def fail(text: str) -> None:
    """Take a warning where there must be none."""
    raise AssertionError(text)


# A connection that is given up in the middle of its handshake belongs to a thread of the library, and is closed when it
# is collected: here, and in no other test.
pytestmark = pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Import the exporters beforehand, as a run does while its cells are built: on a busy machine that takes seconds."""
    for transport in ("grpc", "http"):
        importlib.import_module(f"opentelemetry.exporter.otlp.proto.{transport}.trace_exporter")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(params=[GRPC, HTTP])
def protocol(request: pytest.FixtureRequest) -> str:
    """Give each protocol in turn."""
    return str(request.param)


def environment_of(port: int, protocol: str, scheme: str = "http", **more: str) -> dict[str, str]:
    """Give the variables that lead to a port of the loopback."""
    leads = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    return leads | {f"OTEL_{name}": value for name, value in more.items()}


def export_one(environment: Mapping[str, str]) -> tuple[Problem | None, float]:
    """Do what a run does, with one trace; give the problem and all the time that it took."""
    started = time.monotonic()
    exporter = open_exporter(environment, fail)
    assert exporter is not None
    exporter.send(make_trace())
    problem = exporter.close()
    return problem, time.monotonic() - started


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


@contextmanager
def refusing(receiver: Receiver, status: int | grpc.StatusCode) -> Iterator[int]:
    """Give the port of a receiver that answers with a status, and repeats the credentials that it was sent."""
    with receiver(None) as received:
        received.status, received.reason = status, f"no {CANARY}"
        yield received.port


@contextmanager
def working(receiver: Receiver) -> Iterator[int]:
    """Give the port of a receiver that works, for those who speak to it in the wrong way."""
    with receiver(None) as received:
        yield received.port


BUSY = "it is overloaded or not ready"
DENIED = "permission denied: its credentials in OTEL_EXPORTER_OTLP_HEADERS do not allow this"
SILENT = "it accepts connections and does not answer in time"
REFUSED = "nothing listens there (connection refused)"
FAILING: list[tuple[str, str, str, AbstractContextManager[int], str]] = [
    ("nobody, gRPC", GRPC, "http", nothing_listens(), REFUSED),
    ("nobody, HTTP", HTTP, "http", nothing_listens(), REFUSED),
    ("hanging, gRPC", GRPC, "http", never_accepts(), SILENT),
    ("hanging, HTTP", HTTP, "http", never_accepts(), SILENT),
    ("silent, gRPC", GRPC, "http", never_answers(), SILENT),
    ("silent, HTTP", HTTP, "http", never_answers(), SILENT),
    ("silent, gRPC, TLS", GRPC, "https", never_answers(), SILENT),
    ("silent, HTTP, TLS", HTTP, "https", never_answers(), SILENT),
    ("dripping, HTTP", HTTP, "http", drips(), SILENT),
    ("closing, gRPC", GRPC, "http", hangs_up(), "the connection was closed without an answer: the port may want TLS"),
    ("closing, HTTP", HTTP, "http", hangs_up(), "the connection was closed without an answer: the port may want TLS"),
    ("503, HTTP", HTTP, "http", refusing(http_receiver, 503), BUSY),
    ("unavailable, gRPC", GRPC, "http", refusing(grpc_receiver, grpc.StatusCode.RESOURCE_EXHAUSTED), BUSY),
    ("401", HTTP, "http", refusing(http_receiver, 401), "unauthenticated: set its credentials in OTEL_EXPORTER_OTLP_HEADERS"),
    ("403", HTTP, "http", refusing(http_receiver, 403), DENIED),
    ("404", HTTP, "http", refusing(http_receiver, 404), "it answers HTTP, but not at this path"),
    ("500", HTTP, "http", refusing(http_receiver, 500), "code: 500, reason: no ***"),
    ("redirect", HTTP, "http", refusing(http_receiver, 301), "it answers with a redirect: name the address that it points to"),
    ("unauthenticated", GRPC, "http", refusing(grpc_receiver, grpc.StatusCode.UNAUTHENTICATED), "unauthenticated: set its cred"),
    ("denied", GRPC, "http", refusing(grpc_receiver, grpc.StatusCode.PERMISSION_DENIED), DENIED),
    ("invalid", GRPC, "http", refusing(grpc_receiver, grpc.StatusCode.INVALID_ARGUMENT), "no ***"),
    ("gRPC to HTTP", GRPC, "http", working(http_receiver), "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, usually port 4318"),
    ("HTTP to gRPC", HTTP, "http", working(grpc_receiver), "set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, usually port 4317"),
    ("TLS to plain, gRPC", GRPC, "https", working(grpc_receiver), "TLS was spoken to a port that answers without it"),
    ("TLS to plain, HTTP", HTTP, "https", working(http_receiver), "TLS was spoken to a port that answers without it"),
]


@pytest.mark.parametrize(("name", "protocol", "scheme", "backend", "cause"), FAILING, ids=[case[0] for case in FAILING])
def test_a_backend_that_fails_costs_little_and_is_said_once_with_the_likely_cause(
    name: str,
    protocol: str,
    scheme: str,
    backend: AbstractContextManager[int],
    cause: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whatever it does: in all less than 5 s, no line of a library, no credentials, and what to do about it."""
    with backend as port:
        environment = environment_of(port, protocol, scheme, EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{CANARY}")
        problem, took_s = export_one(environment)
    assert took_s < BUDGET_S
    assert problem is not None
    assert f"traces (6 of 6 spans) have not arrived at {scheme}://127.0.0.1:{port}: " in problem.text
    assert cause in problem.text
    assert CANARY not in problem.text
    assert "\n" not in problem.text
    assert capfd.readouterr() == ("", "")


def test_a_host_that_nobody_knows_is_named(protocol: str) -> None:
    """A name that cannot be resolved, and the user and password before it, which are not named."""
    environment = environment_of(1, protocol) | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{CANARY}:{CANARY}@nowhere.invalid:4317/{CANARY}"
    }
    problem, took_s = export_one(environment)
    assert took_s < BUDGET_S
    assert problem is not None
    assert problem.text == "traces (6 of 6 spans) have not arrived at http://nowhere.invalid:4317: its host name is not known"


def test_a_slow_backend_is_waited_for_within_the_budget(protocol: str) -> None:
    """One that takes its time and then takes the spans is no problem."""
    with RECEIVERS[protocol](None) as received:
        received.before = lambda: time.sleep(1.5)  # the fault itself
        problem, took_s = export_one(environment_of(received.port, protocol))
    assert problem is None
    assert 1.5 < took_s < BUDGET_S
    assert len(received.spans) == 6


def test_a_backend_that_comes_back_gets_what_comes_after() -> None:
    """One failed request is no reason to give up for the rest of the run; what was lost is counted."""
    with http_receiver() as received:
        exporter = open_exporter(environment_of(received.port, HTTP), fail)
        assert exporter is not None
        received.status = 400
        exporter.send(make_trace())
        received.wait_for_refusal()
        received.status = None
        later = make_trace()
        exporter.send(later)
        problem = exporter.close()
    assert by_id(received.spans) == by_id(later)
    assert problem is not None
    assert "traces (6 of 12 spans) have not arrived" in problem.text
    assert "code: 400" in problem.text


def test_spans_that_a_backend_rejects_are_counted_with_its_reason() -> None:
    """A backend may answer 200 and yet leave spans out, and says so in its answer."""
    with http_receiver() as received:
        received.answer = b"\n\x0c\x08\x02\x12\x08too\x1b old"
        problem, _ = export_one(environment_of(received.port, HTTP))
    assert problem is not None
    assert "traces (2 of 6 spans) have not arrived" in problem.text
    assert problem.text.endswith("it rejected 2: too old")


def test_a_web_page_is_no_receiver() -> None:
    """A port that answers everything with its start page, as user interfaces do, has taken nothing."""
    with http_receiver() as received:
        received.content_type, received.answer = "text/html; charset=utf-8", b"<html></html>"
        problem, _ = export_one(environment_of(received.port, HTTP))
    assert problem is not None
    assert "it answers with a web page and is no OTLP receiver" in problem.text


def test_a_span_that_opentelemetry_cannot_express_takes_no_other_with_it(protocol: str) -> None:
    """Spans come from outside: one with a bad id, time or number is counted, and the rest arrive."""
    good = make_trace()
    bad = [
        replace(good[0], span_id="xyz"),
        replace(good[0], trace_id="g" * 32),
        replace(good[0], start_ns=-1),
        replace(good[0], attributes={"n": 2**70}),
    ]
    odd = replace(good[1], span_id="ab" * 8, name="half \ud800", kind=Kind.UNSPECIFIED, status=SpanStatus(message="unsaid"))
    with RECEIVERS[protocol](None) as received:
        exporter = open_exporter(environment_of(received.port, protocol), fail)
        assert exporter is not None
        exporter.send([*bad, *good, odd])
        problem = exporter.close()
    assert by_id(received.spans) == by_id([*good, replace(odd, name="half ?", kind=Kind.INTERNAL, status=SpanStatus())])
    assert problem is not None
    assert "traces (4 of 11 spans) have not arrived" in problem.text


def test_a_queue_that_is_full_neither_blocks_nor_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a backend takes is left out and counted, and whoever sends is not kept waiting."""
    monkeypatch.setattr(export, "_MOST_SPANS", 10)
    with never_accepts() as port:
        exporter = open_exporter(environment_of(port, HTTP), fail)
        assert exporter is not None
        started = time.monotonic()
        for _ in range(1000):
            exporter.send(make_trace(4))
        assert time.monotonic() - started < 1
        problem = exporter.close()
    assert problem is not None
    assert problem.lost == 7000


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


LEAVES = """
import os, sys, time
from orchestrator.tracing.export import open_exporter
from tests.spans import make_trace
exporter = open_exporter(os.environ, print)
exporter.send(make_trace())
print(exporter.close().lost, flush=True)
"""


@pytest.mark.parametrize(
    ("scheme", "backend"),
    [("https", never_answers), ("http", nothing_listens)],
)
def test_the_process_can_end_at_once_afterwards(
    protocol: str, scheme: str, backend: Callable[[], AbstractContextManager[int | Received]]
) -> None:
    """No thread, connection or second try keeps it alive, and no library says anything, not even gRPC's own core."""
    with backend() as found:
        port = found.port if isinstance(found, Received) else found
        child = subprocess.Popen(
            [sys.executable, "-c", LEAVES],
            env={**environment_of(port, protocol, scheme), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "6\n"
        said = time.monotonic()
        _, errors = child.communicate(timeout=30)
        assert time.monotonic() - said < 3  # the time in which the exporters would still try again is 10 s
    assert (child.returncode, errors) == (0, "")


def test_a_stored_run_arrives_as_it_lies_in_the_file(protocol: str) -> None:
    """`matrix trace RUN --to` sends what there is, with nothing of this day's environment added."""
    trace = make_trace(700)
    with RECEIVERS[protocol](None) as received:
        environment = {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-key=k",
            "OTEL_RESOURCE_ATTRIBUTES": "team=a",
            "OTEL_SDK_DISABLED": "true",
        }
        assert send_stored(trace, f"http://127.0.0.1:{received.port}", environment, fail) == len(trace)
    assert by_id(received.spans) == by_id(trace)
    assert received.headers[0]["x-key"] == "k"


def test_a_stored_run_is_sent_over_grpc_when_the_address_says_so() -> None:
    """`grpc://host:port` needs no variable."""
    trace = make_trace()
    with grpc_receiver() as received:
        assert send_stored(trace, f"grpc://127.0.0.1:{received.port}", {}, fail) == len(trace)
    assert by_id(received.spans) == by_id(trace)


def test_a_stored_run_that_does_not_arrive_is_an_error_that_says_why() -> None:
    """With the exit code of what is outside, and no credentials."""
    with nothing_listens() as port, pytest.raises(BackendError) as caught:
        send_stored(make_trace(), f"http://u:{CANARY}@127.0.0.1:{port}", {"OTEL_EXPORTER_OTLP_TIMEOUT": "1000"}, fail)
    assert str(caught.value) == f"traces (6 of 6 spans) have not arrived at http://127.0.0.1:{port}: {REFUSED}"
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("address", [f"u:{CANARY}@host:1", "host", "ftp://host", "http://", "http://h:99999", "http://[::1"])
def test_an_address_that_is_none_is_a_usage_error(address: str) -> None:
    """And is named without what may be secret in it."""
    with pytest.raises(UsageError, match="--to: ") as caught:
        send_stored(make_trace(), address, {}, fail)
    assert CANARY not in str(caught.value)
