"""What the judgements on dependencies mean for each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.preflight.nouns import FOREIGN, CellForecast, Judged, Outlook, Verdict
from orchestrator.smoke.words import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.model import Cell
    from orchestrator.preflight.nouns import RequirementSet, Row, Target


def make_forecast(  # the parts of one cell
    cell: Cell,
    target: Target,
    python_from: str | None,
    rows: Sequence[Row],
    found: RequirementSet | None,
    tools: Sequence[str] | None,
) -> CellForecast:
    """Foretell a cell's build; `tools` are the compilers its Dockerfile has, None when that is not known."""
    requirements = cell.settings.requirements
    outlook, why = _outlook(target, rows, found, tools)
    return CellForecast(cell.id, target, python_from, requirements, outlook, tuple(why))


def _outlook(
    target: Target, rows: Sequence[Row], found: RequirementSet | None, tools: Sequence[str] | None
) -> tuple[Outlook, list[str]]:
    if found is None or target.lacks or found.resolved_by == "nothing":
        return Outlook.UNKNOWN, [_unseen(target, found)]
    mine = [(row, judged) for row in rows if found.path in row.requirements and (judged := row.on(target)) is not None]
    worst = max((judged.verdict for _, judged in mine), key=list(Verdict).index, default=Verdict.PURE)
    those = [(row, judged) for row, judged in mine if judged.verdict is worst]
    match worst:
        case Verdict.NOTHING:
            return Outlook.FAILED, [f"{row.label}: {judged.how}" for row, judged in those]
        case _ if found.unread or worst is Verdict.UNKNOWN:
            return Outlook.UNKNOWN, [*_unread(found), *_unjudged(those)]
        case Verdict.COMPILE:
            return _compiled(those, tools)
        case Verdict.BUILD:
            return Outlook.BUILDS, [f"{row.label} is built from source, nothing is compiled" for row, _ in those]
    return Outlook.WHEELS, []


def _unseen(target: Target, found: RequirementSet | None) -> str:
    """Say why nothing was looked up for a cell."""
    if found is None:
        return "it names no requirements file"
    if found.problem == FOREIGN:
        return f"{found.path}: {FOREIGN}"
    return target.lacks or found.problem or "its requirements are not known"


def _unread(found: RequirementSet) -> Iterator[str]:
    yield from (f"nothing is known of '{line}'" for line in map(one_line, found.unread))


def _unjudged(those: Sequence[tuple[Row, Judged]]) -> Iterator[str]:
    yield from (f"{row.label}: {one.how or 'not known'}" for row, one in those if one.verdict is Verdict.UNKNOWN)


def _compiled(those: Sequence[tuple[Row, Judged]], tools: Sequence[str] | None) -> tuple[Outlook, list[str]]:
    """Tell a long build from one that lacks its compiler."""
    why = [f"{row.label} is compiled: needs {', '.join(judged.needs)}" for row, judged in those]
    lacking = sorted({tool for _, judged in those if tools is not None and (tool := _missing_tool(judged, tools))})
    if lacking:
        return Outlook.LIKELY, [*why, f"the Dockerfile installs no {' and no '.join(lacking)}"]
    return Outlook.LONG, why


def _missing_tool(judged: Judged, tools: Sequence[str]) -> str | None:
    """Name the compiler that a package needs and a Dockerfile does not mention."""
    if "Rust" in judged.needs and not {"cargo", "rust", "rustc", "rustup"} & set(tools):
        return "Rust"
    return None if {"gcc", "g++", "clang", "build-base", "build-essential"} & set(tools) else "compiler"
