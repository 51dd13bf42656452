"""Which versions pip would take, where nothing can be resolved: what a file asks for directly, for one target."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from orchestrator.packages import Offer, Pinned
from orchestrator.preflight.formats import ANY, Formats
from orchestrator.preflight.judge import fits, is_wanted, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from orchestrator.preflight.nouns import Target

_PROJECTS = ("pyproject.toml", "setup.cfg", "setup.py")
_DIRECT = "at an address of its own"
_PLACE = re.compile(r"(?:[.~/].*|[\w.+-]+[/:][^\s\"]\S*)(?:\s+;.*)?")  # a folder, an archive or an address, which pip takes, too


def choose_versions(
    lines: Sequence[str],
    constraints: Sequence[str],
    offers_of: Callable[[str], Sequence[Offer]],
    target: Target,
    formats: Formats = ANY,
) -> tuple[Pinned, ...]:
    """Pin what requirements ask for directly: the newest version that has a file for the target, or else the newest."""
    limits = [one for one in _parse(constraints) if is_wanted(_marker(one), target)]
    found = []
    for wanted in _parse(lines):
        if wanted.url:
            found.append(Pinned(wanted.name, _DIRECT, _marker(wanted), is_direct=True))
            continue
        specifier = wanted.specifier
        for limit in limits:
            if canonicalize_name(limit.name) == canonicalize_name(wanted.name):
                specifier &= limit.specifier
        version = _exact(specifier) or _newest(specifier, wanted.name, offers_of(wanted.name), target, formats)
        found.append(Pinned(wanted.name, version or str(specifier) or "any", _marker(wanted)))
    return tuple(found)


def names_of(lines: Sequence[str]) -> list[str]:
    """Name what requirements ask an index for."""
    return [wanted.name for wanted in _parse(lines) if not wanted.url]


def unread_of(lines: Sequence[str]) -> list[str]:
    """Give the lines that name nothing which an index could have: of those nothing can be foretold."""
    return [line for line in lines if not any(_parse([line]))]


def is_pips(lines: Sequence[str]) -> bool:
    """Tell whether these are a requirements file's lines, but for some mistakes: other installers' files have hardly any such."""
    strange = sum(_PLACE.fullmatch(line) is None for line in unread_of(lines))
    return strange * 2 <= len(lines)


def uv_reads(path: str, lines: Sequence[str]) -> bool:
    """Tell whether uv can resolve a file: one in pip's format, or a Python project's own."""
    return path.rpartition("/")[2] in _PROJECTS or is_pips(lines)


def _parse(lines: Sequence[str]) -> Iterator[Requirement]:
    """Read requirements; what has no name, such as a folder, is passed over."""
    for line in lines:
        try:
            yield Requirement(line)
        except InvalidRequirement:
            continue


def _marker(wanted: Requirement) -> str | None:
    return str(wanted.marker) if wanted.marker else None


def _exact(specifier: SpecifierSet) -> str | None:
    """Give the one version that is asked for, whether or not anybody has it."""
    return next((one.version for one in specifier if one.operator in ("==", "===") and "*" not in one.version), None)


def _newest(specifier: SpecifierSet, name: str, offers: Sequence[Offer], target: Target, formats: Formats) -> str | None:
    """Choose as pip does, which does not see what no file of a version is for."""
    mine = [(version, offer) for offer in offers if not offer.yanked and (version := version_of(offer))]
    usable = [(version, offer) for version, offer in mine if fits(offer, target) and formats.take(name, offer)]
    wheels = [(version, offer) for version, offer in usable if offer.filename.endswith(".whl")]
    for those in ([wheels] if formats.prefers_wheels else []) + [usable, mine]:
        known: set[Version] = {version for version, _ in those}
        previews = True if formats.takes_previews else None
        if fitting := sorted(specifier.filter(known, prereleases=previews)):
            return str(fitting[-1])
    return None
