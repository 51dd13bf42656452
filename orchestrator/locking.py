"""`matrix lock`: what the cells are made of today, by digest and by hash."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.docker.engine import find_client
from orchestrator.docker.references import has_builder, resolve_reference
from orchestrator.dockerfile import Image, find_images
from orchestrator.errors import ConfigError, UsageError, unreadable
from orchestrator.hints import repeat_options
from orchestrator.index.sources import load_sources, with_options_of
from orchestrator.index.uv import ResolutionError, Resolving, resolve
from orchestrator.instructions import DockerfileError
from orchestrator.lock.fit import IMAGE, CellFacts, is_pinned
from orchestrator.lock.nouns import SCHEMA, Lock, LockedBase, LockedRequirements
from orchestrator.lock.text import LARGEST, parse_lock
from orchestrator.places import dockerfile_of, is_remote
from orchestrator.platforms import normal_platform
from orchestrator.preflight.choose import uv_reads
from orchestrator.preflight.judge import architecture
from orchestrator.preflight.targets import make_target
from orchestrator.preflighting import platform_here
from orchestrator.requirements import load_requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from threading import Event as Signal

    from orchestrator.config.load import Matrix
    from orchestrator.model import Cell
    from orchestrator.packages import Pinned
    from orchestrator.preflight.nouns import Target

_AT_ONCE = 4


def lock_path(matrix: Path) -> Path:
    """Give the lock's place: beside the matrix file, with its name."""
    return matrix.with_suffix(".lock")


