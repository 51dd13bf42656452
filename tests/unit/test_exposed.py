"""Stored runs within a context: said where a build would copy them, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.exposed import find_exposed
from orchestrator.model import Cell, Settings

if TYPE_CHECKING:
    from pathlib import Path

CELLS = [Cell("a", (), Settings()), Cell("b", (), Settings(labels=(("l", "b"),)))]


def exposed(folder: Path, text: str = "COPY . /app", cells: list[Cell] = CELLS, reports: str = "reports") -> list[str]:
    """Give what is said of a Dockerfile's build."""
    (folder / "Dockerfile").write_text(f"FROM x\n{text}\n")
    return list(find_exposed(cells, folder, folder / reports))


@pytest.mark.parametrize(
    ("text", "is_said"),
    [
        ("COPY . /app", True),
        ("ADD --chown=1:1 ./ a /app/", True),
        ('COPY ["a", ".","/app"]', True),
        ("COPY 're'* /app/", True),
        ("COPY / /app", True),
        ("COPY reports/runs /app", True),
        ("RUN --mount=type=bind,target=/src make", True),
        ("RUN --mount=target=/src,source=reports make", True),
        ("COPY app reports.txt /app/", False),
        ("COPY app .", False),
        ("COPY *.py /app/", False),
        ("COPY $WHERE /app", False),
        ("COPY --from=builder . /app", False),
        ("COPY --exclude=reports . /app", False),
        ("COPY reports/runs/*/cells/*/no-such /app", False),
        ("RUN --mount=type=cache,target=/src make . /app", False),
        ("RUN --mount=from=builder,target=/src make", False),
        ("RUN cp -r . /app", False),
        ("COPY <<a /app\n.\n", False),
    ],
)
def test_only_what_takes_the_runs_is_said(tmp_path: Path, text: str, *, is_said: bool) -> None:
    """BuildKit is given no more of a context than is copied; the cells of a context are said at once."""
    words = (
        "reports/runs lies in the context '.' of 2 cells, and no .dockerignore leaves it out: "
        "a COPY of everything copies it; add the line 'reports' to .dockerignore"
    )
    assert exposed(tmp_path, text) == ([words] if is_said else [])


@pytest.mark.parametrize(
    ("patterns", "is_said"),
    [
        ("reports\n", False),
        ("reports/runs/*\n", False),
        ("*\n!app\n", False),
        ("**/runs\n", False),
        ("*\n!reports\n", True),
        ("app\n", True),
        ("!\n", False),  # the build fails on it
    ],
)
def test_what_is_left_out_is_not_said(tmp_path: Path, patterns: str, *, is_said: bool) -> None:
    """By the context's own patterns, or those beside the Dockerfile, which come instead."""
    (tmp_path / ".dockerignore").write_text(patterns)
    assert bool(exposed(tmp_path)) is is_said
    (tmp_path / "Dockerfile.dockerignore").write_text(patterns)
    (tmp_path / ".dockerignore").write_text("reports\n")
    found = exposed(tmp_path)
    assert [one.endswith("add the line 'reports' to Dockerfile.dockerignore") for one in found] == [True] * is_said


def test_where_the_runs_lie_is_what_counts(tmp_path: Path) -> None:
    """Not in a context beside them, nor behind a link, nor in what the builder fetches; a folder of another name is named."""
    (tmp_path / "app").mkdir()
    for settings in (Settings(context="app"), Settings(context="https://h/r.git")):
        assert exposed(tmp_path, cells=[Cell("a", (), settings)]) == []
    (found,) = exposed(tmp_path, cells=[Cell("a", (), Settings(context="app"))], reports="app/out")
    assert found.startswith("out/runs lies in the context 'app' of 1 cell,")
    assert found.endswith("add the line 'out' to app/.dockerignore")
    (found,) = exposed(tmp_path, reports=".")
    assert found.endswith("add the line 'runs' to .dockerignore")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "app" / "reports").symlink_to("../elsewhere")
    assert exposed(tmp_path, cells=[Cell("a", (), Settings(context="app"))], reports="app/reports") == []


def test_a_dockerfile_that_cannot_be_read_is_its_builds_failure(tmp_path: Path) -> None:
    """Nothing is said of it here."""
    assert list(find_exposed(CELLS, tmp_path, tmp_path / "reports")) == []
    assert exposed(tmp_path, "RUN <<end") == []
