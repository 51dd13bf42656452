"""A layer's bytes as a tar stream in bounded parts, however it is packed."""

from __future__ import annotations

import io
import sys
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READ = 128 * 1024
PART = 1024 * 1024
_SMALL_PART = 128 * 1024  # where many streams are read side by side
MAX_UNPACKED = 64 * 1024**3  # a layer that claims more is an attack on the reader, not an image
_MAX_WINDOW_LOG = 27  # 128 MiB: what zstd's own tools take without being asked
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPED = tuple(bytes((first, 0x2A, 0x4D, 0x18)) for first in range(0x50, 0x60))  # how a frame begins that zstd passes over


class LayerError(Exception):
    """A layer cannot be read; the words say why."""


class _Unpacker(Protocol):
    """What the libraries have in common: one member at a time, never more than is asked for."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def unpack(blob: IO[bytes]) -> Iterator[bytes]:
    """Give a layer's tar stream in parts of at most 1 MiB; LayerError where it is damaged, cut off or too large."""
    start = blob.read(len(_ZSTD))
    if start.startswith(_GZIP):
        parts = _members(start, blob, *_gzip())
    elif start.startswith((_ZSTD, *_SKIPPED)):  # what packs in parallel may begin with the latter
        parts = _members(start, blob, *_zstd())
    else:
        parts = _plain(start, blob)
    size = 0
    for part in parts:
        size += len(part)
        if size > MAX_UNPACKED:
            message = f"unpacks to more than {MAX_UNPACKED} bytes"
            raise LayerError(message)
        yield part


def unpack_bytes(data: bytes) -> Iterator[bytes]:
    """Give what zlib packed, in parts."""
    from isal import igzip_lib  # noqa: PLC0415  # only those who read layers need it

    def make() -> _Unpacker:
        return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)

    return _members(b"", io.BytesIO(data), make, igzip_lib.IsalError, _SMALL_PART)  # type: ignore[arg-type]  # its stubs take the class for an exception


def pack_bytes(parts: Iterator[bytes]) -> bytes:
    """Pack with zlib, quickly rather than tightly."""
    from isal import isal_zlib  # noqa: PLC0415  # as above

    packer = isal_zlib.compressobj(1)
    packed = [packer.compress(part) for part in parts]
    return b"".join([*packed, packer.flush()])


def _plain(start: bytes, blob: IO[bytes]) -> Iterator[bytes]:
    if start:
        yield start
    while part := blob.read(PART):
        yield part


def _gzip() -> tuple[Callable[[], _Unpacker], type[Exception]]:
    from isal import igzip_lib  # noqa: PLC0415  # as above

    return lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), igzip_lib.IsalError  # type: ignore[return-value]  # as above


def _zstd() -> tuple[Callable[[], _Unpacker], type[Exception]]:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415  # as above
    else:
        from backports import zstd  # noqa: PLC0415  # as above
    options = {int(zstd.DecompressionParameter.window_log_max): _MAX_WINDOW_LOG}
    return lambda: zstd.ZstdDecompressor(options=options), zstd.ZstdError


def _members(
    start: bytes, blob: IO[bytes], make: Callable[[], _Unpacker], broken: type[Exception], size: int = PART
) -> Iterator[bytes]:
    """Unpack one member after the other: packers that work in parallel write many."""
    unpacker, data = make(), start
    while True:
        if not data and unpacker.needs_input:
            data = blob.read(_READ)
            if not data:
                raise LayerError("is cut off: its packed data end early")
        try:
            part = unpacker.decompress(data, size)
        except broken as error:
            message = f"is damaged: {error}"
            raise LayerError(message) from error
        if part:
            yield part
        data = b""
        if unpacker.eof:
            data = unpacker.unused_data or blob.read(_READ)
            if not data:
                return
            unpacker = make()
