"""The quick part of the drills of files runs under what every unit test runs under."""

from __future__ import annotations

from tests.unit.conftest import _cache_of_its_own, _no_process_and_no_network

__all__ = ["_cache_of_its_own", "_no_process_and_no_network"]
