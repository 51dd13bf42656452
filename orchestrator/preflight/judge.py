"""What an index has of a package for a target: a wheel that fits, a source archive, or nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from orchestrator.packages import Offer, Pinned
from orchestrator.preflight.needs import find_needs
from orchestrator.preflight.nouns import Judged, Target, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.packages import SourceFacts

GLIBC = 36  # 2.36, Debian 12's: a wheel for a newer one does not fit everywhere
MUSL = 2  # 1.2, Alpine's since 3.13
_ARCHITECTURES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "arm64/v8": "aarch64",
    "arm/v7": "armv7l",
    "386": "i686",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_PATCH = 99  # of a Python of which only X.Y is known: an image's tag X.Y is the newest there is


def judge(pinned: Pinned, offers: Sequence[Offer], target: Target, read: Callable[[Offer], SourceFacts | None]) -> Judged:
    """Judge one package for one target; `read` looks into a source archive when that decides."""
    if target.lacks or target.python is None:
        return Judged(Verdict.UNKNOWN, how=target.lacks)
    if not is_wanted(pinned.marker, target):
        return Judged(Verdict.NOT_WANTED)
    mine = [offer for offer in offers if version_of(offer) == _version(pinned.version)]
    fitting = [offer for offer in mine if _takes_python(offer, target.python)]
    wheels = {offer.filename: tags_of(offer.filename) for offer in mine if offer.filename.endswith(".whl")}
    wanted = supported_tags(target)
    best = min(
        ((wanted[tag], offer.filename) for offer in fitting for tag in wheels.get(offer.filename, ()) if tag in wanted),
        default=None,
    )
    if best is not None:
        is_pure = all(tag.platform == "any" for tag in wheels[best[1]])
        return Judged(Verdict.PURE if is_pure else Verdict.WHEEL, best[1])
    source = next((offer for offer in fitting if offer.filename not in wheels), None)
    others = sorted({_family(tag.platform) for tags in wheels.values() for tag in tags} - {"any"})
    if source is None:
        return Judged(
            Verdict.NOTHING, how=f"wheels for {', '.join(others)} only, no source" if others else "no file of this version"
        )
    return _judge_source(source, others, read(source))


def _judge_source(source: Offer, others: list[str], facts: SourceFacts | None) -> Judged:
    """Tell whether a source archive must be compiled: its wheels elsewhere say so, or what is in it."""
    needs, how = find_needs(facts) if facts else ((), None)
    if others:
        reasons = [f"it has wheels for {', '.join(others)}", *([how] if how else [])]
        return Judged(Verdict.COMPILE, source.filename, needs or ("a compiler",), "; ".join(reasons))
    if facts is None:
        return Judged(Verdict.COMPILE, source.filename, ("perhaps a compiler",), "its source archive could not be read")
    if needs:
        return Judged(Verdict.COMPILE, source.filename, needs, how)
    return Judged(Verdict.BUILD, source.filename, (), "nothing in its source archive is compiled")


def is_wanted(marker: str | None, target: Target) -> bool:
    """Evaluate a marker for a target; what cannot be evaluated counts as wanted."""
    if not marker or target.python is None:
        return True
    environment = {
        "implementation_name": "cpython",
        "implementation_version": f"{target.python}.{_PATCH}",
        "os_name": "posix",
        "platform_machine": architecture(target.platform),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{target.python}.{_PATCH}",
        "python_version": target.python,
        "sys_platform": "linux",
        "extra": "",
    }
    try:
        return Marker(marker).evaluate(environment)
    except (InvalidMarker, UndefinedEnvironmentName):
        return True


def architecture(platform: str) -> str:
    """Give the name that wheels have for a platform's architecture."""
    name = platform.removeprefix("linux/")
    return _ARCHITECTURES.get(name, name)


@cache
def supported_tags(target: Target) -> dict[Tag, int]:
    """Give the wheel tags that fit a target, the best first."""
    python, machine = target.python or "3.0", architecture(target.platform)
    if target.libc == "musl":
        platforms = [f"musllinux_1_{minor}_{machine}" for minor in range(MUSL, -1, -1)]
    else:
        platforms = []
        for minor in range(GLIBC, 4, -1):
            platforms += [f"manylinux_2_{minor}_{machine}"]
            platforms += [f"{_OLD_NAMES[minor]}_{machine}"] if minor in _OLD_NAMES else []
    platforms.append(f"linux_{machine}")
    major, minor = (int(part) for part in python.split("."))
    short = f"cp{major}{minor}"
    tags = [
        *cpython_tags((major, minor), abis=[short], platforms=platforms),
        *compatible_tags((major, minor), interpreter=short, platforms=platforms),
    ]
    return {tag: place for place, tag in reversed(list(enumerate(tags)))}


@cache
def tags_of(filename: str) -> frozenset[Tag]:
    """Read the tags of a wheel's name; a name that is no wheel's has none."""
    try:
        return parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return frozenset()


@cache
def _version_of(filename: str) -> Version | None:
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[1]
        return parse_sdist_filename(filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None


def version_of(offer: Offer) -> Version | None:
    """Read the version out of a file's name."""
    return _version_of(offer.filename)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _takes_python(offer: Offer, python: str) -> bool:
    try:
        return not offer.requires_python or f"{python}.{_PATCH}" in SpecifierSet(offer.requires_python)
    except InvalidSpecifier:
        return True


def _family(platform: str) -> str:
    """Name a platform tag's family: glibc, musl, macOS, Windows."""
    families = {"manylinux": "glibc", "musllinux": "musl", "macosx": "macOS", "win": "Windows", "linux": "Linux"}
    return next((name for start, name in families.items() if platform.startswith(start)), platform)


def choose_versions(lines: Sequence[str], offers_of: Callable[[str], Sequence[Offer]]) -> tuple[Pinned, ...]:
    """Pin what requirements ask for directly, where no resolution is to be had: the newest version that fits."""
    found = []
    for line in lines:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        known = {one for offer in offers_of(wanted.name) if not offer.yanked and (one := version_of(offer))}
        fitting = sorted(wanted.specifier.filter(known), reverse=True)
        exact = next(
            (spec.version for spec in wanted.specifier if spec.operator in ("==", "===") and "*" not in spec.version), None
        )
        version = exact or (str(fitting[0]) if fitting else str(wanted.specifier) or "any")
        found.append(Pinned(wanted.name, version, str(wanted.marker) if wanted.marker else None))
    return tuple(found)
