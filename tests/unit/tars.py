"""Layers made in memory, and a plain model of what layers upon each other leave."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.layers.index import LayerIndex, make_index

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = {
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "link": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "fifo": tarfile.FIFOTYPE,
}


@dataclass(frozen=True)
class Item:
    """An entry of a layer."""

    name: str
    data: bytes = b""
    kind: str = "file"
    target: str = ""
    mode: int = 0o644


def make_tar(*items: Item, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Write a layer."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for item in items:
            entry = tarfile.TarInfo(item.name)
            entry.size, entry.mode, entry.linkname = len(item.data), item.mode, item.target
            entry.type = KINDS.get(item.kind, tarfile.REGTYPE)
            archive.addfile(entry, io.BytesIO(item.data))
    return file.getvalue()


def index_of(*items: Item) -> LayerIndex:
    """Index a layer."""
    return make_index(iter([make_tar(*items)]))


def in_parts(data: bytes, size: int) -> Iterable[bytes]:
    """Cut bytes as a stream would bring them."""
    return (data[at : at + size] for at in range(0, len(data), size))
