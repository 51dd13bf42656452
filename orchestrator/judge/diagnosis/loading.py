"""Rules about what does not load or crashes: shared objects, loaders, symbols, Node's native gRPC, segmentation faults."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.judge.diagnosis.case import was_copied
from orchestrator.judge.diagnosis.nouns import Case, Rule, Said, first, make_finding, make_finding_from, search
from orchestrator.providers import ALPINE, DEBIAN, find_library, render_install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.judge.diagnosis.nouns import Hit
    from orchestrator.verdicts import Finding

_LIBRARY = re.compile(
    r"Error loading shared library (?P<musl>[^\s:]{1,200}): No such file or directory(?: \(needed by (?P<by>[^)\n]{1,300})\))?"
    r"|(?P<glibc>(?<![\w.+/-])[\w.+/-]{1,200}\.so[\w.]{0,20}): cannot open shared object file: No such file or directory"
    r"|Unable to find (?P<named>[\w+-]{1,60}) shared library"
)
_FROM_A_WHEEL = re.compile(r"-[0-9a-f]{8}\.so\b")  # as auditwheel names what it puts into a wheel
_LOADER = re.compile(r"(?:^|/)ld-(?P<kind>linux|musl)-")
_START = re.compile(
    r"the command in the image needs a loader or interpreter that is not in it"
    r"|^(?:exit \d+: )?exec (?P<program>/\S{1,300}): no such file or directory"
    r"|^(?:/bin/)?(?:ba|da|a)?sh: (?:(?:line )?\d+: )?(?P<called>\.{0,2}/\S{1,300}): (?:not found|No such file or directory)$"
    r"|^(?:/bin/)?(?:ba)?sh: (?:line )?(?:\d+: )?(?P<script>/\S{1,300}): \S{1,300}: bad interpreter: No such file or directory$"
    r"|^(?:/bin/)?(?:ba|da|a)?sh: (?:(?:line )?\d+: )?(?P<named>[\w.+-]{1,100}): (?:command )?not found$"
    r"|env: [\u2018'](?P<returned>[\w.+-]{1,60})\\r[\u2019']: No such file or directory",
    re.MULTILINE,
)
_COMMAND_LACKS = re.compile(r": exit 127\b")
_PLATFORM = re.compile(r"exec format error|cannot execute binary file", re.IGNORECASE)
_SYMBOL = re.compile(r"Error relocating (?P<by>[^\s:]{1,300}): (?P<symbol>[\w.@]{1,200}): symbol not found")
_VERSION = re.compile(
    r"version `(?P<version>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]{1,20})' not found \(required by (?P<by>[^)\n]{1,300})\)"
)
_NODE = re.compile(
    r"Cannot find module '?(?P<path>\S{0,300}node-v\d{1,4}-\S{1,60}/grpc_node\.node)"
    r"|Pre-built binaries not (?:installable|found) for (?P<addon>grpc@\S{1,40})"
    r"|Failed to load gRPC binary module because it was not installed for the current system"
)
_SIGNAL = re.compile(r"segmentation fault \(SIGSEGV\), exit (?:-11|139)(?: while importing (?P<module>[\w.]{1,200}))?")
_PRINTED = re.compile(r"^(?:Fatal Python error: )?Segmentation fault(?: \(core dumped\))?$", re.MULTILINE)
_FRAME = re.compile(r'^[ \t]*File "(?P<file>[^"<\n]{1,300})", line \d+ in (?P<name>\S{1,100})$', re.MULTILINE)


def find_missing_library(case: Case) -> Iterator[Finding]:
    """Say that a shared object is not there; a loader of the other C library is a matter of its own."""
    for said in case.said:
        for name, by, line in _missing_in(said):
            if _LOADER.search(name):
                continue
            provider = find_library(name)
            if _FROM_A_WHEEL.search(name):
                remedy = (
                    "A wheel brings this file itself, in a folder beside its package (`NAME.libs`): copy the whole of "
                    "site-packages, not the package alone, and delete nothing in it."
                )
            elif provider and (case.system is None or provider.on(case.system)):
                remedy = f"Install {provider.what} in the stage that runs: {render_install(provider, case.system)}."
            elif provider:
                remedy = f"There is no package for it here ({provider.what}): take another base, or leave out what needs it."
            elif case.system == DEBIAN:
                remedy = f"Find its package with `apt-file search {name}`, or leave out what needs it."
            else:
                remedy = (
                    f"Ask apk by the name itself: `apk add --no-cache so:{name}`. Where no package has it, take another base or "
                    "leave out what needs it."
                )
            needed = f", which {by} needs," if by else ""
            yield make_finding(
                "missing-library", f"the shared object {name}{needed} is not in the image", said.where, [line], remedy
            )


def find_other_libc(case: Case) -> Iterator[Finding]:
    """Say that something was made for the other C library: it asks for a loader that this base has not."""
    for said in case.said:
        found = [(name, by, line, loader["kind"]) for name, by, line in _missing_in(said) if (loader := _LOADER.search(name))]
        for name, by, line, kind in found[:1]:
            made_for, base = ("glibc", "musl") if kind == "linux" else ("musl", "glibc")
            remedy = (
                f"Install it on this base, so that its {base} build is taken; do not copy site-packages, node_modules or programs "
                f"from a {made_for} stage. Where there is no {base} build, take a {made_for} base or compile it here."
            )
            title = f"{by or 'a file in the image'} was made for {made_for}, and this base has {base}"
            yield make_finding("other-libc", title, said.where, [line, f"{name} is {made_for}'s loader"], remedy)
        foreign = said.detail.get("foreign")
        for package, names in foreign.items() if isinstance(foreign, dict) else ():
            remedy = "Install it on this base and with this Python; do not copy site-packages from a stage that has another."
            title = f"{package} was made for another Python or C library than this base has"
            lines = [str(name) for name in names] if isinstance(names, list) else []
            yield make_finding("other-libc", title, said.where, [said.check.reason or "" if said.check else "", *lines], remedy)


def _missing_in(said: Said) -> Iterator[tuple[str, str | None, str]]:
    """Give what is missing, who needs it, and the line that says so."""
    seen = set()
    unresolved = said.detail.get("unresolved")
    for package, names in unresolved.items() if isinstance(unresolved, dict) else ():
        for name in names if isinstance(names, list) else ():
            seen.add(str(name))
            yield str(name), str(package), f"probe native: {package} needs {name}"
    for hit in search([said], _LIBRARY):
        found = hit.found
        name = found["musl"] or found["glibc"] or f"lib{found['named']}.so"
        if name not in seen:
            seen.add(name)
            yield name, found["by"], hit.line


def find_no_loader(case: Case) -> Iterator[Finding]:
    """Say that a program does not start, because what it names as its loader or interpreter is not there; or it is not itself."""
    hits = [hit for hit in search(case.said, _START) if _is_a_start(case, hit)]
    for hit in hits[-1:]:  # what a step goes on after is not what ended it
        libc = " It may be a glibc program on musl: install one made for this base." if case.system == ALPINE else ""
        remedy = (
            "Look at what it asks for: `readelf -l` shows a program's loader, its first line a script's interpreter "
            f"(and whether that line ends in a carriage return).{libc}"
        )
        found = hit.found
        program = found["program"] or found["script"] or found["called"] or "the command"
        title = f"{program} does not start: its loader or interpreter is not in the image"
        if found["named"]:
            title = f"{found['named']} is copied into the image and does not start: its loader or interpreter is not there"
        elif found["called"]:  # a shell says the same of a program that is not there
            title = f"{program} does not start: it is not in the image, or its loader or interpreter is not"
        elif found["returned"]:
            title = f"a script does not start: its first line ends in a carriage return behind {found['returned']}"
            remedy = (
                "Give the script the line ends of Unix: `*.sh text eol=lf` in .gitattributes, or `sed -i 's/\\r$//'` in the build."
            )
        yield make_finding_from("no-loader", title, [hit], remedy)


def _is_a_start(case: Case, hit: Hit) -> bool:
    """Tell whether a line is about a program: a name is, if it was copied; bash says the same of a file that it is to read."""
    if hit.found["named"]:
        return was_copied(case, hit.said, hit.found["named"])
    return not hit.found["called"] or not hit.line.endswith("directory") or bool(_COMMAND_LACKS.search(case.cell.reason or ""))


def find_other_platform(case: Case) -> Iterator[Finding]:
    """Say that a program is made for another processor."""
    for hit in list(search(case.said, _PLATFORM))[:1]:
        remedy = (
            "Build for the platform on which it runs (`platform` in matrix.yaml), or register an emulator: `docker run "
            "--privileged --rm tonistiigi/binfmt --install all`."
        )
        yield make_finding_from("other-platform", "a program is made for another platform", [hit], remedy)


def find_old_libc(case: Case) -> Iterator[Finding]:
    """Say that a file was linked against a newer C library than this one."""
    hits = first(search(case.said, _VERSION))
    if hits:
        found = hits[0].found
        title = f"{found['by']} needs {found['version']}, and this base has an older one"
        remedy = (
            "Take a newer base, or build the file on a base no newer than the one on which it runs: builder and "
            "runtime stage alike."
        )
        yield make_finding_from("libc-too-old", title, hits, remedy)


def find_missing_symbol(case: Case) -> Iterator[Finding]:
    """Say that a file was linked against a library that has more than this base's."""
    hits = first(search(case.said, _SYMBOL))
    if hits:
        found = hits[0].found
        title = f"{found['by']} needs {found['symbol']}, which the libraries of this base have not"
        remedy = (
            "It was linked against another C library or another version of a library: install or compile it on this base. "
            "gcompat and libc6-compat bring glibc's loader to musl and not all of its symbols."
        )
        yield make_finding_from("missing-symbol", title, hits, remedy)


