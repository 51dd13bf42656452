"""Files and folders that cells name and that are not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.errors import ConfigError, did_you_mean
from orchestrator.model import StructureCheck
from orchestrator.places import dockerfile_of, is_folder, is_remote
from orchestrator.plan.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from orchestrator.config.checks import Check
    from orchestrator.config.schema import MatrixFile
    from orchestrator.model import Cell, Settings
    from orchestrator.plan.problem import Where


class Missing(NamedTuple):
    """What a setting of a cell names and what cannot be used, and why."""

    cell: Cell
    key: tuple[str, ...]
    name: str
    words: Sequence[str]


def find_file_problems(matrix: MatrixFile, cells: Iterable[Cell], path: Path) -> Iterator[Problem]:
    """Find where in a matrix.yaml it is that Dockerfiles, contexts and other files are named that are not there."""
    for cell, key, name, problems in find_missing(cells, path):
        where, after = (_find_check(matrix, cell, name), ()) if key == ("smoke",) else find_setter(matrix, cell, key)
        yield from (Problem(where, f"{words} (cell {cell.id})", after) for words in problems)


def find_missing(cells: Iterable[Cell], path: Path) -> Iterator[Missing]:
    """Find Dockerfiles, contexts and other files that cells of the matrix.yaml at a path name and that are not there."""
    folder = path.parent
    looked: set[tuple[Where, str, str]] = set()
    said: set[tuple[Where, Path]] = set()
    for cell in cells:
        settings = cell.settings
        for key, name in _wanted_by(settings):
            asked = (key, name, settings.context if key == ("dockerfile",) else "")  # a Dockerfile may lie in the context
            if asked in looked:
                continue
            looked.add(asked)
            place = dockerfile_of(settings, folder) if key == ("dockerfile",) else folder / name
            problems = _problems_of(key[0], place, name, path)
            if problems and (key, place) not in said:
                said.add((key, place))
                yield Missing(cell, key, name, problems)


def _wanted_by(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give what a cell needs to find on this machine, each with the setting that names it."""
    if settings.requirements is not None:
        yield ("requirements",), settings.requirements
    if settings.source is not None:
        yield ("source",), settings.source
    yield from ((("smoke",), check.file) for check in settings.smoke if isinstance(check, StructureCheck))
    if not is_remote(settings.context):  # else the Dockerfile is not on this machine either
        yield ("dockerfile",), settings.dockerfile
        yield ("context",), settings.context
    yield from ((("contexts", name), value) for name, value in settings.contexts if is_folder(value))


def _problems_of(key: str, place: Path, name: str, matrix_path: Path) -> Sequence[str]:
    if key in ("context", "contexts"):
        return [] if os.path.isdir(place) else [f"no such folder: '{name}'"]  # noqa: PTH112  # takes names too long for any disk
    if not os.path.isfile(place):  # noqa: PTH113  # as above
        return [f"no such file: '{name}'{did_you_mean(place.name, _names_in(place.parent, matrix_path))}"]
    if not os.access(place, os.R_OK):
        return [f"'{name}' may not be read"]
    return _structure_problems(place, name) if key == "smoke" else []


def _names_in(folder: Path, matrix_path: Path) -> list[str]:
    """Give what lies in a folder besides the matrix.yaml itself; nothing where that cannot be had."""
    try:
        return sorted(item.name for item in folder.iterdir() if item != matrix_path)
    except OSError:  # not there, not ours to read, or of a name that no disk can hold
        return []


def _structure_problems(path: Path, name: str) -> Sequence[str]:
    from orchestrator.config.structure import load_structure  # noqa: PLC0415  # most plans have no such file

    try:
        load_structure(path, name)
    except ConfigError as error:
        return error.problems
    return []


def _find_check(matrix: MatrixFile, cell: Cell, file: str) -> Where:
    """Find the place of the check that names a structure file: checks add up, those of the defaults first, then axis by axis."""
    lists: list[tuple[Where, Sequence[Check]]] = [(("defaults", "smoke"), matrix.defaults.smoke or ())]
    for axis, value in cell.axes:
        settings = matrix.settings.get(axis, {}).get(value)
        lists.append((("settings", axis, value, "smoke"), settings.smoke or () if settings else ()))
    places = [(*where, at, "structure") for where, checks in lists for at in range(len(checks))]
    return next(
        place
        for place, check in zip(places, cell.settings.smoke, strict=True)
        if isinstance(check, StructureCheck) and check.file == file
    )


def find_setter(matrix: MatrixFile, cell: Cell, key: tuple[str, ...]) -> tuple[Where, tuple[Where, ...]]:
    """Find the place in the file that gave a cell one of its settings, and those that could have given another."""
    name = key[0]
    for axis, value in reversed(cell.axes):
        settings = matrix.settings.get(axis, {}).get(value)
        given = getattr(settings, name, None)
        if given is not None and (len(key) == 1 or key[1] in given):
            return ("settings", axis, value, *key), ()
    given = getattr(matrix.defaults, name)
    if given is not None and (len(key) == 1 or key[1] in given):
        return ("defaults", *key), ()
    return ("defaults",), (("defaults", name), *(("settings", axis, value, name) for axis, value in cell.axes))
