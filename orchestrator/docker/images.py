"""Images on their way out of the builder: one store for all cells, or the engine's own."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator.digests import is_digest
from orchestrator.disk import disk_errors
from orchestrator.docker.api import RefusedError, ask, remove, talking
from orchestrator.errors import EngineError
from orchestrator.measure.image import RawImage, instructions_of
from orchestrator.model import LABEL
from orchestrator.strict import as_map, items_of, parse_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from orchestrator.docker.engine import Engine
    from orchestrator.docker.layers import LayerRead
    from orchestrator.docker.process import Signal

_MAX_JSON = 16 * 1024 * 1024
_TRIES = 3
_CHUNK = 1024 * 1024
_OURS = re.compile(r"matrix\.local/[^:]+:(\d{8}t\d{6}z-[0-9a-f]{6})-.*")


class ImageStore:
    """OCI layouts of one run: a folder for each cell, the blobs of all in one place.

    A folder of its own keeps cells that finish together from fighting over one
    index; the common blobs make a base leave the builder once.
    """

    def __init__(self, folder: Path) -> None:
        """Use a folder, which is made when the first cell needs it."""
        self.folder = folder
        self._blobs = folder / "blobs"

    def prepare(self, name: str) -> Path:
        """Make the layout folder of one image."""
        layout = self.folder / hashlib.sha256(name.encode()).hexdigest()[:16]
        with disk_errors(layout):
            self._blobs.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(layout, ignore_errors=True)
            layout.mkdir()
            layout.joinpath("blobs").symlink_to(Path("..", "blobs"))
        return layout

    def read(self, layout: Path) -> RawImage:
        """Read the image of a layout: what its layers weigh and hold, instructions, labels."""
        from orchestrator.docker.layers import read_blob  # noqa: PLC0415  # a run that takes all over from an earlier one reads no image

        digest, manifest = self._manifest(layout)
        config = self._json(_digest_of(manifest.get("config")))
        layers = [_digest_of(layer) for layer in items_of(manifest, "layers")]
        image = make_raw_image(digest, config, [read_blob(self._blob(layer), layer) for layer in layers])
        return replace(image, manifest=json.dumps(manifest), config=json.dumps(config))

    def archive(self, layout: Path, image: str) -> Iterator[bytes]:
        """Write an image as the archive that an engine of any age loads, part by part."""
        _, manifest = self._manifest(layout)
        blobs = [_digest_of(one) for one in (manifest.get("config"), *items_of(manifest, "layers"))]
        index = {"Config": _inside(blobs[0]), "RepoTags": [image], "Layers": [_inside(digest) for digest in blobs[1:]]}
        text = json.dumps([index]).encode()
        yield from _tar_entry("manifest.json", len(text), [text])
        for digest in dict.fromkeys(blobs):
            path = self._blob(digest)
            with path.open("rb") as blob:
                yield from _tar_entry(_inside(digest), path.stat().st_size, _parts(blob))
        yield bytes(2 * tarfile.BLOCKSIZE)

    def blobs(self) -> list[Path]:
        """List all that lies in the store."""
        return [path for path in self._blobs.rglob("*") if path.is_file()]

    def forget_blobs(self, known: Collection[Path]) -> None:
        """Remove what has come since."""
        for path in self.blobs():
            if path not in known:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove every image of the run."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _manifest(self, layout: Path) -> tuple[str, dict[str, Any]]:
        """Find the one image of a layout, through an index of platforms if there is one."""
        try:
            document = parse_object((layout / "index.json").read_bytes())
        except OSError as error:
            message = f"the builder wrote no index of the image: {error.strerror}"
            raise EngineError(message) from error
        for _ in range(3):
            entries = items_of(document, "manifests")
            images = [entry for entry in entries if "attestation-manifest" not in json.dumps(entry.get("annotations", {}))]
            if not images:
                raise EngineError("the builder wrote an index that names no image")
            digest = _digest_of(images[0])
            document = self._json(digest)
            if "manifests" not in document:
                return digest, document
        message = f"the image in {layout.name} is an index within an index; matrix reads one platform for each cell"
        raise EngineError(message)

    def _json(self, digest: str) -> dict[str, Any]:
        path = self._blob(digest)
        if path.stat().st_size > _MAX_JSON:
            message = f"blob {digest} is too large for a manifest or a configuration"
            raise EngineError(message)
        return parse_object(path.read_bytes())

    def _blob(self, digest: str) -> Path:
        """Find a blob; a digest from outside must not lead anywhere else."""
        if not is_digest(digest):
            message = f"the image names a blob that is no digest: {digest[:80]!r}"
            raise EngineError(message)
        path = self._blobs.joinpath(*digest.split(":"))
        if not path.is_file():
            message = f"the builder named the blob {digest} and did not hand it out"
            raise EngineError(message)
        return path


def _digest_of(descriptor: object) -> str:
    return str(as_map(descriptor).get("digest"))


@contextmanager
def open_store(folder: Path) -> Iterator[ImageStore]:
    """Give the store of a run, which is gone with it."""
    store = ImageStore(folder)
    try:
        yield store
    finally:
        store.remove()


def _inside(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def make_raw_image(digest: str, config: dict[str, Any], layers: Sequence[LayerRead]) -> RawImage:
    """Read an image's configuration."""
    diff_ids = tuple(map(str, (config.get("rootfs") or {}).get("diff_ids") or ()))
    inner = config.get("config") or {}
    return RawImage(
        digest=digest,
        diff_ids=diff_ids,
        sizes=tuple(layer.size for layer in layers),
        indices=tuple(layer.index for layer in layers),
        instructions=instructions_of(config.get("history") or (), len(diff_ids)),
        labels={str(key): str(value) for key, value in (inner.get("Labels") or {}).items()},
        command=(*words_of(inner.get("Entrypoint")), *words_of(inner.get("Cmd"))),
        user=str(inner.get("User") or ""),
        port=first_port(inner.get("ExposedPorts") or ()),
        ports=tuple(map(str, inner.get("ExposedPorts") or ())),
        entrypoint=words_of(inner.get("Entrypoint")),
    )


