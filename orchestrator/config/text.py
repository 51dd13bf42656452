"""A file's bytes to text, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 500_000  # what takes seconds to read is no file that anybody writes


def read_bounded(path: Path) -> bytes:
    """Read a file, and at most one byte more than it may have."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def decode(raw: bytes, name: str, kind: str) -> str:
    """Give the text of a file of which at most one byte too many was read, or say why it is none of its kind."""
    if len(raw) > MAX_BYTES:
        raise ConfigError([f"{name}: larger than {MAX_BYTES // 1000} kB; this is not a {kind}"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{name}:{line}: not UTF-8 (byte {raw[error.start]:#04x}); save the file as UTF-8"]) from error
