"""The FastAPI service: a health route, one that calls another over HTTP, one that raises."""

from __future__ import annotations

import logging
import os
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from opentelemetry import trace

from app.profiling import start_profiling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TRACE_HEADER = "otel-trace-id"
SELF_URL = os.environ.get("APP_SELF_URL", "http://127.0.0.1:8000")

logger = logging.getLogger("app")

# Profiling starts while the module is loaded: each worker process loads it, and does so before its first request.
start_profiling(os.environ)


def render_trace_id() -> str:
    """Write the current trace's id as 32 hex digits, all zero outside a trace."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)


def make_app(transport: httpx.AsyncBaseTransport | None = None) -> FastAPI:
    """Make the service; a transport replaces the network of its own HTTP calls."""
    app = FastAPI(title="matrix-app")

    @app.middleware("http")
    async def add_trace_header(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers[TRACE_HEADER] = render_trace_id()
        return response

    @app.exception_handler(Exception)
    async def answer_error(_request: Request, _error: Exception) -> Response:
        # An unhandled error is answered outside the middleware above, and its trace is the one people look for.
        return JSONResponse(
            {"detail": "internal error"},
            status_code=HTTPStatus.INTERNAL_SERVER_ERROR,
            headers={TRACE_HEADER: render_trace_id()},
        )

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/greeting")
    async def greeting() -> dict[str, str]:
        return {"greeting": "hello"}

    @app.get("/call")
    async def call() -> dict[str, str]:
        async with httpx.AsyncClient(transport=transport, base_url=SELF_URL) as client:
            answer = await client.get("/greeting")
        answer.raise_for_status()
        text: str = answer.json()["greeting"]
        logger.warning("the other route said %s", text)
        return {"answer": text}

    @app.get("/error")
    async def error() -> None:
        message = "this route always fails"
        raise RuntimeError(message)

    return app


app = make_app()
