"""An image of a classic store: what its engine tells of it, and its layers as the engine saves them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from contextlib import contextmanager
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from orchestrator.disk import disk_errors
from orchestrator.docker.api import ask
from orchestrator.docker.client import client, engine_errors
from orchestrator.docker.images import first_port, words_of
from orchestrator.errors import EngineError
from orchestrator.measure.image import RawImage, align_history, clean_history, makes_layer
from orchestrator.paths import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.docker.engine import Engine
    from orchestrator.docker.layers import LayerRead

_OLD = "/layer.tar"  # as Docker before 25 ends a layer's name, which says nothing of what is in it
_CHUNK = 1024 * 1024
_KEPT_BYTES = 64 * 1024**2  # of a layer put aside; more of it goes to the disk


def read_from_engine(engine: Engine, image: str) -> RawImage:
    """Read an image of a classic store: layers already known are not moved again."""
    from orchestrator.docker.layers import recall_tar  # noqa: PLC0415  # a run that takes all over from an earlier one reads no image

    found = ask(engine, "GET", f"/images/{image}/json")
    config, diff_ids = found["Config"], tuple(found["RootFS"].get("Layers") or ())
    layers = {diff_id: layer for diff_id in diff_ids if (layer := recall_tar(diff_id))}
    if missing := set(diff_ids) - set(layers):
        with engine_errors(f"the image {image} cannot be read from the engine"):
            layers |= _read_saved(image, missing)
    return RawImage(
        digest=found["Id"],
        diff_ids=diff_ids,
        sizes=tuple(layers[diff_id].size for diff_id in diff_ids),
        indices=tuple(layers[diff_id].index for diff_id in diff_ids),
        instructions=align_history(_history(engine, image), len(diff_ids)),
        labels=config.get("Labels") or {},
        command=(*words_of(config.get("Entrypoint")), *words_of(config.get("Cmd"))),
        user=config.get("User") or "",
        port=first_port(config.get("ExposedPorts") or ()),
        ports=tuple(config.get("ExposedPorts") or ()),
        entrypoint=words_of(config.get("Entrypoint")),
    )


def _history(engine: Engine, image: str) -> list[tuple[str, str]]:
    """Give the instructions that made the layers of an image, oldest first, each with its comment."""
    entries = list(reversed(ask(engine, "GET", f"/images/{image}/history")))
    words = clean_history(str(made["CreatedBy"]) for made in entries)
    return [(one, str(made.get("Comment", ""))) for one, made in zip(words, entries, strict=True) if makes_layer(one)]


def _read_saved(image: str, wanted: set[str]) -> dict[str, LayerRead]:
    """Stream the image out of the engine and read the layers wanted, unpacked to nowhere."""
    from orchestrator.docker.layers import read_tar  # noqa: PLC0415  # as above

    found: dict[str, LayerRead] = {}
    try:
        with tarfile.open(fileobj=io.BufferedReader(_Stream(client().image.save(image) or iter(()))), mode="r|") as archive:
            for entry in archive:
                if entry.isfile() and (tar := archive.extractfile(entry)):
                    with _identified(entry.name, tar) as (diff_id, layer):
                        found |= {diff_id: read_tar(diff_id, layer)} if diff_id in wanted else {}
    except tarfile.TarError as error:
        message = f"the engine's copy of {image} cannot be read: {error}"
        raise EngineError(message) from error
    if lacking := wanted - set(found):
        message = f"the engine did not hand out {len(lacking)} layers of {image}"
        raise EngineError(message)
    return found


@contextmanager
def _identified(name: str, tar: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """Give the digest of what is saved under a name, and its bytes: where the name does not tell it they are put aside."""
    if not name.endswith(_OLD):
        yield f"sha256:{PurePosixPath(name).stem}", tar
        return
    folder, digest = cache_folder("images"), hashlib.sha256()
    with SpooledTemporaryFile(_KEPT_BYTES, dir=str(folder)) as aside:
        with disk_errors(folder):
            while part := tar.read(_CHUNK):
                digest.update(part)
                aside.write(part)
        aside.seek(0)
        yield f"sha256:{digest.hexdigest()}", aside


class _Stream(io.RawIOBase):
    """Parts of bytes as a file that can be read from front to back."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def readable(self) -> bool:
        """Say yes: this is all it can do."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # any writable buffer
        """Fill a buffer with what is left of a part, or with the next one."""
        self._rest = self._rest or next(self._parts, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
