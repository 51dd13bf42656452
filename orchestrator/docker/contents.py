"""What lies in an image: a path's entry read through a container that never runs, its configuration, a snapshot."""

from __future__ import annotations

import re
import stat
import tarfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.docker.api import RefusedError, ask, talking
from orchestrator.docker.images import remove_image, words_of
from orchestrator.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.docker.engine import Engine

_NOT_THERE = re.compile(
    r"could not find the file|no such container:path|no such file or directory|not a directory"
    r"|too many links|too many levels of symbolic links",
    re.IGNORECASE,
)


class Entry(Struct, frozen=True):
    """What lies at a path: its kind and permissions as in `stat`, its owner, and what it holds or leads to."""

    mode: int
    uid: int
    gid: int
    link: str | None = None
    content: bytes | None = None
    size_bytes: int = 0


class ImageConfig(Struct, frozen=True):
    """What an image says about itself."""

    env: dict[str, str]
    labels: dict[str, str]
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    workdir: str
    user: str


def read_config(engine: Engine, image: str) -> ImageConfig:
    """Read an image's configuration from the engine."""
    return parse_config({"config": ask(engine, "GET", f"/images/{image}/json")["Config"]})


def parse_config(config: dict[str, Any]) -> ImageConfig:
    """Read an image's configuration as it is stored."""
    found = config.get("config") or {}
    return ImageConfig(
        env={key: value for key, _, value in (pair.partition("=") for pair in found.get("Env") or ())},
        labels=dict(found.get("Labels") or {}),
        ports=tuple(found.get("ExposedPorts") or ()),
        volumes=tuple(found.get("Volumes") or ()),
        entrypoint=words_of(found.get("Entrypoint")),
        cmd=words_of(found.get("Cmd")),
        workdir=str(found.get("WorkingDir") or ""),
        user=str(found.get("User") or ""),
    )


def read_entry(engine: Engine, box: str, path: str, *, limit: int, timeout_s: float) -> Entry | None:
    """Read what lies at a path of a container, links not followed, or None when nothing does.

    The engine finds the path inside the container, runs nothing for it and
    sends a tar stream. Only the stream's first entry is read, which is the path
    itself, and nothing is unpacked: a name in it can do no harm. Of a large
    file or of a folder the rest is not sent.
    """
    try:
        with (
            talking(engine, within_s=timeout_s) as talk,
            talk.asked("GET", f"/containers/{box}/archive", query={"path": path}) as answer,
        ):
            entry = _first_entry(answer, limit)
    except RefusedError as error:
        if _NOT_THERE.search(str(error)):
            return None
        message = f"{path} cannot be read: {error}"
        raise EngineError(message) from error
    if entry is None:
        message = f"{path} cannot be read: the engine sent nothing"
        raise EngineError(message)
    return entry


def _first_entry(stream: IO[bytes], limit: int) -> Entry | None:
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            found = archive.next()
            if found is None:
                return None
            file = archive.extractfile(found) if limit and found.isreg() else None
            content = file.read(limit) if file else None
    except tarfile.TarError:  # the stream is empty or ends early
        return None
    link = found.linkname if found.issym() else None
    return Entry(kind_of(found) | found.mode & 0o7777, found.uid, found.gid, link, content, found.size)


def kind_of(found: tarfile.TarInfo) -> int:
    """Give the kind of an archive's entry as in `stat`; a hard link is the file that it is."""
    kinds = {
        tarfile.DIRTYPE: stat.S_IFDIR,
        tarfile.SYMTYPE: stat.S_IFLNK,
        tarfile.CHRTYPE: stat.S_IFCHR,
        tarfile.BLKTYPE: stat.S_IFBLK,
        tarfile.FIFOTYPE: stat.S_IFIFO,
    }
    return kinds.get(found.type, stat.S_IFREG)


@contextmanager
def snapshot(engine: Engine, box: str, image: str) -> Iterator[None]:
    """Keep what an ended container has written as an image of this name, for a while."""
    name, _, tag = image.rpartition(":")
    try:
        ask(engine, "POST", "/commit", {}, {"container": box, "repo": name, "tag": tag})
    except RefusedError as error:
        message = f"what the container has written cannot be kept: {error}"
        raise EngineError(message) from error
    try:
        yield
    finally:
        remove_image(engine, image)
