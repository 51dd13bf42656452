"""The nouns of what is inside an image: packages, users, what is large and what is wasted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WastedPath:
    """A file that takes room and cannot be seen: stored by one layer, hidden by another; both counted from 0."""

    path: str
    bytes: int
    layer: int
    by_layer: int


@dataclass(frozen=True, slots=True)
class WastedBy:
    """All that one layer stores and one other hides; both counted from 0."""

    layer: int
    by_layer: int
    bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class SizedPath:
    """A file or a folder of an image and its bytes."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Package:
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


@dataclass(frozen=True, slots=True)
class Packages:
    """The packages inside an image, by who installed them."""

    os: tuple[Package, ...] = ()
    python: tuple[Package, ...] = ()

    @property
    def count(self) -> int:
        """Count them all."""
        return len(self.os) + len(self.python)


@dataclass(frozen=True, slots=True)
class User:
    """A user that an image knows."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


@dataclass(frozen=True, slots=True)
class Inventory:
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


@dataclass(frozen=True, slots=True)
class Vulnerabilities:
    """What a scanner knows of an image's packages, by severity, and how old its knowledge is."""

    scanner: str
    database_built_at: str | None = None
    critical: int = 0
    high: int = 0
    medium: int = 0
    low: int = 0
    other: int = 0
