"""Rules about what is compiled: compilers, headers and tools that are not there, and sources that do not compile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.judge.diagnosis.case import was_copied
from orchestrator.judge.diagnosis.nouns import Case, Hit, Rule, first, lines_of, make_finding, make_finding_from, search
from orchestrator.providers import ALPINE, COMPILER, CXX_COMPILER, DEBIAN, TOOLS, WOLFI, find_header, render_install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.verdicts import Finding

_CC = r"(?P<tool>(?:[\w./-]{0,80}[/-])?(?:gcc|cc|g\+\+|c\+\+|clang|clang\+\+))"
_NO_COMPILER = re.compile(
    rf"^[ \t]*(?:error: )?(?:command|unable to execute) '{_CC}'(?: failed)?: No such file or directory"
    rf"|\[Errno 2\] No such file or directory: '{_CC.replace('tool', 'tool2')}'"
    rf"|^[ \t]*error: linker `{_CC.replace('tool', 'tool3')}` not found"
    rf"|^[ \t]*(?:\S+: )?(?:line )?(?:\d+: )?{_CC.replace('tool', 'tool4')}: (?:command )?not found[ \t]*$"
    r"|^[ \t]*CMake Error.{0,80}CMAKE_(?:C|CXX)_COMPILER|^[ \t]*No CMAKE_C(?:XX)?_COMPILER could be found"
    r"|ERROR: Unknown compiler\(s\): ",
    re.MULTILINE,
)
_PACKAGE = re.compile(
    r"(?:ERROR: Failed building wheel for |Failed to build `?|^Building wheel for )"
    r"(?P<package>[A-Za-z0-9][\w.-]{0,100})(?:==|`|$| \()",
    re.MULTILINE,
)
_HEADER = re.compile(
    r"fatal error: '?(?P<header>[\w./+-]{1,200}?)'?(?:: No such file or directory| file not found)(?P<after>(?:\n[^\n]{0,300})?)"
)
_CODE = re.compile(
    r"^[ \t]*[\w./+-]{1,300}\.(?:c|cc|cpp|cxx|h|hpp|hxx|pyx|f90|rs):\d+:(?:\d+:)? (?:fatal )?error: .{1,300}$"
    r"|^[ \t]*error\[E\d{4}\]: .{1,300}$",
    re.MULTILINE,
)
_TOOL = re.compile(
    r"^[ \t]*(?:Error: )?(?P<config>pg_config|mysql_config)(?: executable|: command)? not found"
    r"|(?P<rust>Cargo, the Rust package manager, is not installed|can't find Rust compiler|Rust not found, installing)"
    r"|(?:^[ \t]*|HEALTHCHECK says: )(?:(?:/\S{1,40}/)?(?:ba|da|a)?sh: )(?:(?:line )?\d+: )?"
    r"(?P<shell>[\w.+/-]{1,100}): (?:command )?not found[ \t]*$"
    r"|(?:HEALTHCHECK says: |runc run failed: )[^\n]{0,200}exec: \"(?P<exec>[\w.+/-]{1,100})\": "
    r"(?:executable file not found in \$PATH|stat \S{1,100}: no such file or directory)"
    r"|^[ \t]*(?:ERROR: |Error: )?(?:Did not find |Could not find |Cannot find )?(?P<pkg>pkg-config)(?: not found| binary|$)"
    r"|(?P<python>Could not find any Python installation to use)"
    r"|(?P<cmake>CMake must be installed to build)"
    r"|^ERROR: Cannot find command '(?P<pip>[\w.+-]{1,60})'"
    r"|env: (?:can't execute )?[\u2018'](?P<env>[\w.+-]{1,60})[\u2019']: No such file or directory"
    r"|^[ \t]*FileNotFoundError: \[Errno 2\] No such file or directory: '(?P<file>[\w.+-]{1,60})'$",
    re.MULTILINE,
)
_MODULE = re.compile(
    r"^[ \t]*ModuleNotFoundError: No module named '(?P<module>distutils|imp|pkg_resources|setuptools|Cython|numpy)\b", re.MULTILINE
)
_NOT_BUILT = re.compile(
    r"(?:Getting requirements to build wheel|(?:Preparing metadata|Building wheel for \S{1,100}) \([^)\n]{1,40}\)) did not run "
    r"successfully|The build backend returned an error|Call to `[^`\n]{1,200}` failed \(exit status: \d+\)"
)
_RAISED = re.compile(
    r"^[ \t]*(?:[\w.]{1,100}\.)?(?:[A-Z]\w{0,60}(?:Error|Exception)|error): (?!subprocess-exited).{1,500}$", re.MULTILINE
)
_ARCHIVE = re.compile(
    r"^[ \t]*(?:Downloading|Using cached) (?:\S{0,300}/)?(?P<package>[A-Za-z0-9][\w.-]{0,100}?)-\d[^\s/]{0,60}\.(?:tar\.\w+|zip)\b",
    re.MULTILINE,
)
_USERS = {"useradd", "groupadd", "usermod"}
_FOR_RUNNING = {*_USERS, "bash", "curl", "wget", "node", "python", "python3", "tini", "update-ca-certificates"}
_MANAGERS = {
    "apt-get": (DEBIAN,),
    "apt": (DEBIAN,),
    "dpkg": (DEBIAN,),
    "apk": (ALPINE, WOLFI),
    "dnf": (),
    "yum": (),
    "microdnf": (),
}
_IN_BUILDER = "install it in a builder stage, so that its bytes do not stay in the image"


def _package_of(case: Case) -> str | None:
    """Name the package whose build failed: the last that the installer names."""
    names = [found["package"] for found in _PACKAGE.finditer(case.build.text)] if case.build else []
    return names[-1] if names else None


def _came_as_sources(case: Case, package: str) -> list[str]:
    """Find the line that says that a package's sources were taken, where the installer was free to take a wheel."""
    if case.build is None or "--no-binary" in case.build.where:
        return []
    name = re.escape(package).replace("\\-", "[-_.]")
    pattern = re.compile(
        rf"^[ \t]*(?:Downloading|Using cached) \S{{0,300}}?{name}-[^\s]{{1,100}}\.(?:tar\.\w+|zip)\b.{{0,100}}$",
        re.MULTILINE | re.IGNORECASE,
    )
    return lines_of(search([case.build], pattern))[:1]


