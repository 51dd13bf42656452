"""The layers of an image, read once for each digest and remembered between runs."""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from threading import Lock
from typing import IO, TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.layers.archive import PART, unpack
from orchestrator.layers.cache import load_index, save_index
from orchestrator.layers.index import LayerIndex, make_index
from orchestrator.measure.image import LayerSize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DAMAGED = ("is damaged", "is cut off")
_guard = Lock()
_locks: dict[str, Lock] = {}


class LayerRead(Struct, frozen=True):
    """A layer's weight and what it holds."""

    size: LayerSize
    index: LayerIndex


def read_blob(path: Path, digest: str) -> LayerRead:
    """Read a layer of an OCI layout: packed as it lies there, unpacked by reading it once."""
    with _alone(digest):
        index = load_index(digest)
        if index is None:
            with path.open("rb") as blob:
                index = make_index(unpack(blob))
            _remember(digest, index)
    return LayerRead(LayerSize(path.stat().st_size, index.uncompressed_bytes), index)


def recall_tar(diff_id: str) -> LayerRead | None:
    """Give what is remembered of a layer that a classic image store keeps unpacked."""
    index = load_index(diff_id)
    if index is None or index.packed_estimate_bytes is None:
        return None
    return LayerRead(LayerSize(index.packed_estimate_bytes, index.uncompressed_bytes, estimated=True), index)


def read_tar(diff_id: str, tar: IO[bytes]) -> LayerRead:
    """Read an unpacked layer; what it would be packed is computed on the way, so an estimate."""
    packer = zlib.compressobj(wbits=31)
    packed = 0

    def passing() -> Iterator[bytes]:
        nonlocal packed
        while part := tar.read(PART):
            packed += len(packer.compress(part))
            yield part

    index = make_index(passing())
    packed += len(packer.flush())
    index = replace(index, packed_estimate_bytes=packed)
    _remember(diff_id, index)
    return LayerRead(LayerSize(packed, index.uncompressed_bytes, estimated=True), index)


def _remember(digest: str, index: LayerIndex) -> None:
    """Remember a layer; a blob that was damaged on its way here may be whole the next time."""
    if index.problem is None or not index.problem.startswith(_DAMAGED):
        save_index(digest, index)


@contextmanager
def _alone(digest: str) -> Iterator[None]:
    """Let cells that want the same layer at once wait for one reading."""
    with _guard:
        lock = _locks.setdefault(digest, Lock())
    with lock:
        yield
