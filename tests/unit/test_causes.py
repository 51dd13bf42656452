"""Why a backend did not take what was sent: causes that no receiver of the tests can bring about, and what is hidden."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.tracing.causes import explain, hide
from orchestrator.tracing.destination import Destination, Protocol, Signal

SECRET = "t0ken"  # noqa: S105  # the canary of this module
GRPC = Destination(Signal.TRACES, Protocol.GRPC, "http://h:1", "h:1", secrets=(SECRET,))
HTTP = Destination(Signal.TRACES, Protocol.HTTP, "http://h:1", "http://h:1/v1/traces", secrets=(SECRET,))


@pytest.mark.parametrize(
    ("destination", "said", "cause"),
    [
        (GRPC, "StatusCode.UNAVAILABLE: connect: No route to host", "there is no route to it"),
        (GRPC, "StatusCode.UNIMPLEMENTED: Method not found!", "it speaks gRPC, but does not know this service"),
        (GRPC, "SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: Hostname mismatch", "its certificate is for another host"),
        (GRPC, "SSLV3_ALERT_BAD_CERTIFICATE", "it asks for a client certificate"),
        (GRPC, "Cannot check peer: missing selected ALPN property.", "gRPC was spoken to a port that answers HTTP/1.1"),
        (
            replace(GRPC, address="https://h:1"),
            "UNAVAILABLE: Socket closed",
            "the connection was closed without an answer: it may ask",
        ),
        (HTTP, "code: 400, reason: Client sent an HTTP request to an HTTPS server", "its port wants TLS: use https://"),
        (HTTP, "code: 413, reason: Too Large", "a request was too large for it"),
        (HTTP, "code: 429, reason: ", "it is overloaded or not ready"),
        (HTTP, "reason: it rejected 3: not today", "it rejected 3: not today"),
    ],
)
def test_what_an_exporter_says_becomes_a_cause_and_a_remedy(destination: Destination, said: str, cause: str) -> None:
    """The words of libraries are turned into words about what to do."""
    assert explain(destination, [said]).startswith(cause)


def test_a_backend_that_says_nothing_is_called_silent() -> None:
    """The exporter's own words about its time say nothing about the backend."""
    silent = "it accepts connections and does not answer in time, or packets to it are dropped"
    assert explain(HTTP, []) == silent
    assert explain(HTTP, ["Failed to export spans batch due to timeout, max retries or shutdown."]) == silent


def test_words_that_nobody_has_foreseen_are_given_on_one_line_without_credentials() -> None:
    """A backend may answer anything: what was sent to it, escape sequences, or a book."""
    said = explain(GRPC, ["earlier", f"no \x1b[31m{SECRET}\nBearer {SECRET} " + "x" * 1000])
    assert said.startswith("no *** Bearer *** xxx")
    assert len(said) == 300
    assert hide("abc", ("b",)) == "a***c"
