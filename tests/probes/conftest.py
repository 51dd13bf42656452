"""What the tests of the service and of the probes share."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.conftest import missing_engine
from tests.lab.__main__ import KEEPS_IMAGES
from tests.probes.containers import remove_images

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _images() -> Iterator[None]:
    """Leave no image behind in a user's engine; to unpack them anew each time takes longer than to find them there."""
    yield
    if missing_engine() is None and os.environ.get(KEEPS_IMAGES) != "yes":
        remove_images()


@pytest.fixture
def unused_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
