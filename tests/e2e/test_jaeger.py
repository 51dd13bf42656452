"""`matrix jaeger` with a real engine, and a tiny image in Jaeger's place that listens on its UI's port."""

from __future__ import annotations

import socket
import time
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Project

IMAGE = "matrix-tests-jaeger:1"
UI = """\
FROM scratch
COPY busybox /bin/busybox
WORKDIR /srv
COPY Dockerfile index.html
CMD ["/bin/busybox", "httpd", "-f", "-p", "16686"]
"""


@pytest.fixture
def image(project: Project) -> Iterator[str]:
    """Give an image that listens where Jaeger's UI would."""
    project.folder.joinpath("Dockerfile").write_text(UI)
    project.docker("buildx", "build", "--quiet", "--load", "--provenance=false", "--tag", IMAGE, str(project.folder))
    yield IMAGE
    project.matrix("jaeger", "stop")
    project.docker("image", "rm", IMAGE)


def fetch_ui() -> bytes:
    """Ask until what was started listens."""
    until = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen("http://127.0.0.1:16686/", timeout=10) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > until:
                raise


@pytest.mark.answering
def test_jaeger_is_there_on_the_loopback_until_it_is_stopped(project: Project, image: str) -> None:
    """Started once, found the second time, out of reach from elsewhere, and gone when stopped."""
    assert "started Jaeger" in project.matrix("jaeger", "start", "--image", image).stdout
    assert "already runs" in project.matrix("jaeger", "start", "--image", image).stdout
    assert b"FROM scratch" in fetch_ui()
    published = project.docker("port", "matrix-jaeger").split("\n")
    assert sorted(filter(None, published)) == [f"{port}/tcp -> 127.0.0.1:{port}" for port in (16686, 4317, 4318)]
    assert "stopped Jaeger" in project.matrix("jaeger", "stop").stdout
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", 16686), timeout=10):
        pytest.fail("something still listens on the UI's port")
    assert "does not run" in project.matrix("jaeger", "stop").stdout
