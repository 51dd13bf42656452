"""The nouns of a diagnosis: what was printed and by whom, a cell as the rules see it, and a rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from orchestrator.smoke.words import shorten
from orchestrator.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from re import Match, Pattern

    from orchestrator.record import CellRecord, CheckResult

_MOST_EVIDENCE = 6
_RETRY = re.compile(r"\(Retry\(total=\d+|object at 0x[0-9a-f]+")  # in which pip's words about its tries differ


class Evidence(Struct, frozen=True):
    """What a cell's logs hold, as far as it is read: what the step that failed printed, the ends of both logs."""

    step: str | None = None  # the step that failed, where the progress names it
    step_log: str | None = None  # all that it printed, and nothing that others did
    build_log: str = ""
    smoke_log: str = ""


class Said(Struct, frozen=True):
    """What the step or the check that failed had to say."""

    where: str
    text: str
    check: CheckResult | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)  # what a probe answered
    whole: str = ""  # what a build printed, with lines of any length: for a rule that reads long lists


class Hit(Struct, frozen=True):
    """A line that a rule looks for, and who printed it."""

    said: Said
    line: str
    found: Match[str]


class Case(Struct, frozen=True):
    """A cell as the rules see it."""

    cell: CellRecord
    build: Said | None = None  # of a build that failed
    checks: tuple[Said, ...] = ()  # those that failed
    system: str | None = None  # of the base: alpine, debian, wolfi

    @property
    def said(self) -> tuple[Said, ...]:
        """Give all that failed."""
        return ((self.build,) if self.build else ()) + self.checks


class Rule(Struct, frozen=True):
    """A kind of cause: what it means, what must be seen for it, what to do, and how it is found."""

    code: str
    means: str
    needs: str
    remedy: str
    find: Callable[[Case], Iterable[Finding]]
    hides: tuple[str, ...] = ()  # what is only a consequence of it
    says_least: bool = False  # that something failed, and not why: any other finding about the same step or check says more


def search(parts: Iterable[Said], pattern: Pattern[str]) -> Iterator[Hit]:
    """Find a pattern in what was printed, with the whole line in which each match begins."""
    for said in parts:
        for found in pattern.finditer(said.text):
            start = said.text.rfind("\n", 0, found.start()) + 1
            end = said.text.find("\n", found.start())
            yield Hit(said, said.text[start : end if end >= 0 else len(said.text)].strip(), found)


def make_finding(code: str, title: str, where: str, lines: Iterable[str], remedy: str) -> Finding:
    """Make a finding: its evidence begins with the step or the check, each line once, and of an installer's retries the first."""
    words: dict[str, str] = {}
    for line in filter(None, map(shorten, (where, *lines))):
        words.setdefault(_RETRY.sub("", line), line)
    return Finding(code, shorten(title), tuple(words.values())[:_MOST_EVIDENCE], remedy)


def make_finding_from(code: str, title: str, hits: Sequence[Hit], remedy: str) -> Finding:
    """Make a finding of what was found in one place: the lines are its evidence."""
    return make_finding(code, title, hits[0].said.where, lines_of(hits), remedy)


def lines_of(hits: Iterable[Hit]) -> list[str]:
    """Give the lines that were found."""
    return [hit.line for hit in hits]


def first(hits: Iterable[Hit]) -> list[Hit]:
    """Give the first hit and those of the same step or check: one finding is about one place."""
    found: list[Hit] = []
    for hit in hits:
        if found and hit.said is not found[0].said:
            break
        found.append(hit)
        if len(found) > _MOST_EVIDENCE:
            break
    return found
