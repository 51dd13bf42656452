"""What all probes share: their input, their one line of output, and the ways in which they can end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Result = tuple[str, str, dict[str, Any]]
TIME_LIMIT_S = 110  # the runner ends a probe after 120 s, unless the check says another time


class SkipProbe(Exception):  # noqa: N818 - not an error
    """The image has nothing that this probe is about."""


class ProbeError(Exception):
    """The probe cannot do its work, which says nothing about the image."""


def passed(reason: str, **detail: Any) -> Result:  # noqa: ANN401 - any JSON
    """Say that the image does what the probe asks for."""
    return "passed", reason, detail


def failed(reason: str, **detail: Any) -> Result:  # noqa: ANN401
    """Say that the image does not do what the probe asks for."""
    return "failed", reason, detail


def is_installed(module: str) -> bool:
    """Whether the image's Python finds a module."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def require(*modules: str) -> None:
    """Skip the probe unless all modules are there."""
    missing = [module for module in modules if not is_installed(module)]
    if missing:
        message = f"not in the image: {', '.join(missing)}"
        raise SkipProbe(message)


def probe_input() -> dict[str, Any]:
    """Read what the runner says about the image: its command, port and user."""
    value: dict[str, Any] = json.loads(os.environ.get("MATRIX_PROBE_INPUT") or "{}")
    return value


def patient(time_s: float) -> float:
    """Give the time to wait for what this machine needs, which is more where the check may take longer than it does by itself."""
    return time_s * max(1.0, float(probe_input().get("patience", 1)))


def run_python(
    code: str, *arguments: str, options: Sequence[str] = (), timeout: float = 10, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own, so that neither a crash nor a changed environment reaches the probe."""
    return subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, *options, "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=patient(timeout),
        check=False,
        env={**os.environ, **environ},
    )


def last_line(text: str) -> str:
    """Find the last line with something on it: of a traceback, what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _stop(_signal: int, _frame: object) -> None:
    message = f"not done after {patient(TIME_LIMIT_S):.0f} seconds"
    raise ProbeError(message)


def run_probe(name: str, probe: Callable[[], Result]) -> None:
    """Run a probe and write its one line; whatever goes wrong in it is the probe's error, not the image's failure."""
    signal.signal(signal.SIGALRM, _stop)
    signal.alarm(int(patient(TIME_LIMIT_S)))
    try:
        outcome, reason, detail = probe()
    except SkipProbe as reason_to_skip:
        outcome, reason, detail = "skipped", str(reason_to_skip), {}
    except ProbeError as error:
        outcome, reason, detail = "error", str(error), {}
    except Exception as error:  # noqa: BLE001 - reported in full, as what it is
        outcome, reason = "error", f"{type(error).__name__}: {error}"
        detail = {"traceback": traceback.format_exc().splitlines()[-8:]}
    signal.alarm(0)
    line = json.dumps({"probe": name, "outcome": outcome, "reason": reason, "detail": detail})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    # Exporters and profilers of the image may hold threads that never end; the answer is out.
    os._exit(0)
