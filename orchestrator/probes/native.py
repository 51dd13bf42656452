"""Finds out whether every native file of the installed packages loads, and which one crashes."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.probes._elf import DamagedElf, is_elf, load_elf
from orchestrator.probes._prelude import (
    Result,
    SkipProbe,
    failed,
    last_line,
    passed,
    patient,
    run_probe,
    run_python,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION = "application"  # the image's working folder, for files that no package brought
FILE_LIMIT = 20_000
IMPORT_LIMIT_S = 10
_TAGGED = re.compile(r"(?P<module>\w+)(?P<suffix>\.(?:cpython|pypy|graalpy)-?\d[\w-]*\.so)")
_NOT_NATIVE = {".py", ".pyc", ".pyi", ".txt", ".md", ".json", ".h", ".c", ".pyx"}
_LOAD = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
_IMPORT = "import importlib, sys; importlib.import_module(sys.argv[1])"


class NativeFile(NamedTuple):
    """An ELF file, the package that brought it, and the name it is imported by if it is an extension module."""

    path: Path
    package: str
    module: str | None


class Fault(NamedTuple):
    """What went wrong with one native file."""

    package: str
    name: str
    kind: str  # crash, import or elsewhere
    text: str


def probe() -> Result:
    """Import each extension module in a process of its own, and ask the loader for each library it needs."""
    files = [*package_files(), *application_files()]
    if not files:
        message = "no native files: neither the packages nor the application brought one"
        raise SkipProbe(message)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = [fault for fault in pool.map(find_import_fault, [one for one in files if one.module]) if fault]
    unresolved = find_unresolved(files)
    foreign = find_foreign(files)
    crashed = [fault for fault in faults if fault.kind == "crash"]
    broken = [fault for fault in faults if fault.kind == "import"]
    packages = sorted({one.package for one in files})
    detail = {
        "native_files": len(files),
        "extension_modules": sum(1 for one in files if one.module),
        "packages": packages,
        "crashed": [fault._asdict() for fault in crashed],
        "not_importable": [fault._asdict() for fault in broken],
        "needs_other_packages": [fault.name for fault in faults if fault.kind == "elsewhere"],
        "unresolved": unresolved,
        "foreign": foreign,
    }
    if crashed:
        return failed(
            f"crashes when imported: {', '.join(f'{one.name} ({one.text})' for one in crashed)}",
            **detail,
        )
    if unresolved:
        missing = [f"{package} needs {', '.join(names)}" for package, names in unresolved.items()]
        return failed(f"shared objects that the base lacks: {'; '.join(missing)}", **detail)
    if foreign:
        named = [f"{package}: {', '.join(names)}" for package, names in foreign.items()]
        own = importlib.machinery.EXTENSION_SUFFIXES[0]
        return failed(f"made for another Python or C library (this one loads {own}): {'; '.join(named)}", **detail)
    if broken:
        return failed(
            f"cannot be imported: {', '.join(f'{one.name} ({one.text})' for one in broken)}",
            **detail,
        )
    return passed(f"all {len(files)} native files of {len(packages)} packages load", **detail)


def package_files() -> Iterator[NativeFile]:
    """Find the native files that the installed packages list as theirs."""
    for package in importlib.metadata.distributions():
        for entry in package.files or []:
            path = Path(str(package.locate_file(entry)))
            if path.suffix not in _NOT_NATIVE and is_elf(path):
                yield NativeFile(path, package.metadata["Name"], module_name(entry.parts, path))


def application_files() -> Iterator[NativeFile]:
    """Find the native files below the image's working folder, unless that is the whole file system."""
    folder = Path.cwd()
    if folder == Path("/"):
        return
    for count, path in enumerate(folder.rglob("*")):
        if count >= FILE_LIMIT:
            return
        if path.suffix not in _NOT_NATIVE and path.is_file() and is_elf(path):
            yield NativeFile(path, APPLICATION, None)


def module_name(parts: tuple[str, ...], path: Path) -> str | None:
    """Make the dotted name of an extension module made for this Python; None for every other native file."""
    suffix = next((one for one in importlib.machinery.EXTENSION_SUFFIXES if parts[-1].endswith(one)), None)
    if suffix is None:
        return None
    names = [*parts[:-1], parts[-1][: -len(suffix)]]
    if not all(name.isidentifier() for name in names) or f"PyInit_{names[-1]}".encode() not in path.read_bytes():
        return None
    return ".".join(names)


def find_import_fault(file: NativeFile) -> Fault | None:
    """Import one module alone: a crash then has a name, which it would not have in the service."""
    name = str(file.module)
    try:
        run = run_python(_IMPORT, name, options=["-X", "faulthandler"], timeout=IMPORT_LIMIT_S)
    except subprocess.TimeoutExpired:
        return Fault(file.package, name, "import", f"not imported after {patient(IMPORT_LIMIT_S):.0f} s")
    if run.returncode == 0:
        return None
    if run.returncode < 0:
        return Fault(file.package, name, "crash", signal.Signals(-run.returncode).name)
    line = last_line(run.stderr)
    return Fault(
        file.package,
        name,
        "elsewhere" if line.startswith("ModuleNotFoundError") else "import",
        line,
    )


def find_foreign(files: list[NativeFile]) -> dict[str, list[str]]:
    """Find by package the extension modules that no import here ever looks at: their names are those of another Python's.

    The loader may find all that they need, and musl's does for glibc's. One that
    lies beside the same module for this Python is for those who have the other.
    """
    found: dict[str, list[str]] = {}
    for one in files:
        tagged = _TAGGED.fullmatch(one.path.name)
        if tagged is None or tagged["suffix"] in importlib.machinery.EXTENSION_SUFFIXES:
            continue
        others = [*importlib.machinery.EXTENSION_SUFFIXES, ".py"]
        if not any(one.path.with_name(f"{tagged['module']}{suffix}").exists() for suffix in others):
            found.setdefault(one.package, []).append(one.path.name)
    return found


def find_unresolved(files: list[NativeFile]) -> dict[str, list[str]]:
    """Find by package the libraries and program interpreters that are not there."""
    brought = {(one.package, one.path.name) for one in files}
    wanted: dict[str, set[str]] = {}
    for one in files:
        try:
            elf = load_elf(one.path)
        except DamagedElf:
            continue  # a module that is needed fails when it is imported; what is not may be made so, for tests
        if elf.interpreter and not Path(elf.interpreter).exists():
            wanted.setdefault(elf.interpreter, set()).add(one.package)
        folders = [entry.replace("$ORIGIN", str(one.path.parent)) for entry in elf.search_path]
        for name in elf.needed:
            # A package may load its own libraries by their path before it needs them by name.
            beside = (one.package, name) in brought or any(Path(folder, name).exists() for folder in folders if folder)
            if not beside:
                wanted.setdefault(name, set()).add(one.package)
    unresolved: dict[str, list[str]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(wanted, pool.map(can_load, wanted)))
    for name, packages in wanted.items():
        for package in () if found[name] else sorted(packages):
            unresolved.setdefault(package, []).append(name)
    return unresolved


def can_load(name: str) -> bool:
    """Whether the image's own loader finds a library; the search rules are its business, so it is asked."""
    return not name.startswith("/") and run_python(_LOAD, name).returncode == 0


if __name__ == "__main__":
    run_probe("native", probe)
