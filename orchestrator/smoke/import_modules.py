"""Runs inside an image: import each module named, each in a process of its own.

Standard library only, any Python from 3.7 on; prints one JSON line a module.
"""

import json
import subprocess
import sys
import time

CODE = "import importlib, sys; importlib.import_module(sys.argv[1])"


def try_import(name, timeout_s):
    """Import one module; a crash takes down only the process that tried."""
    started = time.monotonic()
    argv = [sys.executable, "-X", "faulthandler", "-c", CODE, name]
    try:
        done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=timeout_s)
        code, words = done.returncode, done.stderr[-20000:].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        code, words = None, ""
    return {"module": name, "code": code, "stderr": words, "duration_s": time.monotonic() - started}


for module in sys.argv[2:]:
    sys.stdout.write(json.dumps(try_import(module, float(sys.argv[1]))) + "\n")
    sys.stdout.flush()
