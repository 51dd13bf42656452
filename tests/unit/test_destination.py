"""Where traces go: OpenTelemetry's variables, read as its specification has them, before anything is opened."""

from __future__ import annotations

import pytest

from orchestrator.tracing.destination import (
    Destination,
    NotADestinationError,
    Protocol,
    Signal,
    parse_destination,
    read_destination,
)
from orchestrator.tracing.export import open_exporter, read_resource

OTLP = "OTEL_EXPORTER_OTLP_"
CANARY = "canary-8f3a71"


def read(variables: dict[str, str], signal: Signal = Signal.TRACES) -> tuple[Destination | None, list[str]]:
    """Read variables by the ends of their names; give the destination and what was said about them."""
    said: list[str] = []
    found = read_destination({f"{OTLP}{name}": value for name, value in variables.items()}, signal, said.append)
    return found, said


def where(variables: dict[str, str], signal: Signal = Signal.TRACES) -> Destination:
    """Read variables that are all right."""
    found, said = read(variables, signal)
    assert said == []
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("variables", "protocol", "endpoint", "insecure"),
    [
        ({"ENDPOINT": "http://h:4318"}, Protocol.HTTP, "http://h:4318/v1/traces", True),
        ({"ENDPOINT": "http://h:4318/"}, Protocol.HTTP, "http://h:4318/v1/traces", True),
        ({"ENDPOINT": "https://h/otlp/"}, Protocol.HTTP, "https://h/otlp/v1/traces", False),
        ({"TRACES_ENDPOINT": "https://h/as-it-is"}, Protocol.HTTP, "https://h/as-it-is", False),
        ({"TRACES_ENDPOINT": "http://h:1"}, Protocol.HTTP, "http://h:1/", True),
        ({"ENDPOINT": "http://all", "TRACES_ENDPOINT": "http://own/t"}, Protocol.HTTP, "http://own/t", True),
        ({"ENDPOINT": "http://u:p@h:1"}, Protocol.HTTP, "http://h:1/v1/traces", True),
        ({"ENDPOINT": "http://h:4317", "PROTOCOL": "grpc"}, Protocol.GRPC, "h:4317", True),
        ({"ENDPOINT": "https://h:4317", "PROTOCOL": "grpc", "INSECURE": "true"}, Protocol.GRPC, "h:4317", False),
        ({"ENDPOINT": "h:4317", "PROTOCOL": "grpc"}, Protocol.GRPC, "h:4317", False),
        ({"ENDPOINT": "h:4317", "PROTOCOL": "grpc", "INSECURE": "True"}, Protocol.GRPC, "h:4317", True),
        ({"ENDPOINT": "unix:///run/otlp", "PROTOCOL": "GRPC", "INSECURE": "true"}, Protocol.GRPC, "unix:///run/otlp", True),
        ({"ENDPOINT": "unix:/run/otlp", "PROTOCOL": "grpc", "INSECURE": "true"}, Protocol.GRPC, "unix:/run/otlp", True),
        ({"ENDPOINT": "unix:run/otlp", "PROTOCOL": "grpc"}, Protocol.GRPC, "unix:run/otlp", False),
        ({"ENDPOINT": "unix-abstract:otlp", "PROTOCOL": "grpc"}, Protocol.GRPC, "unix-abstract:otlp", False),
        ({"ENDPOINT": "http://[::1]:4317", "PROTOCOL": "grpc"}, Protocol.GRPC, "[::1]:4317", True),
        (
            {"ENDPOINT": "http://h", "PROTOCOL": "grpc", "TRACES_PROTOCOL": "http/protobuf"},
            Protocol.HTTP,
            "http://h/v1/traces",
            True,
        ),
    ],
)
def test_an_endpoint_is_read_as_the_specification_has_it(
    variables: dict[str, str], protocol: Protocol, endpoint: str, *, insecure: bool
) -> None:
    """The path is added to the common one only, and the scheme decides about TLS."""
    found = where(variables)
    assert (found.protocol, found.endpoint, found.insecure) == (protocol, endpoint, insecure)


def test_a_signals_own_variables_stand_before_those_of_all() -> None:
    """And an empty one is as good as none."""
    variables = {
        "ENDPOINT": "http://h",
        "CERTIFICATE": "/all.pem",
        "TRACES_CERTIFICATE": "/own.pem",
        "CLIENT_KEY": "/key.pem",
        "TRACES_CLIENT_KEY": "",
        "TRACES_COMPRESSION": "gzip",
        "TIMEOUT": "2500",
    }
    traces, metrics = where(variables), where(variables, Signal.METRICS)
    assert (traces.certificate, metrics.certificate) == ("/own.pem", "/all.pem")
    assert (traces.client_key, traces.client_certificate) == ("/key.pem", None)
    assert (traces.compression, metrics.compression) == ("gzip", "none")
    assert traces.timeout_s == 2.5
    assert metrics.endpoint == "http://h/v1/metrics"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' is none of grpc, http/protobuf; it is ignored"),
        ({"COMPRESSION": "zstd"}, "OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd' is none of none, gzip; it is ignored"),
        ({"TIMEOUT": "10s"}, "OTEL_EXPORTER_OTLP_TIMEOUT: '10s' is no number of milliseconds; it is ignored"),
        ({"TIMEOUT": "0"}, "OTEL_EXPORTER_OTLP_TIMEOUT: '0' is no number of milliseconds; it is ignored"),
        ({"HEADERS": f"a=b,{CANARY}"}, "OTEL_EXPORTER_OTLP_HEADERS: entry 2 is not name=value in printable characters; it is left"),
        ({"HEADERS": f"a={CANARY}%0d%0ax: y"}, "OTEL_EXPORTER_OTLP_HEADERS: entry 1 is not name=value in printable characters"),
    ],
)
def test_a_value_that_cannot_be_meant_is_said_and_ignored(variables: dict[str, str], words: str) -> None:
    """As the specification asks; and no header is repeated, whatever is wrong with it."""
    found, said = read({"ENDPOINT": "http://h", **variables})
    assert found is not None
    assert len(said) == 1
    assert said[0].startswith(words)
    assert CANARY not in said[0]


