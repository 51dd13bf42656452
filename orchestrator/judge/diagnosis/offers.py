"""Rules about what an index or a repository offers: no file for this platform, no such version, no such package."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.judge.diagnosis.nouns import Case, Rule, make_finding, make_finding_from, search
from orchestrator.judge.diagnosis.resolving import POETRY_NONE, find_uv_cause
from orchestrator.providers import ALPINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.judge.diagnosis.nouns import Hit
    from orchestrator.verdicts import Finding

_PIP = re.compile(
    r"^[ \t]*ERROR: Could not find a version that satisfies the requirement (?P<wanted>[^\n(]{1,200}?) "
    r"\(from versions: (?P<offered>[^)\n]{0,200000})",
    re.MULTILINE,
)
_OTHER_PYTHON = re.compile(
    r"^[ \t]*ERROR: Ignored the following versions that require a different python version: .{0,1000}$"
    r"|^[ \t]*ERROR: Package '?(?P<package>[^\s']{1,100})'? requires a different Python: .{1,200}$"
    r"|^[ \t]*SyntaxError: (?P<two>Missing parentheses in call to 'print')"
    r"|^error: No interpreter found for (?P<python>Python [\d.]{1,20})"
    r"|requires-python .{0,80} does not satisfy|(?:current|your) Python version \([\d.]+\) does not satisfy Python",
    re.MULTILINE,
)
_UV_PLATFORM = re.compile(
    r"(?P<wanted>(?<![\w.-])[A-Za-z0-9][\w.-]{0,100}==[\w.+!-]{1,50}) has no (?:wheels with a matching "
    r"(?:platform|Python ABI|Python implementation)|source distribution or wheel for the current platform|usable wheels)"
)
_UNFIT_WHEEL = re.compile(r"^ERROR: (?P<wheel>\S{1,300}\.whl) is not a supported wheel on this platform\.", re.MULTILINE)
_UV_NO_VERSION = re.compile(
    r"there (?:is no version|are no versions) of (?P<none>\S{1,200}) and you"
    r"|only (?P<newest>\S{1,200}) (?:is|are) available and you require (?P<wanted>\S{1,200}),"
)
_UV_NOT_FOUND = re.compile(r"(?P<name>[\w.-]{1,200}) was not found in (?:the package registry|the provided package locations)")
_APK = re.compile(r"^[ \t]*(?P<package>[\w.+:-]{1,100}) \(no such package\):", re.MULTILINE)
_APT = re.compile(
    r"^E: (?:Unable to locate package (?P<package>\S{1,100})|Package '(?P<other>\S{1,100})' has no installation candidate)",
    re.MULTILINE,
)
_LISTS = re.compile(r"^(?:Get|Hit|Ign|Err):\d", re.MULTILINE)
_SEVERAL = 5


def find_no_distribution(case: Case) -> Iterator[Finding]:
    """Say that an index has the project, and nothing of the version that is asked for can be installed here."""
    musl = " (musl)" if case.system == ALPINE else ""
    for hit in search([case.build] if case.build else [], _UV_PLATFORM):
        yield make_finding(
            "no-distribution",
            f"{hit.found['wanted']} has nothing for this platform{musl}",
            hit.said.where,
            [hit.line],
            _remedy(case, ""),
        )
        return
    for hit in search([case.build] if case.build else [], _UNFIT_WHEEL):
        title = f"{hit.found['wheel']} is a wheel for another platform or Python"
        yield make_finding_from("no-distribution", title, [hit], _remedy(case, ""))
        return
    for hit in _pip_hits(case):
        offered = _offered(hit)
        wanted = hit.found["wanted"].strip()
        if offered and _lies_within(wanted, offered) and not _asks_other_python(case):
            nor_sources = ", and sources are ruled out" if "--only-binary" in hit.said.where else " nor sources"
            neither = "no wheel" if "--only-binary" in hit.said.where else "neither a wheel"
            title = f"{wanted} has nothing that can be installed here{musl}: {neither} for this platform and Python{nor_sources}"
            near = _around(wanted, offered)
            lines = [f"offered here, of {len(offered)} versions: {', '.join(near)}", hit.line]
            yield make_finding("no-distribution", title, hit.said.where, lines, _remedy(case, near[-1]))


def _remedy(case: Case, newer: str) -> str:
    step = f"Take a version that has something for this platform{f', such as {newer}' if newer else ''}"
    other = ", or build on a glibc base (slim, Wolfi), for which most projects publish wheels" if case.system == ALPINE else ""
    return f"{step}{other}; `matrix preflight` tells for each base what has a wheel, and whether there is such a version at all."


def find_no_such_version(case: Case) -> Iterator[Finding]:
    """Say that an index has the project and no version as high as the one that is asked for."""
    cause = find_uv_cause(case)
    if cause and (found := _UV_NO_VERSION.search(cause[1])):
        wanted, newest = found["none"] or found["wanted"], found["newest"]
        remedy = f"Correct the version{f': what there is here is {newest}' if newest else ''}."
        yield make_finding(
            "no-such-version", f"the index offers no {wanted} here", cause[0].said.where, [cause[0].line, cause[1]], remedy
        )
    for hit in list(search([case.build] if case.build else [], POETRY_NONE))[:1]:
        wanted = f"{hit.found['name']} {hit.found['range']}"
        remedy = "Correct the name or the range; what lies in another index needs that one as a source of the project."
        yield make_finding_from("no-such-version", f"the index offers no {wanted} here", [hit], remedy)
    for hit in _pip_hits(case):
        offered = _offered(hit)
        wanted = hit.found["wanted"].strip()
        if offered and not _lies_within(wanted, offered) and not _asks_other_python(case):
            remedy = f"Correct the version: the newest that this Python and platform are offered is {offered[-1]}."
            lines = [f"offered here, of {len(offered)} versions, the last: {', '.join(offered[-_SEVERAL:])}", hit.line]
            yield make_finding("no-such-version", f"the index offers no {wanted} here", hit.said.where, lines, remedy)


def find_other_python(case: Case) -> Iterator[Finding]:
    """Say that what is asked for exists for other versions of Python."""
    hits = list(search([case.build] if case.build else [], _OTHER_PYTHON))
    if hits:
        wanted = next((one.found["wanted"].strip() for one in _pip_hits(case)), hits[0].found["package"] or "a package")
        lines = [*(hit.line for hit in hits), *(hit.line for hit in _pip_hits(case))]
        title = f"{wanted} is not for this version of Python"
        remedy = "Take a release made for this Python, or exclude this combination in matrix.yaml with that as its reason."
        if hits[0].found["two"]:
            title = "what is run here is written for Python 2"
        elif python := hits[0].found["python"]:
            title = f"{python} is asked for, and the image has another one"
            remedy = (
                "Let them fit: `requires-python`, .python-version and the option of the step ask for it, the base brings another."
            )
        yield make_finding("other-python", title, hits[0].said.where, lines, remedy)


def find_nothing_offered(case: Case) -> Iterator[Finding]:
    """Say that an index offers nothing under a name, and the installer does not say why."""
    cause = find_uv_cause(case)
    if cause and (found := _UV_NOT_FOUND.search(cause[1])):
        remedy = (
            "Look at the name first. If it is right, it lies in another index than the build asks: name that one "
            "(UV_INDEX, UV_DEFAULT_INDEX, `tool.uv.index`), with credentials as a build secret."
        )
        title = f"the index has no {found['name']}"
        yield make_finding("nothing-offered", title, cause[0].said.where, [cause[0].line, cause[1]], remedy)
    for hit in _pip_hits(case):
        if not _offered(hit):
            wanted = hit.found["wanted"].strip()
            remedy = (
                "Look at the name first. If it is right, the index that the build asks does not have it or refuses to tell: "
                "with fewer retries pip is silent about 403, 404 and a missing network alike; `pip -v` in this step "
                "shows the answer."
            )
            if "--no-index" in hit.said.where:
                remedy = (
                    "The step asks no index (`--no-index`): see that the folder of its `--find-links` is there, and holds a wheel "
                    "of it for this platform and Python, and of all that it depends on."
                )
            yield make_finding_from("nothing-offered", f"the index gave nothing for {wanted}", [hit], remedy)


def find_no_system_package(case: Case) -> Iterator[Finding]:
    """Say that the system's package manager knows no such package."""
    parts = [case.build] if case.build else []
    apk, apt = list(search(parts, _APK)), list(search(parts, _APT))
    for hit in (apk or apt)[:1]:
        named = dict.fromkeys(one.found["package"] or one.found.groupdict().get("other") or "" for one in apk or apt)
        names = ", ".join(named)
        if apt and not apk and not _LISTS.search(hit.said.text):
            title = f"apt has no package lists, so it knows no {names}"
            remedy = "Run `apt-get update` in the same RUN, before `apt-get install`: the base comes without lists."
        else:
            title = f"{'apk' if apk else 'apt'} knows no package {names}"
            remedy = (
                "Correct the name: packages are called otherwise on each system (openssl-dev on Alpine is libssl-dev on Debian)."
            )
        yield make_finding("no-system-package", title, hit.said.where, [one.line for one in apk or apt], remedy)


