"""A forecast as people and machines read it: dependencies against bases, then what is foretold of the cells."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from orchestrator.preflight.nouns import FOREIGN, Outlook, Verdict
from orchestrator.smoke.words import one_line
from orchestrator.units import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.preflight.nouns import CellForecast, Preflight, RequirementSet, Row, Target

FORMATS = ("table", "json", "markdown")
SCHEMA = 1
WORDS = {
    Verdict.NOT_WANTED: "–",
    Verdict.PURE: "wheel",
    Verdict.WHEEL: "wheel",
    Verdict.BUILD: "source",
    Verdict.COMPILE: "COMPILE",
    Verdict.UNKNOWN: "?",
    Verdict.NOTHING: "NOTHING",
}
_PLAIN = (Verdict.PURE, Verdict.NOT_WANTED)
_LONGEST_LIST = 6


def render_preflight(found: Preflight, kind: str, width: int) -> str:
    """Write a forecast in one of the formats; only the table minds the terminal's width."""
    if kind == "json":
        return json.dumps(preflight_as_data(found), indent=2, ensure_ascii=False) + "\n"
    return _as_markdown(found) if kind == "markdown" else _as_table(found, width)


def preflight_as_data(found: Preflight) -> dict[str, Any]:
    """Give a forecast as plain data."""
    return {
        "schema": SCHEMA,
        "name": found.name,
        "at": found.at,
        "index": found.index,
        "problem": found.problem,
        "targets": [{**_target(target), "bases": list(bases)} for target, bases in found.targets],
        "requirements": [to_builtins(one) for one in found.sets],
        "dependencies": [
            {
                "name": row.name,
                "version": row.version,
                "requirements": list(row.requirements),
                "on": [{**_target(target), **to_builtins(judged)} for target, judged in row.judged],
            }
            for row in found.rows
        ],
        "cells": [{**to_builtins(cell), "target": _target(cell.target)} for cell in found.cells],
    }


def _target(target: Target) -> dict[str, Any]:
    return dict(to_builtins(target))


def _known_targets(found: Preflight) -> list[tuple[Target, tuple[str, ...]]]:
    return [(target, bases) for target, bases in found.targets if not target.lacks]


def _telling_rows(found: Preflight) -> list[Row]:
    """Leave out what is a pure wheel wherever it is wanted: it fits any base."""
    return [row for row in found.rows if any(judged.verdict not in _PLAIN for _, judged in row.judged)]


def _as_table(found: Preflight, width: int) -> str:
    from tabulate import tabulate  # noqa: PLC0415  # JSON does not need it

    targets = _known_targets(found)
    rows = [[_label(row, found), *(_word(row, target) for target, _ in targets)] for row in _telling_rows(found)]
    headers = ["dependency", *(_heading(target, targets) for target, _ in targets)]
    drawn = tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True) if rows else ""
    if max(map(len, drawn.splitlines()), default=0) > width:
        drawn = "\n".join(line for row in _telling_rows(found) for line in _wrapped([_in_a_line(row, found)], width))
    parts = [_wrapped(_legend(found), width), drawn.splitlines(), _wrapped(_notes(found), width), _wrapped(_outlooks(found), width)]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _heading(target: Target, targets: list[tuple[Target, tuple[str, ...]]]) -> str:
    """Head a column with what tells it from the others, over each other."""
    words = [target.libc or "?", target.python or "?"]
    if len({other.platform for other, _ in targets}) > 1:
        words.append(target.platform.removeprefix("linux/"))
    return "\n".join(words)


def _word(row: Row, target: Target) -> str:
    judged = row.on(target)
    return WORDS[judged.verdict] if judged else ""


def _label(row: Row, found: Preflight) -> str:
    """Name a dependency, with its files where others have it too and another thing is to be said of it."""
    is_alone = sum(one.label == row.label for one in found.rows) == 1
    return one_line(row.label if is_alone else f"{row.label} ({_files_of(row)})")


def _files_of(row: Row) -> str:
    return ", ".join(_name_of(path) for path in row.requirements)


def _in_a_line(row: Row, found: Preflight) -> str:
    """Put a dependency in a line of its own, where the columns have no room."""
    by_word: dict[str, list[str]] = {}
    for target, judged in row.judged:
        by_word.setdefault(WORDS[judged.verdict], []).append(target.label)
    return f"{_label(row, found)}: " + "; ".join(f"{word} on {', '.join(targets)}" for word, targets in by_word.items())