def first_port(exposed: Iterable[str]) -> int:
    """Give the lowest TCP port that the image says it listens on, or the usual one."""
    ports = [int(port.partition("/")[0]) for port in exposed if re.fullmatch(r"[0-9]{1,5}(/tcp)?", port)]
    return min(ports, default=8000)


def words_of(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Give the words of a command as an image's configuration has it."""
    return (value,) if isinstance(value, str) else tuple(map(str, value or ()))


def _tar_entry(name: str, size: int, parts: Iterable[bytes]) -> Iterator[bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = size
    yield entry.tobuf(tarfile.USTAR_FORMAT)
    yield from parts
    yield bytes(-size % tarfile.BLOCKSIZE)


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    while part := file.read(_CHUNK):
        yield part


def load_image(engine: Engine, store: ImageStore, layout: Path, image: str, cancel: Signal) -> bool:
    """Copy an image from the store into the engine; False when whoever waits gives up."""
    try:
        with talking(engine) as talk:
            said = talk.send("/images/load", store.archive(layout, image), {"quiet": 1}, cancel)
    except RefusedError as error:
        message = f"the engine did not take the image {image}: {error}"
        raise EngineError(message) from error
    told = [as_map(parse_object(line).get("errorDetail")) for line in (said or b"").splitlines()]
    if failed := next(filter(None, told), None):
        message = f"the engine did not take the image {image}: {failed.get('message')}"
        raise EngineError(message)
    return said is not None


def remove_image(engine: Engine, image: str) -> None:
    """Remove one tag; the build cache keeps the layers, and a tag that is gone is fine."""
    remove(engine, f"/images/{image}", f"the image {image}")


def list_images(engine: Engine, matrix: str | None = None) -> list[tuple[str, str]]:
    """List the images made of one matrix, or of any, each with its run: by label, and by the name that only matrix gives."""
    labels = [f"{LABEL}.cell", *([] if matrix is None else [f"{LABEL}.matrix={matrix}"])]
    wanted = {"filters": json.dumps({"label": labels})}
    for left in reversed(range(_TRIES)):  # an image that another run removes meanwhile spoils the whole list
        try:
            found = ask(engine, "GET", "/images/json", query=wanted)
            break
        except RefusedError as error:
            if not left:
                message = f"the engine cannot list its images: {error}"
                raise EngineError(message) from error
    return [(tag, named[1]) for image in found for tag in image.get("RepoTags") or () if (named := _OURS.fullmatch(tag))]
