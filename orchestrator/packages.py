"""The nouns of Python packages: what a resolution pins, what an index offers, what a source archive tells of itself."""

from __future__ import annotations

import re

from msgspec import Struct

_APART = re.compile(r"[-_.]+")


def normal_name(name: str) -> str:
    """Write a package's name as indices compare it."""
    return _APART.sub("-", name).lower()


class Pinned(Struct, frozen=True):
    """One version of one package, as a resolution pins it."""

    name: str
    version: str
    marker: str | None = None
    hashes: tuple[str, ...] = ()
    is_direct: bool = False  # fetched from an address of its own, so no index knows it

    @property
    def label(self) -> str:
        """Give the pin without its condition."""
        return f"{self.name}=={self.version}"


class Offer(Struct, frozen=True):
    """A file that an index offers for a package: a wheel or a source archive."""

    filename: str
    url: str | None = None  # None when the address may not be kept, as it carries credentials
    requires_python: str | None = None
    yanked: bool = False


class SourceFacts(Struct, frozen=True):
    """What a source archive tells without being run."""

    build_requires: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()  # of its sources: C, C++, Cython, Rust, Fortran
    headers: tuple[str, ...] = ()  # included by its sources and not in it
    declares_extension: bool = False  # its setup.py or pyproject.toml names extension modules
