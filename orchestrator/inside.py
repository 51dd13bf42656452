"""The nouns of what is inside an image: packages, users, what is large and what is wasted."""

from __future__ import annotations

from msgspec import Struct


class WastedPath(Struct, frozen=True):
    """A file that takes room and cannot be seen: stored by one layer, hidden by another; both counted from 0."""

    path: str
    bytes: int
    layer: int
    by_layer: int


class WastedBy(Struct, frozen=True):
    """All that one layer stores and one other hides; both counted from 0."""

    layer: int
    by_layer: int
    bytes: int
    files: int


class SizedPath(Struct, frozen=True):
    """A file or a folder of an image and its bytes."""

    path: str
    bytes: int


class Package(Struct, frozen=True):
    """A package found inside an image; `bytes` were added up, `installed_bytes` is what its own database says."""

    name: str
    version: str
    built_from: str | None = None
    native: bool | None = None
    bytes: int | None = None
    installed_bytes: int | None = None
    installed_by: str | None = None
    compile_s: float | None = None
    layer: int | None = None  # which stores most of its bytes, counted from 0
    stored_bytes: int | None = None  # what its files take in their layers, with the headers and the padding of an archive


class Packages(Struct, frozen=True):
    """The packages inside an image, by who installed them."""

    os: tuple[Package, ...] = ()
    python: tuple[Package, ...] = ()

    @property
    def count(self) -> int:
        """Count them all."""
        return len(self.os) + len(self.python)


class User(Struct, frozen=True):
    """A user that an image knows."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


class Inventory(Struct, frozen=True):
    """What else is inside an image, as its layers and its configuration have it."""

    system: str | None = None
    system_version: str | None = None
    files: int = 0
    file_bytes: int = 0
    users: tuple[User, ...] = ()
    user: str = ""
    ports: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    set_id_files: tuple[str, ...] = ()
    shells: tuple[str, ...] = ()


class Vulnerabilities(Struct, frozen=True):
    """What a scanner knows of an image's packages, by severity, and how old its knowledge is."""

    scanner: str
    database_built_at: str | None = None
    critical: int = 0
    high: int = 0
    medium: int = 0
    low: int = 0
    other: int = 0
