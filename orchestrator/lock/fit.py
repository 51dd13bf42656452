"""What a cell becomes with a lock: its bases by digest, its requirements by version and hash, or why they do not fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.dockerfile import plain_ref
from orchestrator.places import locked_name
from orchestrator.requirements import logical_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.lock.nouns import Lock, LockedBase, LockedRequirements
    from orchestrator.model import Cell

IMAGE = "docker-image://"
_KEPT_OPTION = re.compile(
    r"^\s*(?:--(?:index-url|extra-index-url|find-links|trusted-host|no-index|pre|only-binary|no-binary|prefer-binary)|-i|-f)\b"
)


class CellFacts(Struct, frozen=True):
    """What the files of a cell say today."""

    refs: tuple[tuple[str, str], ...] | None  # each base with its platform; None when its Dockerfile is not here
    requirements_digest: str | None
    requirements_texts: tuple[str, ...]
    python: str | None
    target: str
    is_lockable: bool = True  # False of requirements that are not in pip's format


class Fitted(Struct, frozen=True):
    """A cell as it is built with the lock, the requirements file that it needs, and the bases that it stands on."""

    cell: Cell
    file: tuple[str, str] | None = None  # its path beside the original, and its text
    bases: tuple[LockedBase, ...] = ()
    problems: tuple[str, ...] = ()


def is_pinned(ref: str) -> bool:
    """Tell whether a reference names a digest already."""
    return "@sha256:" in ref


def fit_cell(cell: Cell, lock: Lock, facts: CellFacts) -> Fitted:
    """Pin a cell to a lock; a Dockerfile stays as it is, since a named context takes the place of what FROM names."""
    if facts.refs is None:
        words = f"{cell.id}: its Dockerfile is fetched by the builder, so its bases cannot be pinned; leave it out with --skip"
        return Fitted(cell, problems=(words,))
    problems: list[str] = []
    bases: list[LockedBase] = []
    contexts = dict(cell.settings.contexts)
    for ref, platform in facts.refs:
        found = next((one for one in lock.base if (one.ref, one.platform) == (ref, platform)), None)
        if found is None:
            problems.append(f"base {ref} ({platform}) is not in it")
            continue
        bases.append(found)
        if found.source == "registry":
            by_digest = f"{IMAGE}{ref}@{found.digest}"
            named = [
                name
                for name, value in contexts.items()
                if value.startswith(IMAGE) and plain_ref(value.removeprefix(IMAGE)) == plain_ref(ref)
            ]
            contexts |= dict.fromkeys(named or [ref], by_digest)
    settings = replace(cell.settings, contexts=tuple(contexts.items()))
    path = settings.requirements
    file = None
    if path is not None and (facts.is_lockable or any(one.path == path for one in lock.requirements)):
        known = _find_requirements(lock, path, facts)
        if isinstance(known, str):
            problems.append(known)
        else:
            text = render_requirements(known, lock.hashes or {}, facts.requirements_texts)
            file = (locked_name(path, text), text)
            settings = replace(settings, requirements=file[0])
    return Fitted(replace(cell, settings=settings), file, tuple(bases), tuple(problems))


def _find_requirements(lock: Lock, path: str, facts: CellFacts) -> LockedRequirements | str:
    """Find what a cell's requirements are locked to, or say why that does not hold any more."""
    found = [one for one in lock.requirements if one.path == path and one.target in (None, facts.target)]
    if not found:
        others = any(one.path == path for one in lock.requirements)
        return f"{path} is not locked for {facts.target}" if others else f"{path} is not in it"
    if found[0].digest != facts.requirements_digest:
        return f"{path} has changed since it was written"
    if facts.python is not None and _numbers(facts.python) < _numbers(found[0].python):
        return f"{path} is locked for Python {found[0].python} and newer, not for {facts.python}"
    return found[0]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def render_requirements(found: LockedRequirements, hashes: Mapping[str, Sequence[str]], texts: Sequence[str]) -> str:
    """Write what pip installs with every hash checked; where it looks is said as in the original."""
    lines = ["# Written by `matrix run --locked` from matrix.lock; it goes away when the run ends."]
    lines += [line.strip() for text in texts for line in logical_lines(text) if _KEPT_OPTION.match(line)]
    for package in found.packages:
        values = sorted(hashes.get(package.partition(" ;")[0], ()))
        lines.append(" \\\n    ".join([package, *(f"--hash={value}" for value in values)]))
    return "\n".join(lines) + "\n"
