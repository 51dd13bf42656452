"""The service answers, names its trace, and starts with whatever is installed."""

import asyncio
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from app import gunicorn_conf, healthcheck, plain, start
from app.main import TRACE_HEADER, make_app
from app.profiling import start_profiling
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

NO_TRACE = "0" * 32


def get(*paths: str) -> list[httpx.Response]:
    """Ask the service, whose own HTTP calls come back to it without a network."""
    app = make_app(httpx.ASGITransport(make_app()))

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(ask())


@pytest.fixture
def plain_address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the standard library's service on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), plain.Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PORT", str(server.server_port))
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_it_is_healthy() -> None:
    """It is healthy."""
    assert get("/healthz")[0].json() == {"status": "ok"}


def test_a_route_calls_another_one_over_http() -> None:
    """A route calls another one over http."""
    assert get("/call")[0].json() == {"answer": "hello"}


def test_every_answer_names_its_trace_also_that_of_a_route_that_fails() -> None:
    """Every answer names its trace also that of a route that fails."""
    span = TracerProvider().get_tracer("test").start_span("request")
    expected = trace.format_trace_id(span.get_span_context().trace_id)
    with trace.use_span(span):
        answers = get("/call", "/error")
    assert [answer.status_code for answer in answers] == [200, 500]
    assert [answer.headers[TRACE_HEADER] for answer in answers] == [expected, expected]


def test_outside_a_trace_the_header_is_all_zero() -> None:
    """Outside a trace the header is all zero."""
    assert get("/healthz")[0].headers[TRACE_HEADER] == NO_TRACE


def test_profiling_needs_an_address() -> None:
    """Profiling needs an address."""
    assert start_profiling({}) is False


def test_an_address_without_the_profiler_stops_the_service() -> None:
    """An address without the profiler stops the service."""
    with pytest.raises(ModuleNotFoundError, match="pyroscope"):
        start_profiling({"PYROSCOPE_SERVER_ADDRESS": "http://127.0.0.1:4040"})


def program(name: str) -> str:
    """Name a program beside this Python."""
    return str(Path(sys.executable).with_name(name))


@pytest.mark.parametrize(
    ("installed", "environ", "command"),
    [
        (set(), {}, [sys.executable, "-m", "app.plain"]),
        (
            {"opentelemetry.distro"},
            {},
            [program("opentelemetry-instrument"), sys.executable, "-m", "app.plain"],
        ),
        (
            {"fastapi", "uvicorn", "opentelemetry.distro"},
            {"PORT": "8080"},
            [
                *(program("opentelemetry-instrument"), program("uvicorn"), "app.main:app"),
                *("--host", "0.0.0.0", "--port", "8080"),  # noqa: S104 - what a container listens on
            ],
        ),
        (
            {"fastapi", "uvicorn", "opentelemetry.distro"},
            {"APP_SERVER": "gunicorn"},
            [program("gunicorn"), "--config", "python:app.gunicorn_conf", "app.main:app"],
        ),
    ],
)
def test_the_command_fits_what_is_installed(installed: set[str], environ: dict[str, str], command: list[str]) -> None:
    """The command fits what is installed."""
    assert start.make_command(environ, installed.__contains__) == command


@pytest.mark.parametrize(
    ("installed", "protocol", "exporter"),
    [
        (set(), "http/protobuf", "none"),
        ({"opentelemetry.exporter.otlp"}, "http/protobuf", None),
        ({"opentelemetry.exporter.otlp", "opentelemetry.exporter.otlp.proto.grpc"}, "grpc", None),
    ],
)
def test_the_environment_fits_what_is_installed(installed: set[str], protocol: str, exporter: str | None) -> None:
    """The environment fits what is installed."""
    environ = start.make_environment({}, installed.__contains__)
    assert environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == protocol
    assert environ.get("OTEL_TRACES_EXPORTER") == exporter


def test_settings_that_are_given_win_over_defaults() -> None:
    """Settings that are given win over defaults."""
    given = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_SERVICE_NAME": "shop"}
    environ = start.make_environment(given, lambda _: True)
    assert environ | given == environ


def test_a_module_below_a_missing_package_is_not_installed() -> None:
    """A module below a missing package is not installed."""
    assert start.is_installed("json.decoder")
    assert not start.is_installed("no_such_package.module")


def test_the_plain_service_is_healthy_and_knows_nothing_else(plain_address: str) -> None:
    """The plain service is healthy and knows nothing else."""
    healthcheck.main()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{plain_address}/call", timeout=3)  # noqa: S310 - loopback


def test_the_health_check_fails_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The health check fails where nobody answers."""
    monkeypatch.setenv("PORT", "1")
    with pytest.raises(urllib.error.URLError):
        healthcheck.main()


def test_gunicorn_refuses_prometheus_with_several_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gunicorn refuses prometheus with several workers."""
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "prometheus")
    with pytest.raises(ValueError, match="needs WEB_CONCURRENCY=1"):
        gunicorn_conf.on_starting(None)
