"""Libraries that would speak on standard error, kept quiet."""

from __future__ import annotations

import logging
import os

_LIBRARIES = ("opentelemetry", "grpc", "urllib3")


def keep_quiet() -> None:
    """Keep the libraries' words off standard error; called before threads start, because gRPC reads its environment."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