def _legend(found: Preflight) -> list[str]:
    names: dict[tuple[str, str], dict[str, None]] = {}
    for target, bases in _known_targets(found):
        names.setdefault((target.libc or "", target.platform), {}).update(dict.fromkeys(bases))
    lines = [f"{libc}, {platform}: {', '.join(map(one_line, bases))}" for (libc, platform), bases in names.items()]
    foreign = {one.path for one in found.sets if one.problem == FOREIGN}
    asked = {cell.target for cell in found.cells if cell.requirements not in foreign}
    for target, bases in found.targets:
        if target.lacks and target in asked:
            known = ", ".join(filter(None, (target.libc, target.python and f"Python {target.python}", target.platform)))
            lines.append(f"not looked at: {', '.join(map(one_line, bases))} ({known}): {target.lacks}")
    return lines


def _notes(found: Preflight) -> list[str]:
    lines = [f"The package index could not be asked; this is what its cache still says. {found.problem}"] if found.problem else []
    lines += [f"{one_line(row.label)} ({_files_of(row)}): {text}" for row in _telling_rows(found) for text in _reasons(row)]
    lines += [_source(one) for one in found.sets if one.resolved_by != "uv"]
    plain = len(found.rows) - len(_telling_rows(found))
    all_of_them = f"{plain} of {len(found.rows)} dependencies are pure Python: a wheel fits every base, and they are not listed."
    lines += [all_of_them] if plain else []
    return [one_line(line) for line in lines]


def _source(one: RequirementSet) -> str:
    """Say where a file's versions are from, where uv could not resolve it, or why there are none."""
    if one.resolved_by == "nothing" and not one.unanswered:
        return f"{one.path}: not looked at: {one.problem}"
    unread = f"; nothing is known of {', '.join(one.unread)}" if one.unread else ""
    return f"{one.path}: versions from {one.resolved_by}{unread}" + (f"; uv says: {one.problem}" if one.problem else "")


def _name_of(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".txt")


def _reasons(row: Row) -> list[str]:
    """Say once what is to be said of several targets."""
    texts: dict[str, list[str]] = {}
    for target, judged in row.judged:
        if judged.verdict not in (*_PLAIN, Verdict.WHEEL):
            needs = f" needs {', '.join(judged.needs)}" if judged.needs else ""
            how = f" ({judged.how})" if judged.how else ""
            texts.setdefault(f"{WORDS[judged.verdict]}{needs}{how}", []).append(f"{target.libc} {target.python}")
    return [f"on {', '.join(dict.fromkeys(targets))}: {text}" for text, targets in texts.items()]


def _outlooks(found: Preflight) -> list[str]:
    """Say what is foretold of the cells, the worst first, cells of one fate together."""
    lines = []
    for outlook in (Outlook.FAILED, Outlook.LIKELY, Outlook.LONG, Outlook.BUILDS, Outlook.UNKNOWN, Outlook.WHEELS):
        cells = [cell for cell in found.cells if cell.outlook is outlook]
        if cells:
            lines.append(f"{outlook}: {len(cells)} of {count(len(found.cells), 'cell')}: {_listed(cells)}")
    return lines


def _listed(cells: Iterable[CellForecast]) -> str:
    names = [one_line(cell.cell) for cell in cells]
    more = f" and {len(names) - _LONGEST_LIST} more" if len(names) > _LONGEST_LIST else ""
    return ", ".join(names[:_LONGEST_LIST]) + more


def _as_markdown(found: Preflight) -> str:
    from orchestrator.report.text import escape_line, escape_markdown  # noqa: PLC0415  # only this format needs it

    targets = _known_targets(found)
    heads = ["dependency", *(_heading(target, targets).replace("\n", " ") for target, _ in targets)]
    lines = [
        f"# {escape_markdown(one_line(found.name))}: before a run",
        "",
        *(f"- {escape_line(line)}" for line in _legend(found)),
    ]
    lines += ["", "| " + " | ".join(map(escape_markdown, heads)) + " |", "|" + " --- |" * len(heads)]
    for row in _telling_rows(found):
        words = [_label(row, found), *(_word(row, target) for target, _ in targets)]
        lines.append("| " + " | ".join(map(escape_markdown, words)) + " |")
    lines += ["", *(f"- {escape_line(line)}" for line in [*_notes(found), *_outlooks(found)])]
    return "\n".join(lines) + "\n"


def _wrapped(lines: list[str], width: int) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, max(width, 20), subsequent_indent="  ") or [""]]
