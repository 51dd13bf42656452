"""Digests as registries, engines and builders write them."""

from __future__ import annotations

import re

DIGEST = "sha256:[0-9a-f]{64}"  # as a part of a pattern
_DIGEST = re.compile(DIGEST)


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest, and nothing that could lead elsewhere in a path or a command."""
    return _DIGEST.fullmatch(text) is not None