def load_lock(path: Path, options: str = "") -> tuple[Lock, bytes]:
    """Read a lock; one that is not there, or says nothing that can be meant, is an error with what to do."""
    mend = f"`matrix lock{options}` writes it anew"
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise ConfigError([f"{path}: no such file; `matrix lock{options}` writes it"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(raw) > LARGEST:
        raise ConfigError([f"{path}: larger than {LARGEST // 1024**2} MiB; {mend}"])
    try:
        return parse_lock(raw.decode("utf-8"), str(path), options), raw
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8; {mend}"]) from error


def read_facts(cells: Iterable[Cell], folder: Path) -> dict[str, CellFacts]:
    """Read what the cells' files say today, each file once."""
    here = platform_here()
    read = {path: load_requirements(folder / path) for path in {cell.settings.requirements for cell in cells} if path is not None}
    facts = {}
    for cell in cells:
        platform = normal_platform(cell.settings.platform or here)
        images = images_of(cell, folder, platform, here)
        target, _ = make_target(cell, images or (), here)
        found = read.get(cell.settings.requirements or "")
        facts[cell.id] = CellFacts(
            refs=None if images is None else _refs_of(cell, images, platform),
            requirements_digest=found.digest if found else None,
            requirements_texts=found.texts if found else (),
            python=target.python,
            target=name_of(target),
            is_lockable=found is None or uv_reads(cell.settings.requirements or "", found.lines),
        )
    return facts


def images_of(cell: Cell, folder: Path, platform: str, here: str) -> tuple[Image, ...] | None:
    """Give the images that a cell is built from on a platform; None when its Dockerfile is fetched by the builder."""
    settings = cell.settings
    if is_remote(settings.context):
        return None
    path = dockerfile_of(settings, folder)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        names = [name for name, _ in settings.contexts]
        return find_images(text, dict(settings.args), target=settings.target, platform=platform, here=here, contexts=names)
    except OSError as error:
        raise unreadable(path, error) from error
    except DockerfileError as error:
        message = f"{path}: {error} (cell {cell.id})"
        raise UsageError(message) from error


def _refs_of(cell: Cell, images: Iterable[Image], platform: str) -> tuple[tuple[str, str], ...]:
    """Give every reference that is not pinned by itself, each with its platform."""
    named = [Image(value.removeprefix(IMAGE), None, 0) for _, value in cell.settings.contexts if value.startswith(IMAGE)]
    found = [(image.ref, normal_platform(image.platform or platform)) for image in (*images, *named) if not is_pinned(image.ref)]
    return tuple(dict.fromkeys(found))


def name_of(target: Target) -> str:
    """Name a target in a lock."""
    return f"{target.libc or '?'} {target.python or '?'} {target.platform}"


class Making(Struct, frozen=True):
    """How a lock is made: with whom to ask, what may be done to find out, and what ends the asking."""

    may_build: bool
    say: Callable[[str], None]
    cancel: Signal


def make_lock(matrix: Matrix, making: Making) -> Lock:
    """Ask the registries and the package index what everything is today, unless that is interrupted."""
    cells = matrix.plan.cells
    facts = read_facts(cells, matrix.folder)
    for cell in cells:
        if facts[cell.id].refs is None:
            making.say(f"{cell.id}: its Dockerfile is fetched by the builder; its bases are not locked")
    refs = sorted({pair for found in facts.values() for pair in found.refs or ()})
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        bases = pool.submit(_lock_bases, matrix, refs, making)
        found = list(pool.map(partial(_lock_requirements, matrix, facts, making), _lockable_files(cells, facts, making).items()))
        locked = bases.result()
    hashes: dict[str, set[str]] = {}
    for pin in (pin for _, pins in found for pin in pins):
        hashes.setdefault(pin.label, set()).update(pin.hashes)
    requirements = tuple(one for group, _ in found for one in group)
    return Lock(SCHEMA, matrix.plan.name, locked, requirements, {label: tuple(sorted(values)) for label, values in hashes.items()})


def _lockable_files(cells: Iterable[Cell], facts: Mapping[str, CellFacts], making: Making) -> dict[str, list[Cell]]:
    """Give the cells of each requirements file, and say which files are left alone: other installers have locks of their own."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.settings.requirements is not None:
            found.setdefault(cell.settings.requirements, []).append(cell)
    for path in [path for path, (cell, *_) in found.items() if not facts[cell.id].is_lockable]:
        making.say(f"{path} is not in pip's format, and is not locked: a run with --locked takes it as it is")
        del found[path]
    return found


def _lock_bases(matrix: Matrix, refs: list[tuple[str, str]], making: Making) -> tuple[LockedBase, ...]:
    """Resolve each reference once for all its platforms."""
    if not refs:
        return ()
    docker = find_client()
    builder = _builder_of(docker, matrix, making.cancel)
    names = list(dict.fromkeys(ref for ref, _ in refs))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        ask = partial(resolve_reference, docker, builder=builder, cancel=making.cancel)
        resolved = dict(zip(names, pool.map(ask, names), strict=True))
    for ref, found in resolved.items():
        if found.source == "engine":
            making.say(f"base {ref} is locked to the image that only this engine has: {found.why}")
    return tuple(
        LockedBase(ref, platform, resolved[ref].digest, resolved[ref].image_on(ref, platform), resolved[ref].source)
        for ref, platform in refs
    )


def _builder_of(docker: str, matrix: Matrix, cancel: Signal) -> str | None:
    """Name the builder whose mirrors are to be asked, where there is one."""
    asked = matrix.builder
    return asked.name if asked.driver != "docker" and has_builder(docker, asked.name, cancel) else None


def _lock_requirements(
    matrix: Matrix, facts: dict[str, CellFacts], making: Making, wanted: tuple[str, list[Cell]]
) -> tuple[list[LockedRequirements], list[Pinned]]:
    """Resolve a requirements file once for all; where that is not possible, once for each target."""
    path, cells = wanted
    digest = facts[cells[0].id].requirements_digest or ""
    pythons = {facts[cell.id].python for cell in cells}
    if None in pythons:
        unknown = next(cell.id for cell in cells if facts[cell.id].python is None)
        message = (
            f"{path}: the Python of {unknown} is not known; give an axis `python`, a build argument PYTHON_VERSION, "
            "or a base named python:X.Y"
        )
        raise UsageError(message)
    oldest = min((python for python in pythons if python), key=lambda python: [int(part) for part in python.split(".")])
    sources = with_options_of(load_sources(os.environ, matrix.folder), load_requirements(matrix.folder / path).options)
    asked = Resolving(oldest, hashes=True, may_build=making.may_build)
    try:
        pins = resolve(matrix.folder / path, matrix.folder, asked, sources, making.cancel)
        return [LockedRequirements(path, digest, oldest, tuple(map(_render_pin, pins)))], list(pins)
    except ResolutionError as error:
        if error.without_wheel and not making.may_build:
            names = ", ".join(error.without_wheel)
            message = (
                f"{path}: {names} has no wheel, so its build would have to be run to learn what it requires; "
                f"`matrix lock{repeat_options(matrix.path)} --build` allows that"
            )
            raise UsageError(message) from error
        problem = str(error)
    locked: list[LockedRequirements] = []
    all_pins: list[Pinned] = []
    for name in dict.fromkeys(facts[cell.id].target for cell in cells):
        python, platform = name.split(" ")[1], _uv_platform(name)
        try:
            for_target = replace(asked, python=python, platform=platform)
            pins = resolve(matrix.folder / path, matrix.folder, for_target, sources, making.cancel)
        except ResolutionError as error:
            message = f"{path} cannot be resolved for {name}: {error}"
            raise UsageError(message) from error
        locked.append(LockedRequirements(path, digest, python, tuple(map(_render_pin, pins)), name))
        all_pins += pins
    making.say(f"{path}: there is no one resolution for all bases, so each has its own: {problem}")
    return locked, all_pins


def _uv_platform(name: str) -> str:
    """Name a target as uv does."""
    libc, _, platform = name.split(" ")
    return f"{architecture(platform)}-unknown-linux-{'musl' if libc == 'musl' else 'gnu'}"


def _render_pin(pin: Pinned) -> str:
    return f"{pin.label} ; {pin.marker}" if pin.marker else pin.label