def _build_hits(case: Case, pattern: re.Pattern[str]) -> list[Hit]:
    return first(search([case.build], pattern)) if case.build else []


def find_no_compiler(case: Case) -> Iterator[Finding]:
    """Say that a compiler was called and is not there."""
    hits = _build_hits(case, _NO_COMPILER)
    if not hits:
        return
    package = _package_of(case)
    sources = _came_as_sources(case, package) if package else []
    called = next((tool for hit in hits for tool in hit.found.groupdict().values() if tool), "")
    musl = " for musl" if case.system == ALPINE else " for this base"
    what = f"{package or 'a package'} is compiled from its sources"
    title = f"{what}, because there is no wheel{musl}, and there is no compiler" if sources else f"{what}, and there is no compiler"
    provider = CXX_COMPILER if called.endswith("++") else COMPILER
    if "--no-binary" in hits[0].said.where:
        instead = "Leave out `--no-binary`, so that a wheel is taken where there is one"
    else:
        instead = f"Take a version of {package or 'it'} that has a wheel here (`matrix preflight` lists what has none)"
    remedy = f"{instead}, or install a compiler: {render_install(provider, case.system)}; {_IN_BUILDER}."
    yield make_finding("no-compiler", title, hits[0].said.where, [*sources, *lines_of(hits)], remedy)


def find_missing_header(case: Case) -> Iterator[Finding]:
    """Say that a header that a package of the system has is not there; one of the sources' own is no package's."""
    for hit in _build_hits(case, _HEADER):
        header = hit.found["header"]
        provider = find_header(header)
        if provider is None and f'"{header}"' in hit.found["after"]:
            continue
        if provider:
            remedy = f"Install {provider.what}: {render_install(provider, case.system)}; {_IN_BUILDER}."
        else:
            how = (
                "`apt-file search`"
                if case.system == DEBIAN
                else "`apk search`, or the contents search of the system's package site"
            )
            remedy = f"No package is known here that has {header}; find it with {how}, and {_IN_BUILDER}."
        what = f"{package} cannot be compiled: " if (package := _package_of(case)) else ""
        shown = hit.found["after"].strip()
        yield make_finding("missing-header", f"{what}the header {header} is missing", hit.said.where, [hit.line, shown], remedy)
        return


def find_compile_error(case: Case) -> Iterator[Finding]:
    """Say that the compiler is there, and refuses the sources."""
    hits = [hit for hit in _build_hits(case, _CODE) if not _HEADER.search(hit.line)]
    hits += [hit for hit in _build_hits(case, _HEADER) if find_header(hit.found["header"]) is None]
    if hits:
        what = _package_of(case) or "what this step builds"
        remedy = (
            f"Take a version of {what} that is made for this Python and this compiler, or one that has a wheel here: "
            "an old release often does not know a newer Python's or C library's headers."
        )
        yield make_finding_from("compile-error", f"the sources of {what} do not compile here", hits, remedy)


