"""matrix.yaml as every command takes it: checked, or known to be right from when its very text was checked before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.config.kept import Checked, recall, remember
from orchestrator.config.text import decode, read_bounded
from orchestrator.errors import ConfigError, did_you_mean
from orchestrator.plan.files import find_missing

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.model import BuilderSpec, Plan
    from orchestrator.rules import Rules


class Matrix(Struct, frozen=True):
    """A checked matrix.yaml: where it lies, the plan that follows from it, and what its cells are built with and judged by."""

    path: Path
    digest: str
    plan: Plan
    builder: BuilderSpec
    rules: Rules
    traces_ui: str | None

    @property
    def folder(self) -> Path:
        """Give the folder that paths in the file are relative to."""
        return self.path.parent


def load_matrix(path: Path, *, keep: bool = False) -> Matrix:
    """Read and check matrix.yaml and plan it, or raise a ConfigError with every problem.

    What was found right is kept by who builds. Who only looks writes nothing.
    """
    text = _read(path)
    checked = recall(text)
    if checked is None or any(find_missing(checked.plan.cells, path)):
        checked = _check(text, path)
        if keep:
            remember(text, checked)
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return Matrix(path, digest, checked.plan, checked.builder, checked.rules, checked.traces_ui)


def _check(text: str, path: Path) -> Checked:
    """Check a text by the schema, which takes longer to import than most commands take."""
    from orchestrator.config.builder import make_builder  # noqa: PLC0415  # as it says
    from orchestrator.config.parse import parse_matrix  # noqa: PLC0415  # as above
    from orchestrator.config.rules import make_rules  # noqa: PLC0415  # as above

    file, plan = parse_matrix(text, str(path), path.parent)
    return Checked(plan, make_builder(file.builder), make_rules(file), file.traces.ui)


def _say_which(path: Path) -> str:
    """Name the file that is likely meant where one of nearly the same name is there, such as matrix.yml."""
    others = sorted(other.name for other in path.parent.glob("*.y*ml"))
    meant = did_you_mean(path.name, others)
    return f"-f/--file names another{meant}" if meant else "`matrix init` writes one, -f/--file names another"


def _read(path: Path) -> str:
    try:
        raw = read_bounded(path)
    except FileNotFoundError as error:
        raise ConfigError([f"{path}: no such file; {_say_which(path)}"]) from error
    except IsADirectoryError as error:
        raise ConfigError([f"{path}: is a folder; name the file in it, such as {path / 'matrix.yaml'}"]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    return decode(raw, str(path), "matrix.yaml")