def find_node_addon(case: Case) -> Iterator[Finding]:
    """Say that the old native gRPC of Node has no binary for this Node and C library."""
    hits = first(search(case.said, _NODE))
    if hits:
        remedy = (
            "Use `@grpc/grpc-js`, which is JavaScript and needs no binary. To keep the old `grpc`, compile it in a builder stage: "
            "python3, make, g++ (on Alpine linux-headers too)."
        )
        title = "Node's native grpc has no binary for this Node and C library"
        yield make_finding_from("node-native-grpc", title, hits, remedy)


def find_crash(case: Case) -> Iterator[Finding]:
    """Say that a process ended with a segmentation fault, and what it was doing."""
    for said in case.said:
        crashed = _crashed_modules(said)
        by_signal, printed = _SIGNAL.search(said.text), _PRINTED.search(said.text)
        by_code = said is case.build and bool(re.search(r": exit 139\b", case.cell.reason or ""))
        if not (crashed or by_signal or by_code):
            continue
        module = ", ".join(crashed) or (by_signal["module"] if by_signal and by_signal["module"] else "")
        frames = [found[0].strip() for found in _FRAME.finditer(said.text, printed.start() if printed else 0)]
        ended = by_signal[0] if by_signal else "exit 139" if by_code else "SIGSEGV"
        title = f"segmentation fault in {module}" if module else "segmentation fault"
        lines = [f"crashes when imported: {module}" if crashed else ended, printed[0] if printed else "", *frames[:3]]
        if module:
            remedy = (
                f"Leave {module.partition('.')[0]} out, or take another version of it; wheels made for this C library, or a "
                "glibc base, often do not crash. `gdb -batch -ex run -ex bt --args python -c 'import …'` shows the frame in "
                "the library."
            )
        else:
            remedy = (
                "Find the culprit: import each module in a process of its own (the check `import`, the probe native), run "
                "Python with `-X faulthandler`, or under gdb."
            )
        yield make_finding("segmentation-fault", title, said.where, lines, remedy)