@pytest.mark.parametrize(
    ("endpoint", "protocol", "words"),
    [
        ("h:4318", "http/protobuf", "'h:4318' is not an http:// or https:// address, as http/protobuf needs"),
        (f"ftp://u:{CANARY}@h/{CANARY}", "", "'ftp://h' is not an http:// or https:// address"),
        ("http://", "grpc", "'http://' names no host"),
        ("http://h:99999", "", "it is not an address (its host or port cannot be read)"),
        ("http://[::1", "grpc", "it is not an address (its host or port cannot be read)"),
    ],
)
def test_an_endpoint_that_is_none_is_said(endpoint: str, protocol: str, words: str) -> None:
    """Nothing is exported then, and nothing secret is repeated."""
    found, said = read({"ENDPOINT": endpoint, "PROTOCOL": protocol})
    assert found is None
    assert len(said) == 1
    assert said[0].startswith(f"OTEL_EXPORTER_OTLP_ENDPOINT: {words}")
    assert said[0].endswith("no traces are exported")
    assert CANARY not in said[0]


def test_a_destination_shows_nothing_secret() -> None:
    """Not even where it is printed as it is."""
    found = where({"ENDPOINT": f"https://u:{CANARY}@h/{CANARY}?k={CANARY}", "HEADERS": f"api-key={CANARY}"})
    assert CANARY not in repr(found)
    assert CANARY not in found.address
    assert CANARY in found.secrets


@pytest.mark.parametrize(
    ("endpoint", "variables", "protocol", "target"),
    [
        ("http://h:4318", {}, Protocol.HTTP, "http://h:4318/v1/traces"),
        ("http://h:4317", {}, Protocol.GRPC, "h:4317"),
        ("http://h:4317", {"PROTOCOL": "http/protobuf"}, Protocol.HTTP, "http://h:4317/v1/traces"),
        ("http://h:4318", {"PROTOCOL": "grpc"}, Protocol.GRPC, "h:4318"),
        ("grpc://h:9", {"PROTOCOL": "http/protobuf"}, Protocol.GRPC, "h:9"),
        ("grpcs://h:9", {}, Protocol.GRPC, "h:9"),
        ("https://h/otlp", {}, Protocol.HTTP, "https://h/otlp/v1/traces"),
        ("https://h/otlp/v1/traces", {"ENDPOINT": "http://other"}, Protocol.HTTP, "https://h/otlp/v1/traces"),
    ],
)
def test_an_address_for_a_stored_run_says_how_it_is_spoken_to(
    endpoint: str, variables: dict[str, str], protocol: Protocol, target: str
) -> None:
    """By its scheme, then the variable, then the port."""
    found = parse_destination(endpoint, {f"{OTLP}{name}": value for name, value in variables.items()}, pytest.fail)
    assert (found.protocol, found.endpoint, found.insecure) == (protocol, target, not endpoint.startswith(("https", "grpcs")))


def test_an_address_for_a_stored_run_needs_a_scheme() -> None:
    """A host alone may mean anything, and what stands before it is not repeated."""
    with pytest.raises(NotADestinationError, match="is no address; write http://host:4318") as caught:
        parse_destination(f"u:{CANARY}@h:1", {}, pytest.fail)
    assert str(caught.value).startswith("'h:1' is")


def test_an_exporter_that_is_not_known_is_said() -> None:
    """And nothing is sent to somebody who was meant for another one."""
    said: list[str] = []
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    assert open_exporter(endpoint | {"OTEL_TRACES_EXPORTER": "zipkin"}, said.append) is None
    assert said == ["OTEL_TRACES_EXPORTER: 'zipkin' is not known here (otlp, none are)"]


def test_an_exporter_without_an_endpoint_is_said() -> None:
    """The SDK's own default, a port of this machine, is not assumed."""
    said: list[str] = []
    assert open_exporter({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXPORTER": "otlp"}, said.append) is None
    assert said == [
        "OTEL_TRACES_EXPORTER is set, and no OTEL_EXPORTER_OTLP_ENDPOINT to send to: no traces are exported",
        "OTEL_METRICS_EXPORTER is set, and no OTEL_EXPORTER_OTLP_ENDPOINT to send to: no metrics are exported",
    ]


def test_resource_attributes_are_read_as_a_list_of_pairs() -> None:
    """With percent signs decoded; OTEL_SERVICE_NAME stands before service.name; one bad pair spoils all."""
    said: list[str] = []
    listed = {"OTEL_RESOURCE_ATTRIBUTES": "team=a%2Cb, k = v=w ,service.name=x"}
    assert read_resource(listed, said.append) == {"team": "a,b", "k": "v=w", "service.name": "x"}
    assert read_resource(listed | {"OTEL_SERVICE_NAME": "y"}, said.append)["service.name"] == "y"
    assert said == []
    assert read_resource({"OTEL_RESOURCE_ATTRIBUTES": "a=b,c"}, said.append) == {}
    assert said == ["OTEL_RESOURCE_ATTRIBUTES is no list of key=value; it is ignored"]
