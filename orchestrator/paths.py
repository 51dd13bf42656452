"""Where matrix keeps what is not part of a run: one cache folder for each user."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.errors import StoreError


def cache_folder(*parts: str) -> Path:
    """Give a folder of the cache, made if need be.

    MATRIX_CACHE_DIR wins, then XDG_CACHE_HOME, then ~/.cache.
    """
    chosen = os.environ.get("MATRIX_CACHE_DIR")
    shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(chosen) if chosen else Path(shared, "matrix")
    folder = folder.joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the cache folder {folder} cannot be made: {error.strerror}; MATRIX_CACHE_DIR names another"
        raise StoreError(message) from error
    return folder
