"""Marked blocks in a file of somebody else's: found, checked, and filled with parts of a report."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.errors import ConfigError, did_you_mean
from orchestrator.report.markdown import Block, make_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.record import RunRecord

_MARK = re.compile(r"<!--\s*matrix:(?P<what>begin|end)(?:\s+(?P<name>[\w.-]{1,60}))?\s*-->")
_ALMOST = re.compile(r"<!--\s*matrix:")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_SHORT_REPORT = ("verdict", "run", "table", "notes")  # what a block without a name holds
PARTS = ("verdict", "run", "table", "claims", "gates", "decision", "diagnosis", "sizes", "times", "foretold", "notes")


@dataclass(frozen=True, slots=True)
class _Place:
    """A block in a file: its name, and the lines of its two marks, counted from 0."""

    name: str | None
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Updated:
    """A file's text with its blocks filled, and which of them changed: in words, with their lines."""

    text: str
    changed: tuple[str, ...]


def make_parts(record: RunRecord) -> Mapping[str | None, list[str]]:
    """Give the lines of each part by its name, without headings, which are the file's own; None is a short report."""
    rendered = {block.name: _lines_of(block) for block in make_blocks(record)}
    parts: dict[str | None, list[str]] = {name: rendered.get(name, [f"There is nothing of {name} in this run."]) for name in PARTS}
    short = [line for name in _SHORT_REPORT if name in rendered for line in ("", *rendered[name])]
    parts[None] = short[1:]
    return parts


def _lines_of(block: Block) -> list[str]:
    return "\n".join(replace(block, title=None).render()).split("\n")


def update_text(text: str, parts: Mapping[str | None, list[str]], file: str) -> Updated:
    """Fill the blocks of a file; its line ends stay as they are, and all that is wrong with its marks is said at once."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    places = _find_places(lines, file)
    changed = []
    for place in reversed(places):
        ending = lines[place.begin][len(lines[place.begin].rstrip("\r\n")) :]
        filled = [f"{line}{ending}" for line in ("", *parts[place.name], "")]
        if lines[place.begin + 1 : place.end] != filled:
            changed.append(f"{file}:{place.begin + 1}: {place.name or 'the report'}")
            lines[place.begin + 1 : place.end] = filled
    return Updated("".join(lines), tuple(reversed(changed)))


def _find_places(lines: list[str], file: str) -> list[_Place]:
    problems: list[str] = []
    places: list[_Place] = []
    opened: tuple[str | None, int] | None = None
    for at, what, name in _marks(lines):
        where = f"{file}:{at + 1}:"
        if what == "begin":
            if opened is not None:
                problems.append(f"{where} {_mark(what, name)} stands inside the block that begins in line {opened[1] + 1}; end that first")
            elif same := [place for place in places if place.name == name]:
                problems.append(f"{where} {_mark(what, name)} is there already, in line {same[0].begin + 1}; remove one of them")
            elif name is not None and name not in PARTS:
                near = did_you_mean(name, PARTS)
                problems.append(f"{where} '{name}' is no part of a report{near}; known are {', '.join(PARTS)}")
            opened = opened or (name, at)
        elif what == "end" and opened is None:
            problems.append(f"{where} {_mark(what, name)} ends nothing; write {_mark('begin', name)} before it")
        elif what == "end" and opened is not None:
            if opened[0] != name:
                problems.append(f"{where} {_mark(what, name)} ends {_mark('begin', opened[0])} of line {opened[1] + 1}; name both alike")
            places.append(_Place(*opened, at))
            opened = None
        elif what == "unclear":
            problems.append(f"{where} a mark of matrix's that cannot be read; write {_mark('begin', None)} or {_mark('begin', 'table')}")
    if opened is not None:
        problems.append(f"{file}:{opened[1] + 1}: {_mark('begin', opened[0])} has no end; write {_mark('end', opened[0])} below it")
    if not places and not problems:
        problems.append(f"{file}: there is no {_mark('begin', None)} in it; write it and {_mark('end', None)} where the table belongs")
    if problems:
        raise ConfigError(problems)
    return places


def _mark(what: str, name: str | None) -> str:
    return f"<!-- matrix:{what}{f' {name}' if name else ''} -->"


def _marks(lines: list[str]) -> Iterator[tuple[int, str, str | None]]:
    """Give the marks that stand alone on a line; what a fenced example shows is none."""
    fence = None
    is_inside = False
    for at, line in enumerate(lines):
        if not is_inside and (found := _FENCE.match(line)):
            if fence is None:
                fence = found[1]
            elif found[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = None
        if fence is not None or not _ALMOST.match(text := line.strip()):
            continue
        if mark := _MARK.fullmatch(text):
            is_inside = mark["what"] == "begin"
            yield at, mark["what"], mark["name"]
        else:
            yield at, "unclear", None
