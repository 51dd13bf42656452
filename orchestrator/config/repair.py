"""Leave out what the schema refused, so that the rest is checked in the same go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.config.source import Path
    from orchestrator.plan.problem import Problem

_STAND_INS = {"version": 1, "name": "matrix"}  # for a file that lacks them; nothing is built from a repaired file


class Repair:
    """A copy of a file's data without the refused parts, which knows where each part stood."""

    def __init__(self, data: Any) -> None:  # noqa: ANN401  # YAML data is anything
        """Start with nothing refused."""
        self._original = data
        self._refused: set[Path] = set()
        self._kept: dict[Path, list[int]] = {}
        self.data = data

    def leave_out(self, paths: list[Path]) -> None:
        """Leave out more parts, named by where they stand in the copy of now."""
        self._refused |= {self.original_path(path) for path in paths}
        self._kept = {}
        self.data = self._copy(self._original, ())
        if isinstance(self.data, dict):
            self.data = {**_STAND_INS, **self.data}

    def original_path(self, path: Path) -> Path:
        """Tell where a part of the copy stands in the file."""
        found: Path = ()
        for part in path:
            kept = self._kept.get(found) if isinstance(part, int) else None
            found = (*found, kept[part] if kept and isinstance(part, int) else part)
        return found

    def _copy(self, value: Any, path: Path) -> Any:  # noqa: ANN401  # as above
        if isinstance(value, dict):
            return {key: self._copy(inner, (*path, key)) for key, inner in value.items() if (*path, key) not in self._refused}
        if isinstance(value, list):
            self._kept[path] = [at for at in range(len(value)) if (*path, at) not in self._refused]
            return [self._copy(value[at], (*path, at)) for at in self._kept[path]]
        return value

    def explains(self, problem: Problem) -> bool:
        """Tell whether a problem only follows from what was left out: whether one of the parts that it is about was.

        An included cell without its refused value lacks an axis, and settings of a
        refused value belong to none: one mistake is one error.
        """
        refused = self._refused | {self._by_value(path) for path in self._refused}
        about = [self.original_path(part) for part in problem.after]
        return any(part[: len(one)] == one[: len(part)] for one in refused if one for part in about)

    def _by_value(self, path: Path) -> Path:
        """Name a refused value of an axis as itself, wherever the file has it."""
        match path:
            case ("axes", axis, int() as at):
                return ("axes", axis, str(self._original["axes"][axis][at]))
            case ("include", int() as at, axis):
                return ("axes", axis, str(self._original["include"][at][axis]))
        return path
