"""The script that imports modules inside an image, given to a Python as checks give it: each module in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = resources.files("orchestrator.smoke").joinpath("import_modules.py").read_text(encoding="utf-8")
LIMIT_S = 1.0


def try_imports(folder: Path, **modules: str) -> list[dict[str, Any]]:
    """Write modules and import them in this order; give what is told of each."""
    for name, text in modules.items():
        folder.joinpath(f"{name}.py").write_text(text)
    argv = [sys.executable, "-", str(LIMIT_S), *modules]
    done = subprocess.run(argv, input=SCRIPT, capture_output=True, text=True, check=True, cwd=folder)
    assert done.stderr == ""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["module"] for one in found] == list(modules)
    return found


def test_a_module_that_cannot_be_imported_says_why(tmp_path: Path) -> None:
    """Its traceback is what Python prints of it; those before and behind it are as ever."""
    first, broken, left, last = try_imports(
        tmp_path, first="print('hello')", broken="import nosuchmodule", left="import sys; sys.exit(4)", last=""
    )
    assert (first["code"], first["stderr"]) == (0, "")
    assert broken["code"] == 1
    assert broken["stderr"].splitlines()[-1] == "ModuleNotFoundError: No module named 'nosuchmodule'"
    assert (left["code"], last["code"]) == (4, 0)


def test_a_crash_takes_down_only_the_process_that_tried(tmp_path: Path) -> None:
    """It is told by its signal, with where it was."""
    crash, after = try_imports(tmp_path, crash="import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", after="")
    assert crash["code"] == -signal.SIGSEGV
    assert "Segmentation fault" in crash["stderr"]
    assert "crash.py" in crash["stderr"]
    assert after["code"] == 0


def test_no_module_sees_what_another_has_imported(tmp_path: Path) -> None:
    """Each begins as a new Python does, and its own words are its name."""
    before, after = try_imports(
        tmp_path,
        before="import sys; assert sys.argv == ['-c', 'before']; sys.mine = 1",
        after="import sys; assert 'before' not in sys.modules and not hasattr(sys, 'mine')",
    )
    assert (before["code"], after["code"]) == (0, 0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("import time; time.sleep(100)", None),
        ("import os, time; os.close(2); time.sleep(100)", None),
        ("import atexit, time; atexit.register(time.sleep, 100)", None),
        ("import threading, time; threading.Thread(target=time.sleep, args=(0.2,)).start()", 0),
        ("import os; os.close(2)", 0),
    ],
    ids=["hangs", "hangs unheard", "hangs at its end", "a thread ends first", "says nothing more"],
)
def test_an_import_has_its_time(tmp_path: Path, text: str, code: int | None) -> None:
    """It is over when its process has ended, and not before; one that never does is killed, and named by no code."""
    found, after = try_imports(tmp_path, module=text, after="")
    assert found["code"] == code
    assert (found["duration_s"] >= LIMIT_S) is (code is None)
    assert after["code"] == 0


@pytest.mark.parametrize("command", ["exec sleep 100", "exec yes >&2"], ids=["silent", "talking"])
def test_what_an_import_leaves_running_is_not_waited_for(tmp_path: Path, command: str) -> None:
    """A process that it has started may hold on to its output for ever; the image's container ends all."""
    text = f"import subprocess; open('left', 'w').write(str(subprocess.Popen(['sh', '-c', {command!r}]).pid))"
    left, after = try_imports(tmp_path, left=text, after="")
    os.kill(int(tmp_path.joinpath("left").read_text()), signal.SIGKILL)
    assert (left["code"], after["code"]) == (0, 0)
    assert left["duration_s"] < LIMIT_S


def test_of_a_flood_the_end_is_kept(tmp_path: Path) -> None:
    """What it says last is what matters."""
    (flood,) = try_imports(tmp_path, flood="import sys; sys.stderr.write('x' * 3_000_000); raise ValueError('the end')")
    assert flood["stderr"].endswith("ValueError: the end\n")
    assert len(flood["stderr"]) <= 20_000
