"""What a layer weighs, read once for each digest and remembered between runs."""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from orchestrator.measure.image import LayerSize
from orchestrator.paths import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1024 * 1024
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
MAX_UNPACKED = 64 * 1024**3  # a layer that claims more is an attack on the reader, not an image


def blob_size(path: Path, digest: str) -> LayerSize:
    """Weigh a layer of an OCI layout: packed as it lies there, unpacked by reading it once."""
    compressed = path.stat().st_size
    known = _recall(digest)
    if known is None:
        with path.open("rb") as blob:
            known = LayerSize(compressed, _unpacked_size(blob))
        _remember(digest, known)
    return LayerSize(compressed, known.uncompressed_bytes)


def _unpacked_size(blob: IO[bytes]) -> int | None:
    """Count what a blob unpacks to; None for a compression that cannot be read here."""
    start = blob.read(4)
    blob.seek(0)
    if start.startswith(_ZSTD):
        return None
    if not start.startswith(_GZIP):
        return os.fstat(blob.fileno()).st_size
    size = 0
    try:
        for part in gunzip(blob):
            size += len(part)
            if size > MAX_UNPACKED:
                return None
    except (zlib.error, EOFError):  # damaged or cut off: nobody knows what it would be
        return None
    return size


def gunzip(blob: IO[bytes]) -> Iterator[bytes]:
    """Unpack gzip in bounded parts, whatever the ratio and however many members it has."""
    unpacker = zlib.decompressobj(wbits=31)
    data = blob.read(_CHUNK)
    while data:
        yield unpacker.decompress(data, _CHUNK)
        data = unpacker.unconsumed_tail
        if unpacker.eof:
            data = unpacker.unused_data or blob.read(_CHUNK)
            if data:
                unpacker = zlib.decompressobj(wbits=31)
        data = data or blob.read(_CHUNK)
    if not unpacker.eof:
        raise EOFError


def recall_tar(diff_id: str) -> LayerSize | None:
    """Give what is remembered of a layer that a classic image store keeps unpacked."""
    return _recall(diff_id)


def weigh_tar(diff_id: str, tar: IO[bytes], size: int) -> LayerSize:
    """Weigh an unpacked layer; what it would be packed is computed, so an estimate."""
    packer = zlib.compressobj(wbits=31)
    packed = 0
    while part := tar.read(_CHUNK):
        packed += len(packer.compress(part))
    weighed = LayerSize(packed + len(packer.flush()), size, estimated=True)
    _remember(diff_id, weighed)
    return weighed


def _entry(digest: str) -> Path:
    return cache_folder("layers") / f"{digest.replace(':', '-')}.json"


def _recall(digest: str) -> LayerSize | None:
    """Read a remembered weight; a damaged entry is as good as none."""
    try:
        found = json.loads(_entry(digest).read_bytes())
        return LayerSize(found["compressed_bytes"], found["uncompressed_bytes"], found["estimated"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(digest: str, size: LayerSize) -> None:
    """Write a weight whole or not at all: other runs read the same folder."""
    entry = _entry(digest)
    text = json.dumps(
        {
            "compressed_bytes": size.compressed_bytes,
            "uncompressed_bytes": size.uncompressed_bytes,
            "estimated": size.estimated,
        }
    )
    with tempfile.NamedTemporaryFile("w", dir=entry.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(entry)
