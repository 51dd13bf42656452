"""What has moved between a lock and what the same file would lock today."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.lock.nouns import Lock, LockedRequirements

_SHORT = 19  # sha256: and twelve digits


def find_moves(then: Lock, now: Lock) -> tuple[str, ...]:
    """Say in a line each what moved: bases first, then requirements and packages."""
    return (*_moved_bases(then, now), *_moved_requirements(then, now), *_gone_files(then, now))


def _moved_bases(then: Lock, now: Lock) -> Iterator[str]:
    before, after = ({(one.ref, one.platform): one for one in lock.base} for lock in (then, now))
    for (ref, platform), base in after.items():
        known = before.get((ref, platform))
        if known is None:
            yield f"base {ref} ({platform}) is not locked"
        elif known.image != base.image:
            yield f"base {ref} ({platform}): {known.image[:_SHORT]} -> {base.image[:_SHORT]}"
    yield from (
        f"base {ref} ({platform}) is locked, and no cell is built on it" for ref, platform in before if (ref, platform) not in after
    )


def _moved_requirements(then: Lock, now: Lock) -> Iterator[str]:
    before, after = ({(one.path, one.target): one for one in lock.requirements} for lock in (then, now))
    for key, found in after.items():
        name = found.path + (f" ({found.target})" if found.target else "")
        known = before.get(key)
        if known is None:
            yield f"{name} is not locked"
            continue
        if known.digest != found.digest:
            yield f"{name}: the file has changed"
        if known.python != found.python:
            yield f"{name}: locked for Python {known.python} and newer, now {found.python} and newer"
        yield from (f"{name}: {words}" for words in _moved_packages(known, found))
    yield from (f"{path} is locked, and no cell requires it" for path, target in before if (path, target) not in after)


def _moved_packages(then: LockedRequirements, now: LockedRequirements) -> Iterator[str]:
    """Compare versions by name; a package may have several, each with its marker."""
    before, after = _by_name(then), _by_name(now)
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield f"{name} {' and '.join(old) if old else 'not there'} -> {' and '.join(new) if new else 'not there'}"


def _by_name(found: LockedRequirements) -> Mapping[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for package in found.packages:
        name, _, version = package.partition("==")
        names[name] = (*names.get(name, ()), version)
    return names


def _gone_files(then: Lock, now: Lock) -> Iterator[str]:
    """Find locked files that are gone: one that is offered besides changes nothing."""
    after = now.hashes or {}
    for package, hashes in (then.hashes or {}).items():
        if package in after and (gone := set(hashes) - set(after[package])):
            yield f"{package}: {len(gone)} of its {len(hashes)} files are gone from the index"
