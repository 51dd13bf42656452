"""python-on-whales, imported late and with its exceptions turned into ours."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from orchestrator.docker.process import last_line
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_on_whales import DockerClient


@cache
def client() -> DockerClient:
    """Give the client; it starts `docker` for each call and holds no connection."""
    from python_on_whales import DockerClient  # noqa: PLC0415  # 0.3 s that --help and plan need not pay

    return DockerClient()


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Say what was being done when the engine refused, in its own last words."""
    from python_on_whales.exceptions import DockerException  # noqa: PLC0415  # as above

    try:
        yield
    except DockerException as error:
        message = f"{doing}: {last_line(error.stderr or '') or f'docker ended with {error.return_code}'}"
        raise EngineError(message) from error
