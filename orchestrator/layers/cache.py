"""Indices of layers, remembered by digest over all cells and runs: bounded, and written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.layers.archive import LayerError, pack_bytes, unpack_bytes
from orchestrator.layers.index import MAX_LINKS, LayerIndex
from orchestrator.paths import cache_folder

_FORMAT = b"matrix-layer-1\n"
_MAX_ENTRY = 256 * 1024 * 1024
_MAX_CAPTURED = 64 * 1024 * 1024
MAX_CACHE = 512 * 1024 * 1024
_SAFE = re.compile(r"[a-z0-9]{1,20}:[0-9a-zA-Z]{1,128}")
_FIGURES = ("uncompressed_bytes", "entries", "file_bytes", "doubled_bytes", "refused_count")


def load_index(digest: str) -> LayerIndex | None:
    """Read what is remembered of a layer; a damaged entry is as good as none."""
    path = _entry(digest)
    if path is None:
        return None
    try:
        data = _read(path)
        if not data.startswith(_FORMAT):
            return None
        found = _parse(digest, memoryview(data)[len(_FORMAT) :])
        os.utime(path)  # what is used stays longest
    except (OSError, ValueError, KeyError, TypeError, RecursionError, LayerError):
        return None
    return found


def save_index(digest: str, index: LayerIndex) -> None:
    """Remember a layer, whole or not at all; what was not used for longest makes room. A full disk only costs the memory."""
    path = _entry(digest)
    if path is None:
        return
    data = _render(digest, index)
    if len(data) > _MAX_ENTRY:
        return
    draft: str | None = None
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=".draft-", delete=False) as file:
            draft = file.name
            file.write(data)
        Path(draft).replace(path)
        _make_room(path.parent)
    except OSError:
        if draft:
            Path(draft).unlink(missing_ok=True)


def _entry(digest: str) -> Path | None:
    return cache_folder("layers") / f"{digest.replace(':', '-')}.index" if _SAFE.fullmatch(digest) else None


def _read(path: Path) -> bytes:
    """Read a plain file of bounded size; nothing that lies in the folder can make this wait or fill the memory."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_size > _MAX_ENTRY:
            raise ValueError
        return file.read(_MAX_ENTRY)


def _render(digest: str, index: LayerIndex) -> bytes:
    """Write an index: a checksum, the length of the head, the head as JSON, the captured files, the lines."""
    captured = pack_bytes(iter(index.captured.values()))
    head = {name: getattr(index, name) for name in _FIGURES} | {
        "digest": digest,
        "groups": index.groups,
        "doubled": index.doubled,
        "refused": index.refused,
        "problem": index.problem,
        "packed_estimate_bytes": index.packed_estimate_bytes,
        "captured": [(path, len(data)) for path, data in index.captured.items()],
        "captured_packed": len(captured),
    }
    text = json.dumps(head).encode()
    body = len(text).to_bytes(8, "big") + text + captured + index.packed
    return _FORMAT + hashlib.sha256(body).digest() + body


def _parse(digest: str, data: memoryview) -> LayerIndex:
    body = data[32:]
    if hashlib.sha256(body).digest() != data[:32]:
        raise ValueError
    at = 8 + int.from_bytes(body[:8], "big")
    head: dict[str, Any] = json.loads(bytes(body[8:at]))
    end = at + _count(head["captured_packed"])
    if head["digest"] != digest or len(head["groups"]) > MAX_LINKS:
        raise ValueError
    return LayerIndex(
        uncompressed_bytes=_known(head["uncompressed_bytes"]),
        entries=_count(head["entries"]),
        file_bytes=_count(head["file_bytes"]),
        packed=bytes(body[end:]),
        groups=tuple(map(_count, head["groups"])),
        captured=_captured(head["captured"], bytes(body[at:end])),
        doubled_bytes=_count(head["doubled_bytes"]),
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


@dataclass(frozen=True, slots=True, order=True)
class _Stored:
    """A file of the cache."""

    used_ns: int
    size: int
    path: str


def _make_room(folder: Path) -> None:
    """Remove what was not used for longest until the rest fits; another process may do the same at this moment."""
    found = []
    with os.scandir(folder) as items:
        for item in items:
            try:
                about = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            found.append(_Stored(about.st_mtime_ns, about.st_size, item.path))
    total = sum(one.size for one in found)
    for one in sorted(found):
        if total <= MAX_CACHE:
            return
        Path(one.path).unlink(missing_ok=True)
        total -= one.size
