"""The script that starts an image's command inside the image and asks it, run by the Python that is here."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = resources.files("orchestrator.smoke").joinpath("service_inside.py").read_text(encoding="utf-8")
LEAVES_A_CHILD = """\
import os, sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
parent = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    pass
HTTPServer.timeout = 3
HTTPServer(("127.0.0.1", int(sys.argv[1])), SimpleHTTPRequestHandler).handle_request()
"""


def ask_inside(command: list[str], within_s: float, **task: Any) -> dict[str, Any]:
    """Run the script on a command; give its report."""
    question = json.dumps({**task, "command": command, "within_s": within_s, "nonce": "n"})
    done = subprocess.run([sys.executable, "-c", SCRIPT, question], capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def health(*test: str, **more: Any) -> dict[str, Any]:
    """Give the task of a HEALTHCHECK."""
    return {"test": test, "each_s": 30, "start_s": 0, "retries": 3, **more}


def test_what_a_command_leaves_behind_is_not_asked_in_its_place() -> None:
    """A container ends with its command, though another process would have answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", LEAVES_A_CHILD, str(port)]
    found = ask_inside(command, 30, port=port, path="/", status=200, header=[], body=None)
    assert found["code"] == 0
    assert found["last"].get("status") is None


def test_a_command_that_has_ended_is_not_healthy() -> None:
    """Whatever the HEALTHCHECK would say without it."""
    found = ask_inside(["sh", "-c", "echo gone; exit 4"], 30, **health("true"))
    assert found == {"service": "n", "last": {}, "code": 4, "tail": "gone"}


def test_a_health_check_that_takes_too_long_or_does_not_start_has_failed() -> None:
    """And is not tried more often than the image says."""
    late = ask_inside(["sleep", "60"], 40, **health("sleep", "60", each_s=1, retries=1))
    assert (late["last"], late["code"]) == ({"code": None, "output": "Health check exceeded timeout (1s)"}, None)
    absent = ask_inside(["sleep", "60"], 40, **health("/nowhere/true", retries=2))
    assert "No such file or directory" in absent["last"]["output"]


def test_a_health_check_that_is_cut_short_does_not_hide_what_the_one_before_said(tmp_path: Path) -> None:
    """Its time is over because the check's is."""
    test = ["sh", "-c", "test -e $0/x && exec sleep 60; touch $0/x; echo not yet; exit 1"]
    found = ask_inside(["sleep", "60"], 3, **health(*test, str(tmp_path)))
    assert found["last"] == {"code": 1, "output": "not yet\n"}
