"""Runs inside an image: import each module named, each in a process of its own.

Standard library only, any Python from 3.7 on; prints one JSON line a module.
Each process is a fork: to start another Python takes longer than most imports.
"""

import faulthandler
import importlib
import json
import os
import select
import signal
import sys
import time

KEPT_BYTES = 20000  # of what an import prints on its standard error: the last
PART_BYTES = 65536  # as much as a pipe holds
POLL_S = 0.02
UNHEARD_S = 0.002  # between two looks at a process that has closed its standard error: its end is told by nothing else


def try_import(name, timeout_s):
    """Import one module; a crash takes down only the process that tried."""
    started = time.monotonic()
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(source)
        import_here(name, sink)
    os.close(sink)
    code, words = follow(pid, source, started + timeout_s)
    os.close(source)
    return {"module": name, "code": code, "stderr": words.decode("utf-8", "replace"), "duration_s": time.monotonic() - started}


def import_here(name, sink):
    """Import a module in this process and end it, as Python ends; what it prints is not ours."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(sink, 2)
    os.close(sink)
    faulthandler.enable()
    sys.argv = ["-c", name]
    importlib.import_module(name)
    sys.exit()


def follow(pid, source, latest):
    """Give a process's exit code, or None when it had to be killed, and the last of what it printed."""
    words, is_open, status = b"", True, None
    while status is None and time.monotonic() < latest:
        if is_open and select.select([source], [], [], POLL_S)[0]:
            part = os.read(source, PART_BYTES)
            words, is_open = (words + part)[-KEPT_BYTES:], bool(part)
        elif not is_open:
            time.sleep(UNHEARD_S)
        ended, found = os.waitpid(pid, os.WNOHANG)
        status = found if ended else None
    if status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return None, words
    if is_open and select.select([source], [], [], 0)[0]:  # once: what it has left running may print for ever
        words = (words + os.read(source, PART_BYTES))[-KEPT_BYTES:]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), words


for module in sys.argv[2:]:
    sys.stdout.write(json.dumps(try_import(module, float(sys.argv[1]))) + "\n")
    sys.stdout.flush()
