"""What an index has of a package for a target: a wheel that fits, a source archive, or nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from orchestrator.platforms import normal_platform
from orchestrator.preflight.formats import ANY, Formats
from orchestrator.preflight.needs import find_needs
from orchestrator.preflight.nouns import Judged, Target, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.packages import Offer, Pinned, SourceFacts

GLIBC = 36  # 2.36, Debian 12's: a wheel for a newer one does not fit everywhere
MUSL = 2  # 1.2, Alpine's since 3.13
_ARCHITECTURES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "arm/v7": "armv7l",
    "arm/v6": "armv6l",
    "386": "i686",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_WITHOUT_M = (3, 8)  # the first Python whose extensions do not carry pymalloc's mark
ELSEWHERE = "it is fetched from an address of its own, and no index is asked"
_PATCH = 99  # of a Python of which only X.Y is known: an image's tag X.Y is the newest there is


def judge(
    pinned: Pinned,
    offers: Sequence[Offer],
    target: Target,
    read: Callable[[Offer], SourceFacts | None],
    formats: Formats = ANY,
) -> Judged:
    """Judge one package for one target; `read` looks into a source archive when that decides."""
    if target.lacks or target.python is None:
        return Judged(Verdict.UNKNOWN, how=target.lacks)
    if not is_wanted(pinned.marker, target):
        return Judged(Verdict.NOT_WANTED)
    if pinned.is_direct:
        return Judged(Verdict.UNKNOWN, how=ELSEWHERE)
    mine = [offer for offer in offers if version_of(offer) == _version(pinned.version)]
    fitting = [offer for offer in mine if _takes_python(offer, target.python) and formats.take(pinned.name, offer)]
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
        return Judged(Verdict.NOTHING, how=_lack(others, is_ruled_out=len(wheels) < len(mine) and not formats.sources(pinned.name)))
    return _judge_source(source, others, read(source))


def _lack(others: list[str], *, is_ruled_out: bool) -> str:
    """Say what there is instead of what would fit."""
    wheels = f"wheels for {', '.join(others)} only" if others else "no wheel"
    if is_ruled_out:
        return f"{wheels}, and the file rules out sources"
    return f"{wheels}, no source" if others else "no file of this version"


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
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName):
        return True


def architecture(platform: str) -> str:
    """Give the name that wheels have for a platform's architecture; they know no newer kinds of one."""
    name = normal_platform(platform).removeprefix("linux/")
    return _ARCHITECTURES.get(name) or _ARCHITECTURES.get(name.partition("/")[0], name)


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
        *cpython_tags((major, minor), abis=[f"{short}m" if (major, minor) < _WITHOUT_M else short], platforms=platforms),
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
        return parse_sdist_filename(f"{filename.removesuffix('.tar.bz2')}.tar.gz" if filename.endswith(".bz2") else filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None


def version_of(offer: Offer) -> Version | None:
    """Read the version out of a file's name."""
    return _version_of(offer.filename)


def _takes_python(offer: Offer, python: str) -> bool:
    try:
        return not offer.requires_python or f"{python}.{_PATCH}" in SpecifierSet(offer.requires_python)
    except InvalidSpecifier:
        return True


def fits(offer: Offer, target: Target) -> bool:
    """Tell whether a file is for a target: a source archive is for any."""
    if not _takes_python(offer, target.python or ""):
        return False
    return not offer.filename.endswith(".whl") or not tags_of(offer.filename).isdisjoint(supported_tags(target))


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _family(platform: str) -> str:
    """Name a platform tag's family: glibc, musl, macOS, Windows."""
    families = {"manylinux": "glibc", "musllinux": "musl", "macosx": "macOS", "win": "Windows", "linux": "Linux"}
    return next((name for start, name in families.items() if platform.startswith(start)), platform)
