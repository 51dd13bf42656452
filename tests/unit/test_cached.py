"""A folder of the cache: bounded, and not looked through for each file that is kept."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from orchestrator.cached import Shelf
from orchestrator.paths import cache_folder

if TYPE_CHECKING:
    import pytest

MOST = 48_000


def test_a_folder_is_looked_through_once_in_a_while_and_stays_within_its_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of three hundred files some fifty look, since each may by chance; twice the bound is left once in forty million times."""
    looks = 0
    scan = os.scandir

    def count(path: Any) -> Any:
        nonlocal looks
        looks += 1
        return scan(path)

    monkeypatch.setattr("orchestrator.cached.os.scandir", count)
    shelf = Shelf("many", b"m", max_bytes=MOST, max_entry_bytes=1000)
    for at in range(300):
        shelf.save(f"{at:04}", bytes(500))
        os.utime(cache_folder("many") / f"{at:04}", (at, at))
    kept = sorted(cache_folder("many").iterdir())
    assert sum(path.stat().st_size for path in kept) < MOST * 2
    assert [path.name for path in kept] == [f"{at:04}" for at in range(300 - len(kept), 300)]
    assert looks < 150


def test_what_can_only_be_read_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache may be another's, or on a disk that takes nothing: then nobody writes down when an entry was used."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    shelf = Shelf("read-only", b"m", max_bytes=MOST, max_entry_bytes=MOST)
    shelf.save("a", b"body")
    monkeypatch.setattr("orchestrator.cached.os.utime", refuse)
    assert bytes(shelf.load("a") or b"") == b"body"


def test_a_file_that_takes_much_of_the_room_always_makes_it() -> None:
    """A sixteenth of the bound is no matter of chance."""
    shelf = Shelf("few", b"m", max_bytes=MOST, max_entry_bytes=MOST)
    for at in range(40):
        shelf.save(f"{at:04}", bytes(MOST // 16))
        assert sum(path.stat().st_size for path in cache_folder("few").iterdir()) <= MOST
