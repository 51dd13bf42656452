"""A backend that fails costs a run little, is said once with the likely cause, and takes nothing else with it."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from msgspec.structs import replace

from orchestrator.tracing import export
from orchestrator.tracing.destination import Signal, read_destination
from orchestrator.tracing.export import BUDGET_S, open_exporter
from orchestrator.tracing.outbox import NotSentError
from orchestrator.tracing.spans import Kind, SpanStatus
from orchestrator.tracing.wires import SpanWire
from tests.backends import drips, hangs_up, never_accepts, never_answers, nothing_listens
from tests.integration.exporting import CANARY, GRPC, HTTP, RECEIVERS, REFUSED, environment_of, export_one, fail
from tests.receivers import Received, grpc_receiver, http_receiver
from tests.spans import by_id, make_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.integration.exporting import Receiver

# A connection that is given up in the middle of its handshake belongs to a thread of the library, and is closed when it
# is collected: here, and in no other test.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("exporters", "collected"),
]


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


def test_an_exporter_that_was_stopped_says_nothing_of_the_backend(protocol: str) -> None:
    """It refuses what it is given from then on; that is no cause, and would hide the one that was said before."""
    destination = read_destination(environment_of(1, protocol), Signal.TRACES, fail)
    assert destination is not None
    noted: list[str] = []
    wire = SpanWire(destination, {}, noted.append)
    wire.stop()
    with pytest.raises(NotSentError):
        wire.send(make_trace())
    assert noted == []


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


@pytest.mark.parametrize("content_type", ["application/x-protobuf", "application/X-Protobuf; charset=utf-8"])
def test_spans_that_a_backend_rejects_are_counted_with_its_reason(content_type: str, protocol: str) -> None:
    """A backend may take a request and yet leave spans out, and says so in its answer."""
    with RECEIVERS[protocol](None) as received:
        received.answer, received.content_type = b"\n\x0c\x08\x02\x12\x08too\x1b old", content_type
        problem, _ = export_one(environment_of(received.port, protocol))
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
        assert time.monotonic() - started < 5  # one that waited for this backend would wait for ten
        problem = exporter.close()
    assert problem is not None
    assert problem.lost == 7000


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
