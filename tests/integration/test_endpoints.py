"""Endpoints of remote builders, tried without a builder: one that nobody listens at cannot become one."""

from __future__ import annotations

import pytest

from orchestrator.docker.dial import listens
from tests.backends import never_accepts, nothing_listens


def test_a_port_is_tried() -> None:
    """A connection is all that is asked for: what listens there is buildx's to find out."""
    with never_accepts() as port:
        assert listens(f"tcp://127.0.0.1:{port}") is True
    with nothing_listens() as port:
        assert listens(f"tcp://127.0.0.1:{port}") is False
    assert listens("tcp://nowhere.invalid:1") is False


@pytest.mark.parametrize("endpoint", ["unix:///run/buildkit", "kube-pod://x", "tcp://host", "tcp://host:99999", "tcp://[", "", "x"])
def test_what_is_no_port_is_not_tried(endpoint: str) -> None:
    """Nothing is known of it, and nothing is said against it."""
    assert listens(endpoint) is None
