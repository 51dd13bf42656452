"""The nouns of matrix.lock: bases by digest, requirements by version, packages by hash."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

SCHEMA = 1


class LockedBase(Struct, frozen=True):
    """A base image on one platform."""

    ref: str
    platform: str
    digest: str  # what the reference resolved to, most often an index of platforms: what is built from
    image: str  # the platform's own manifest: what must not have moved
    source: str = "registry"  # or engine, of a base that only this engine has


class LockedRequirements(Struct, frozen=True):
    """A requirements file and what it resolved to."""

    path: str
    digest: str
    python: str  # the oldest one that this holds for
    packages: tuple[str, ...]  # name==version, and a marker where it has one
    target: str | None = None  # None: one resolution for all bases and Pythons


class Lock(Struct, frozen=True):
    """All that a run with --locked is built from."""

    schema: int
    name: str
    base: tuple[LockedBase, ...] = ()
    requirements: tuple[LockedRequirements, ...] = ()
    hashes: Mapping[str, tuple[str, ...]] | None = None  # of every file of name==version
