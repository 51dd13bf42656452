"""Indices of layers, remembered by digest over all cells and runs."""

from __future__ import annotations

import json
import re
from typing import Any

from orchestrator.cached import Shelf
from orchestrator.layers.archive import LayerError, pack_bytes, unpack_bytes
from orchestrator.layers.index import MAX_LINKS, LayerIndex

SHELF = Shelf("layers", b"matrix-layer-4\n", max_bytes=512 * 1024**2, max_entry_bytes=256 * 1024**2)
_MAX_CAPTURED = 64 * 1024 * 1024
_SAFE = re.compile(r"[a-z0-9]{1,20}:[0-9a-zA-Z]{1,128}")
_FIGURES = ("uncompressed_bytes", "entries", "file_bytes", "doubled_bytes", "doubled_count", "refused_count")


def load_index(digest: str) -> LayerIndex | None:
    """Read what is remembered of a layer; a damaged entry is as good as none."""
    if not _SAFE.fullmatch(digest):
        return None
    body = SHELF.load(_name(digest))
    if body is None:
        return None
    try:
        return _parse(body)
    except (ValueError, KeyError, TypeError, RecursionError, LayerError):
        return None


def save_index(digest: str, index: LayerIndex) -> None:
    """Remember a layer."""
    if _SAFE.fullmatch(digest):
        SHELF.save(_name(digest), _render(index))


def _name(digest: str) -> str:
    return f"{digest.replace(':', '-')}.index"


def _render(index: LayerIndex) -> bytes:
    """Write an index: the length of the head, the head as JSON, the captured files, the lines."""
    captured = pack_bytes(iter(index.captured.values()))
    head = {name: getattr(index, name) for name in _FIGURES} | {
        "groups": index.groups,
        "doubled": index.doubled,
        "refused": index.refused,
        "problem": index.problem,
        "packed_estimate_bytes": index.packed_estimate_bytes,
        "captured": [(path, len(data)) for path, data in index.captured.items()],
        "captured_packed": len(captured),
    }
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "big") + text + captured + index.packed


def _parse(body: memoryview) -> LayerIndex:
    at = 8 + int.from_bytes(body[:8], "big")
    head: dict[str, Any] = json.loads(bytes(body[8:at]))
    end = at + _count(head["captured_packed"])
    if len(head["groups"]) > MAX_LINKS:
        raise ValueError
    return LayerIndex(
        uncompressed_bytes=_known(head["uncompressed_bytes"]),
        entries=_count(head["entries"]),
        file_bytes=_count(head["file_bytes"]),
        packed=bytes(body[end:]),
        groups=tuple(map(_count, head["groups"])),
        captured=_captured(head["captured"], bytes(body[at:end])),
        doubled_bytes=_count(head["doubled_bytes"]),
        doubled_count=_count(head["doubled_count"]),
        doubled=tuple((str(path), _count(size)) for path, size in head["doubled"]),
        refused=tuple(map(str, head["refused"])),
        refused_count=_count(head["refused_count"]),
        problem=None if head["problem"] is None else str(head["problem"]),
        packed_estimate_bytes=_known(head["packed_estimate_bytes"]),
    )


def _captured(sizes: list[tuple[str, int]], packed: bytes) -> dict[str, bytes]:
    total = sum(_count(size) for _, size in sizes)
    if total > _MAX_CAPTURED:
        raise ValueError
    found = bytearray()
    for part in unpack_bytes(packed):
        found += part
        if len(found) > total:
            raise ValueError
    if len(found) != total:
        raise ValueError
    files: dict[str, bytes] = {}
    at = 0
    for path, size in sizes:
        files[str(path)] = bytes(found[at : at + size])
        at += size
    return files


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _known(value: object) -> int | None:
    return None if value is None else _count(value)
