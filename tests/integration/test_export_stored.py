"""A stored run is sent to a backend when it is asked for, as it lies in its files."""

from __future__ import annotations

import pytest

from orchestrator.errors import BackendError, UsageError
from orchestrator.tracing.export import send_stored
from tests.backends import nothing_listens
from tests.integration.exporting import CANARY, RECEIVERS, REFUSED, fail
from tests.receivers import grpc_receiver
from tests.spans import by_id, make_trace

pytestmark = pytest.mark.usefixtures("exporters")


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