def find_missing_tool(case: Case) -> Iterator[Finding]:
    """Say that a program that a build or a check calls is not there."""
    seen = set()
    for hit in search(case.said, _TOOL):
        named = {key: value for key, value in hit.found.groupdict().items() if value}
        key, value = next(iter(named.items()), ("pkg", "pkg-config"))
        tool = {"rust": "cargo", "python": "python3", "cmake": "cmake"}.get(key, value)
        starts_not = key == "shell" and ("/" in tool or was_copied(case, hit.said, tool))  # a matter of its loader
        if tool in seen or starts_not or (key == "file" and tool not in TOOLS):
            continue
        seen.add(tool)
        provider = TOOLS.get(tool.rpartition("/")[2])
        remedy = (
            f"Install {provider.what}: {render_install(provider, case.system)}"
            + (f"; {_IN_BUILDER}." if hit.said is case.build and tool not in _FOR_RUNNING else ".")
            if provider
            else f"Install what has {tool}, correct its name, or put its folder on PATH."
        )
        if tool in _USERS and case.system in (ALPINE, WOLFI):
            remedy = f"Use what the base has, `addgroup -S GROUP && adduser -S -G GROUP USER`, or: {remedy[0].lower()}{remedy[1:]}"
        if tool in _MANAGERS and case.system not in _MANAGERS[tool]:
            remedy = f"{tool} is another system's: write this step for the one of this base, in a Dockerfile or a stage of its own."
        yield make_finding_from("missing-tool", f"{tool} is not in the image", [hit], remedy)


def find_missing_build_module(case: Case) -> Iterator[Finding]:
    """Say that a build needs a Python module that is no longer there by itself."""
    for hit in _build_hits(case, _MODULE)[:1]:
        module = hit.found["module"]
        gone = {
            "distutils": (
                "Python has had no distutils since 3.12: take a newer release of the package, or install setuptools, "
                "which brings it."
            ),
            "imp": "Python has had no imp since 3.12: take a newer release of the package.",
            "pkg_resources": (
                "Newer setuptools have no pkg_resources: take a newer release of the package, or pin setuptools<81 for its build."
            ),
        }
        remedy = gone.get(
            module, f"Install {module} before this step, or take a release that names it among its build requirements."
        )
        what = f"the build of {package}" if (package := _package_of(case)) else "this step"
        yield make_finding_from("missing-build-module", f"{what} needs the Python module {module}", [hit], remedy)


def find_not_built(case: Case) -> Iterator[Finding]:
    """Say that a package's own build ends with an error of which no other rule here knows the cause."""
    said = case.build
    if said is None or not _NOT_BUILT.search(said.text):
        return
    raised = list(search([said], _RAISED))[-1:]
    archives = [found["package"] for found in _ARCHIVE.finditer(said.text)]
    what = _package_of(case) or next(reversed(archives), "a package")
    if raised:
        remedy = (
            f"Take a release of {what} that knows this Python and today's build tools, or one that has a wheel here "
            "(`matrix preflight`); where it has to be this one, hold its tools back: a file with `Cython<3` or `setuptools<81`, "
            "named by PIP_CONSTRAINT or `--build-constraint`."
        )
        yield make_finding_from("sources-not-built", f"the sources of {what} do not become a wheel here", raised, remedy)


RULES = (
    Rule(
        "no-compiler",
        "A package is compiled from its sources, and there is no compiler.",
        "The failed step's line in which a compiler is called and not found; for `no wheel`, the sources that were downloaded.",
        "A version with a wheel for this base, or a compiler in the builder stage.",
        find_no_compiler,
        hides=("compile-error", "missing-tool"),
    ),
    Rule(
        "missing-header",
        "A compile ends for want of a header.",
        "The compiler's `fatal error` with the header's name; a header in quotes that no package has is the sources' own.",
        "The package that has the header on this base, in the builder stage.",
        find_missing_header,
        hides=("compile-error",),
    ),
    Rule(
        "missing-tool",
        "A program that a step or a check calls is not there: pg_config, cargo, git, bash …",
        "The shell's or the build's own line that says so, in a step or a check that failed.",
        "The package that has it on this base.",
        find_missing_tool,
    ),
    Rule(
        "missing-build-module",
        "A build needs a Python module that Python or setuptools no longer has.",
        "`ModuleNotFoundError` for distutils, imp, pkg_resources, setuptools, Cython or numpy in the failed step.",
        "A newer release, or the module for its build.",
        find_missing_build_module,
    ),
    Rule(
        "compile-error",
        "The compiler is there and refuses the sources.",
        "The compiler's error with file and line.",
        "A release made for this Python and compiler, or one with a wheel.",
        find_compile_error,
    ),
    Rule(
        "sources-not-built",
        "A package's own build ends with an error that no other rule knows.",
        "pip's `did not run successfully` or uv's `build backend returned an error`, with the last exception before it.",
        "Another release, or older build tools for it.",
        find_not_built,
        says_least=True,
    ),
)
