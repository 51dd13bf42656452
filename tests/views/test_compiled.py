"""Templates are kept as they were compiled, and whatever becomes of what is kept, a page is drawn as ever."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from jinja2 import DictLoader, Environment

from orchestrator.report.compiled import Compiled

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder in which templates are kept, which is made when there is one."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path / "kept"


def draw(kept: Path, text: str = "<{{ word }}>") -> str:
    """Fill in a template as a new process would."""
    cache = Compiled()
    cache.directory = str(kept)
    environment = Environment(loader=DictLoader({"page": text}), bytecode_cache=cache, autoescape=True)
    return environment.get_template("page").render(word="&")


def test_a_template_is_compiled_once(kept: Path) -> None:
    """The second process writes nothing; one whose template has changed does."""
    assert draw(kept) == "<&amp;>"
    (file,) = kept.iterdir()
    before = file.stat().st_ino
    assert draw(kept) == "<&amp;>"
    assert file.stat().st_ino == before
    assert draw(kept, "[{{ word }}]") == "[&amp;]"
    assert file.stat().st_ino != before


@pytest.mark.parametrize("damage", [b"", b"nothing of the kind", None])
def test_what_is_damaged_is_as_good_as_none(kept: Path, damage: bytes | None) -> None:
    """Cut short, another thing altogether, or behind its head."""
    draw(kept)
    (file,) = kept.iterdir()
    file.write_bytes(file.read_bytes()[:-9] if damage is None else damage)
    assert draw(kept) == "<&amp;>"


def test_where_nothing_can_be_kept_nothing_is(kept: Path) -> None:
    """A file stands in the way."""
    kept.write_bytes(b"")
    assert draw(kept) == "<&amp;>"
    assert kept.read_bytes() == b""


def test_python_may_be_told_to_keep_nothing(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By PYTHONDONTWRITEBYTECODE, as with its own modules."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert draw(kept) == "<&amp;>"
    assert not kept.exists()
