"""Images that were looked into before: an unchanged one is neither moved out of the builder nor read again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from msgspec import Struct

from orchestrator import __version__
from orchestrator.cached import Shelf
from orchestrator.record import Image
from orchestrator.strict import dump_json, read_json

_FORM = 5  # of an entry, and of what is found in an image: another number forgets them all
SHELF = Shelf("known", f"matrix-image-{_FORM}-{__version__}\n".encode(), max_bytes=256 * 1024**2, max_entry_bytes=32 * 1024**2)
_EXPECTED = Shelf("expected", b"matrix-expected-1\n", max_bytes=4 * 1024**2, max_entry_bytes=200)


class KnownImage(Struct, frozen=True):
    """All that an image's manifest, configuration and layers tell, whatever run it belongs to."""

    image: Image
    diff_ids: tuple[str, ...]
    labels: Mapping[str, str]
    command: tuple[str, ...] = ()
    user: str = ""
    port: int = 8000
    sbom: str | None = None  # none where a layer could not be read
    manifest: str | None = None  # as JSON; none of an image that only an engine has
    config: str | None = None


def knows_image(digest: str) -> bool:
    """Tell whether something is known of the image with this digest."""
    return SHELF.load(_name(digest)) is not None


def recall_image(digest: str) -> KnownImage | None:
    """Give what is known of the image with this digest."""
    body = SHELF.load(_name(digest))
    if body is None:
        return None
    try:
        return read_json(bytes(body), KnownImage)
    except ValueError:  # of a tool that calls itself by the same version
        return None


def remember_image(digest: str, known: KnownImage) -> None:
    """Remember an image; one with a layer that could not be read may be whole the next time."""
    if known.sbom is not None:
        SHELF.save(_name(digest), dump_json(known))


def recall_expected(*place: str) -> str | None:
    """Give the digest that the image of this place had the last time: a guess, which costs an export when it is wrong."""
    body = _EXPECTED.load(_name(*place))
    return None if body is None else bytes(body).decode("ascii", "replace")


def remember_expected(digest: str, *place: str) -> None:
    """Remember the digest of the image of a place: the builder, the matrix, the cell and what it was built from."""
    _EXPECTED.save(_name(*place), digest.encode())


def _name(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()
