"""Marked blocks in a file of somebody else's: found, checked, and filled with parts of a report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

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


class _Place(Struct, frozen=True):
    """A block in a file: its name, and the lines of its two marks, counted from 0."""

    name: str | None
    begin: int
    end: int


class Updated(Struct, frozen=True):
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
    finder = _Finder(file)
    for at, what, name in _marks(lines):
        {"begin": finder.begin, "end": finder.end, "unclear": finder.refuse}[what](at, name)
    return finder.finish()


class _Finder(Struct):
    """Goes through a file's marks in order, and collects blocks and problems."""

    file: str
    places: list[_Place] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    opened: tuple[str | None, int] | None = None

    def begin(self, at: int, name: str | None) -> None:
        same = next((place for place in self.places if place.name == name), None)
        if self.opened is not None:
            self._say(
                at, f"{_mark('begin', name)} stands inside the block that begins in line {self.opened[1] + 1}; end that first"
            )
            return
        if same:
            self._say(at, f"{_mark('begin', name)} is there already, in line {same.begin + 1}; remove one of them")
        elif name is not None and name not in PARTS:
            self._say(at, f"'{name}' is no part of a report; known are {', '.join(PARTS)}{did_you_mean(name, PARTS)}")
        self.opened = name, at

    def end(self, at: int, name: str | None) -> None:
        if self.opened is None:
            self._say(at, f"{_mark('end', name)} ends nothing; write {_mark('begin', name)} before it")
            return
        begun, line = self.opened
        if begun != name:
            self._say(at, f"{_mark('end', name)} ends {_mark('begin', begun)} of line {line + 1}; name both alike")
        self.places.append(_Place(begun, line, at))
        self.opened = None

    def refuse(self, at: int, _name: str | None) -> None:
        self._say(at, f"this mark cannot be read; write {_mark('begin', None)} or, for a part, {_mark('begin', 'table')}")

    def finish(self) -> list[_Place]:
        if self.opened is not None:
            self._say(self.opened[1], f"{_mark('begin', self.opened[0])} has no end; write {_mark('end', self.opened[0])} below it")
        if not self.places and not self.problems:
            marks = f"{_mark('begin', None)} and {_mark('end', None)}"
            self.problems.append(f"{self.file}: it has no marked block; write {marks} where the table belongs")
        if self.problems:
            raise ConfigError(self.problems)
        return self.places

    def _say(self, at: int, words: str) -> None:
        self.problems.append(f"{self.file}:{at + 1}: {words}")


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
