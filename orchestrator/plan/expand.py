"""The product of the axes, with settings merged and placeholders filled."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from orchestrator.model import Cell, ExcludedCell, Pairs, Plan, Settings, Status
from orchestrator.plan.settings import MERGED_LISTS, MERGED_MAPPINGS, make_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.config.schema import MatrixFile

Piece = dict[str, Any]

_BRACED = re.compile(r"(?<![${])(\{+)([A-Za-z][A-Za-z0-9_-]*)(\}+)")


def make_plan(matrix: MatrixFile) -> Plan:
    """Expand a matrix into its cells, in axis order; included cells come last."""
    settings_for = _SettingsMerger(matrix)
    expectations = [(dict(rule.where), Status(rule.outcome), rule.reason) for rule in matrix.expect]
    exclusions = [(dict(rule.where), rule.reason) for rule in matrix.exclude]
    cells: list[Cell] = []
    excluded: list[ExcludedCell] = []
    for axes in _combinations(matrix):
        cell_id = "-".join([value for _, value in axes])
        left_out = next((rule for rule in exclusions if matches(rule[0], axes)), None) if exclusions else None
        if left_out:
            excluded.append(ExcludedCell(cell_id, axes, left_out[1]))
            continue
        expected, reason = Status.PASSED, None
        for where, outcome, why in expectations:
            if matches(where, axes):
                expected, reason = outcome, why
        cells.append(Cell(cell_id, axes, settings_for(axes), expected, reason))
    return Plan(matrix.name, tuple(matrix.axes), tuple(cells), tuple(excluded))


def matches(where: Mapping[str, Sequence[str]], axes: Pairs) -> bool:
    """Tell whether a combination has, on every axis named, one of the values or globs."""
    values = dict(axes)
    return all(axis in values and any(fits(wanted, values[axis]) for wanted in wanteds) for axis, wanteds in where.items())


def fits(wanted: str, value: str) -> bool:
    """Tell whether a value is the one that is wanted, or one of those that a glob names."""
    return value == wanted or (is_glob(wanted) and fnmatchcase(value, wanted))


def find_placeholders(text: str) -> list[str]:
    """Give the axes that a text wants filled in: `{axis}`, but neither `{{word}}` nor a shell's `${variable}`."""
    return [found[2] for found in _BRACED.finditer(text) if _depth(found) % 2] if "{" in text else []


def _depth(found: re.Match[str]) -> int:
    """Count the braces that a word has on both sides."""
    return min(len(found[1]), len(found[3]))


def _fill_braces(found: re.Match[str], values: Mapping[str, str]) -> str:
    """Let two braces stand for one, and fill in what one is left around: `{{word}}` is `{word}`, `{{{axis}}}` a value in braces."""
    opening, word, closing = found.groups()
    depth = _depth(found)
    inner = values.get(word, f"{{{word}}}") if depth % 2 else word
    pairs = depth // 2
    return f"{opening[depth:]}{'{' * pairs}{inner}{'}' * pairs}{closing[depth:]}"


def is_glob(text: str) -> bool:
    """Tell whether a value is a pattern."""
    return any(mark in text for mark in "*?[")


def _combinations(matrix: MatrixFile) -> Iterator[Pairs]:
    """Give the product in axis order, then the included ones that are not in it."""
    names = tuple(matrix.axes)

    def descend(at: int, chosen: Pairs) -> Iterator[Pairs]:
        if at == len(names):
            yield chosen
            return
        for value in matrix.axes[names[at]]:
            yield from descend(at + 1, (*chosen, (names[at], value)))

    yield from descend(0, ())
    known = {name: set(values) for name, values in matrix.axes.items()}
    for extra in matrix.include:
        axes = tuple((name, extra[name]) for name in names if name in extra)
        if not all(value in known[name] for name, value in axes):
            yield axes


class _SettingsMerger:
    """Merges settings in axis order, each distinct result once.

    Cells that share all values that carry settings, and all values that their
    placeholders name, share one Settings object: 100,000 cells stay cheap.
    """

    def __init__(self, matrix: MatrixFile) -> None:
        self._defaults = _as_piece(matrix.defaults)
        self._pieces = {
            (axis, value): _as_piece(settings) for axis, by_value in matrix.settings.items() for value, settings in by_value.items()
        }
        self._templates: dict[Pairs, tuple[Piece, tuple[str, ...]]] = {}
        self._filled: dict[tuple[Pairs, Pairs], Settings] = {}

    def __call__(self, axes: Pairs) -> Settings:
        carriers = tuple([pair for pair in axes if pair in self._pieces])
        if carriers not in self._templates:
            self._templates[carriers] = self._merge(carriers)
        template, names = self._templates[carriers]
        used = tuple([pair for pair in axes if pair[0] in names]) if names else ()
        key = (carriers, used)
        if key not in self._filled:
            values = dict(axes)
            self._filled[key] = make_settings(_fill(template, values))
        return self._filled[key]

    def _merge(self, carriers: Pairs) -> tuple[Piece, tuple[str, ...]]:
        merged = dict(self._defaults)
        for pair in carriers:
            merged = merge_settings(merged, self._pieces[pair])
        names: dict[str, None] = {}
        for text in _texts_of(merged):
            names.update(dict.fromkeys(find_placeholders(text)))
        return merged, tuple(names)


def merge_settings(earlier: Piece, later: Piece) -> Piece:
    """Let a later axis win: lists of checks add up, mappings merge, the rest is replaced."""
    merged = dict(earlier)
    for key, value in later.items():
        if key in MERGED_LISTS:
            merged[key] = [*earlier.get(key, []), *value]
        elif key in MERGED_MAPPINGS:
            merged[key] = {**earlier.get(key, {}), **value}
        else:
            merged[key] = value
    return merged


def _texts_of(value: object) -> Iterator[str]:
    """Give every text inside settings, however deep; keys are not filled, so not given."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_of(inner)


def _as_piece(settings: Any) -> Piece:  # noqa: ANN401  # a pydantic model, imported for types only
    """Give the settings that were written down, and nothing else."""
    piece: Piece = settings.model_dump(by_alias=True, exclude_unset=True)
    return {key: value for key, value in piece.items() if value is not None}


def _fill(value: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401  # settings hold any YAML data
    """Put the cell's values in the place of `{axis}`; unknown names are errors of the file."""
    if isinstance(value, str):
        return _BRACED.sub(lambda found: _fill_braces(found, values), value) if "{" in value else value
    if isinstance(value, dict):
        return {key: _fill(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, values) for inner in value]
    return value