def _crashed_modules(said: Said) -> list[str]:
    found = said.detail.get("crashed")
    named = [one.get("name") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [str(name) for name in named if name]


RULES = (
    Rule(
        "missing-library",
        "A shared object that something needs is not in the image.",
        "The loader's line (musl: `Error loading shared library …`, glibc: `cannot open shared object file`), or the probe native.",
        "The package that has it on this base.",
        find_missing_library,
    ),
    Rule(
        "other-libc",
        "A file was made for glibc and lies on musl, or the other way round; or for another Python.",
        "`ld-linux-…` or `ld-musl-…` named as missing by the loader or the probe native; an extension's name, by that probe.",
        "Installing it on this base instead of copying it.",
        find_other_libc,
        hides=("no-loader",),
    ),
    Rule(
        "no-loader",
        "A program does not start for want of its loader or interpreter; a shell says the same of one that is not there.",
        "The engine's or a shell's `no such file or directory` or `not found` for a program called by its path.",
        "A program made for this base; the script's first line.",
        find_no_loader,
    ),
    Rule(
        "other-platform",
        "A program is made for another processor.",
        "`exec format error`.",
        "The right `platform`, or an emulator.",
        find_other_platform,
    ),
    Rule(
        "libc-too-old",
        "A file was linked against a newer C or C++ library than the base has.",
        "The loader's ``version `GLIBC_…' not found``.",
        "A newer base, or an older builder.",
        find_old_libc,
    ),
    Rule(
        "missing-symbol",
        "A file needs a symbol that the libraries of this base have not.",
        "musl's `Error relocating …: symbol not found`.",
        "A build made on this base.",
        find_missing_symbol,
    ),
    Rule(
        "node-native-grpc",
        "Node's old native grpc has no binary for this Node and C library.",
        "`grpc_node.node` of this Node's folder named as missing, or node-pre-gyp's word about grpc.",
        "`@grpc/grpc-js`.",
        find_node_addon,
    ),
    Rule(
        "segmentation-fault",
        "A process crashed; the module that was being imported where that is known.",
        "A check's or the build step's exit by SIGSEGV (139, -11), or the probe native. The words alone do not do.",
        "Leaving the module out, another version of it, or another base.",
        find_crash,
    ),
)