def _pip_hits(case: Case) -> list[Hit]:
    """Find pip's list of versions, which is a line of many thousand characters for some projects."""
    return list(search([replace(case.build, text=case.build.whole or case.build.text)], _PIP))[:1] if case.build else []


def _asks_other_python(case: Case) -> bool:
    return bool(case.build and _OTHER_PYTHON.search(case.build.text))


def _offered(hit: Hit) -> list[str]:
    versions = [version.strip() for version in hit.found["offered"].split(",")]
    return [version for version in versions if version and version != "none"]


def _lies_within(wanted: str, offered: list[str]) -> bool:
    """Tell whether the index has newer versions than the one that is wanted; a range that nothing fits may be anything."""
    version = _version(wanted.partition("==")[2])
    return version is not None and any((other := _version(text)) is not None and other > version for text in offered)


def _around(wanted: str, offered: list[str]) -> list[str]:
    """Give the versions next to the one that is wanted, the first newer one last."""
    version = _version(wanted.partition("==")[2])
    older = [text for text in offered if (one := _version(text)) and version and one < version]
    newer = [text for text in offered if (one := _version(text)) and version and one > version]
    return [*older[-2:], *newer[:1]]


def _version(text: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  # packaging is imported where it is needed
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415  # only a failed resolution needs it

    try:
        return Version(text.strip().partition(";")[0].strip())
    except InvalidVersion:
        return None


RULES = (
    Rule(
        "no-distribution",
        "The index has the project, and of this version neither a wheel for this platform nor sources.",
        "pip's list of what is offered here, with newer versions than the one asked for; uv's word about the platform or usable "
        "wheels; pip's `is not a supported wheel`.",
        "Another version, or a base on another C library.",
        find_no_distribution,
    ),
    Rule(
        "no-such-version",
        "The index has the project and no version as high as the one asked for.",
        "pip's list of what is offered here, all of it older; uv's `there is no version`; Poetry's `doesn't match any versions`.",
        "The right version.",
        find_no_such_version,
    ),
    Rule(
        "other-python",
        "What is asked for is for other versions of Python.",
        "The installer's own words about the Python that a version requires.",
        "A release for this Python, or an exclusion with that reason.",
        find_other_python,
    ),
    Rule(
        "nothing-offered",
        "The index gave nothing at all for a name, and the installer does not say why.",
        "pip's `from versions: none`, with no word of a certificate, a refusal or the network; uv's `was not found`.",
        "The name, then what the index answers (`pip -v`).",
        find_nothing_offered,
    ),
    Rule(
        "no-system-package",
        "apk or apt knows no such package; or apt has no lists at all.",
        "apk's `no such package`, or apt's `Unable to locate package`; for the lists, that none was fetched in this step.",
        "The package's name on this system, or `apt-get update` in the same RUN.",
        find_no_system_package,
    ),
)
