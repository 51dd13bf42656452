"""Results that somebody wants in a file: whole or not at all, and where they belong."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from threading import Thread
from typing import NoReturn

import pytest

from orchestrator.commands.printing import print_result
from orchestrator.disk import check_place, write_result
from orchestrator.errors import DiskFullError, ExitCode, StoreError, UsageError
from orchestrator.starter import write_starter


def refuse(*_: object) -> NoReturn:
    """Be a disk without room."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_result_that_there_is_no_room_for_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a page in the place of a good one is worse than none; a disk without room is exit code 4."""
    out = tmp_path / "page.html"
    out.write_text("good")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiskFullError) as caught:
        print_result("better", out)
    assert str(caught.value) == f"no room left on the disk for {out}; free some"
    assert caught.value.exit_code is ExitCode.ENGINE
    assert {item.name: item.read_text() for item in tmp_path.iterdir()} == {"page.html": "good"}


def test_a_result_takes_the_place_and_the_mode_of_the_file_that_is_there(tmp_path: Path) -> None:
    """A link stays a link, and what others may read they may read afterwards."""
    real, link, missing = tmp_path / "real", tmp_path / "link", tmp_path / "missing"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to("real")
    missing.symlink_to("made")
    print_result("ünew", link)
    print_result("made", missing)
    assert link.is_symlink()
    assert (real.read_text(encoding="utf-8"), real.stat().st_mode & 0o777) == ("ünew", 0o640)
    assert (missing.is_symlink(), (tmp_path / "made").read_text()) == (True, "made")


def test_what_is_no_file_takes_a_result_as_it_is(tmp_path: Path) -> None:
    """A pipe is written into; a folder, and a link that leads to itself, are errors or become a file, and no bug."""
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_result(pipe, (b"words",))
    reader.join()
    assert read == [b"words"]
    assert pipe.is_fifo()
    with pytest.raises(StoreError, match="cannot be written: Is a directory"):
        write_result(tmp_path, (b"words",))
    circle = tmp_path / "circle"
    circle.symlink_to("circle")
    write_result(circle, (b"words",))
    assert circle.read_bytes() == b"words"


def test_a_file_that_a_device_leads_to_stays_the_same_file(tmp_path: Path) -> None:
    """`-o /dev/stdout > log` must not put another file in the place of the log that the shell goes on writing to."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        before = log.stat().st_ino
        write_result(Path(f"/dev/fd/{file.fileno()}"), (b"words",))
    assert (log.read_bytes(), log.stat().st_ino) == (b"words", before)


def test_a_device_without_room_is_a_full_disk() -> None:
    """/dev/full is what a full disk looks like without one."""
    with pytest.raises(DiskFullError, match="no room left on the disk for /dev/full"):
        write_result(Path("/dev/full"), (b"words",))


def test_init_on_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no error of usage, and leaves nothing that would stand in the way of the next one."""
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiskFullError, match="no room left on the disk for "):
        write_starter(tmp_path, force=False)
    assert not list(tmp_path.iterdir())


def test_a_place_for_a_result_is_looked_at_before_the_work(tmp_path: Path) -> None:
    """A file that is there, or is to be; nothing is written yet."""
    check_place(tmp_path / "x.csv")
    check_place(Path("x.csv"))
    assert not (tmp_path / "x.csv").exists()
    with pytest.raises(UsageError, match=rf"^{tmp_path}/no/x\.csv cannot be written: there is no folder {tmp_path}/no$"):
        check_place(tmp_path / "no/x.csv")
    with pytest.raises(UsageError, match=rf"^{tmp_path} cannot be written: it is a folder$"):
        check_place(tmp_path)
