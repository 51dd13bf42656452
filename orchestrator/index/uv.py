"""uv, the resolver: requirements to pinned versions, without running anybody's code unless that is allowed."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.docker import process
from orchestrator.errors import EngineError, UsageError
from orchestrator.index.troubles import OfflineError, explain_silence, is_offline, is_unreachable
from orchestrator.packages import Pinned
from orchestrator.redact import hide_credentials
from orchestrator.smoke.words import one_line

if TYPE_CHECKING:
    from threading import Event as Signal

    from orchestrator.index.sources import Sources

_RESOLVE_S = 300.0
_OUTPUT = 64 * 1024**2  # of pins with their hashes
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?===?([^\s;]+)\s*(?:;\s*(.*\S))?\s*")
_HASH = re.compile(r"\s--hash=(\S+)")
_DEFAULT = re.compile(r"package\s+index\s+\(by\s+default:\s+<(https://[^>\s]+)>\)")
_DIRECT = re.compile(r"Failed to (?:download|build|download and build) `[^`]* @\s")  # of an address that the file itself names
_NO_WHEEL = re.compile(r"Wheels are required for `([^`]+)`")


class Resolving(Struct, frozen=True):
    """How requirements are to be resolved."""

    python: str
    platform: str | None = None  # as uv names it; None is for all at once
    hashes: bool = False
    may_build: bool = False
    offline: bool = False


class ResolutionError(Exception):
    """There are no versions that fit, or none that can be known without running a build."""

    def __init__(self, words: str, without_wheel: tuple[str, ...] = ()) -> None:
        """Keep what uv said, and which packages would have to be built to be known."""
        super().__init__(words)
        self.without_wheel = without_wheel


@cache
def default_index() -> str:
    """Give the index that uv asks when nobody names one, as its own help has it."""
    words = process.run([find_uv(), "pip", "compile", "--help"]).stdout
    found = _DEFAULT.search(words)
    if found is None:
        message = "uv does not say which index it asks by itself; name one with UV_DEFAULT_INDEX"
        raise EngineError(message)
    return found[1]


@cache
def find_uv() -> str:
    """Find the uv that was installed with us."""
    try:
        from uv import find_uv_bin  # noqa: PLC0415  # only what resolves needs it

        return str(find_uv_bin())
    except (ImportError, OSError) as error:
        message = f"uv, which resolves dependencies, is not installed beside {sys.executable}; `pip install uv` mends that"
        raise EngineError(message) from error


def resolve(requirements: Path, folder: Path, asked: Resolving, sources: Sources, cancel: Signal) -> tuple[Pinned, ...]:
    """Resolve a requirements file as it is used from `folder`; what stands in the way is an exception with its reason."""
    argv = [find_uv(), "pip", "compile", "--no-progress", "--color", "never", "--no-header", "--no-annotate", "--no-sources"]
    argv += ["--directory", str(folder.absolute()), "--python", sys.executable, "--no-python-downloads"]
    argv += ["--python-version", asked.python]
    argv += ["--python-platform", asked.platform] if asked.platform else ["--universal"]
    argv += ["--generate-hashes"] * asked.hashes + ["--no-build"] * (not asked.may_build) + ["--offline"] * asked.offline
    with tempfile.TemporaryDirectory(prefix="matrix-uv-") as place:
        config = Path(place, "uv.toml")  # instead of the user's own, which may ask elsewhere, or name a file to write to
        config.write_text(sources.uv_config(), encoding="utf-8")
        environment = sources.uv_environment(os.environ, config) | {"UV_NO_WRAP": "1"}  # its words are read
        argv.append(str(requirements.absolute()))
        answer = process.run(argv, env=environment, timeout_s=_RESOLVE_S, limit=_OUTPUT, cancel=cancel)
    if answer.exit.cancelled:
        raise KeyboardInterrupt
    if answer.ok:
        return parse_pins(answer.stdout, requirements)
    words = hide_credentials(answer.stderr)
    asked_at = sources.default or ", ".join(sources.find_links)
    if answer.exit.timed_out:
        raise explain_silence(asked_at, f"uv timed out after {_RESOLVE_S:.0f} s")
    if asked.offline and is_offline(words):
        message = f"{requirements.name}: not all of its packages are in the cache"
        raise OfflineError(message)
    is_answered = "No solution found" in words or "not found in the package registry" in words or bool(_DIRECT.search(words))
    if not is_answered and is_unreachable(words):
        raise explain_silence(asked_at, _conclusion(words))
    if is_answered or "Failed to build" in words:
        raise ResolutionError(_conclusion(words), tuple(dict.fromkeys(_NO_WHEEL.findall(words))))
    message = f"{requirements}: uv cannot resolve it: {_conclusion(words)}"
    raise UsageError(message)


def _conclusion(words: str) -> str:
    """Give the last cause that uv names, without its hints on its own options."""
    said = re.split(r"\bcause: ", one_line(words.partition("\nhint:")[0]))[-1]
    return said.removeprefix("error: ")[:600]


def parse_pins(text: str, requirements: Path) -> tuple[Pinned, ...]:
    """Read what uv prints: a pin a line, with its marker and hashes."""
    pins = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith(("#", "--")):
            continue
        found = _PIN.fullmatch(_HASH.sub("", line).strip())
        if found is None:
            message = (
                f"{requirements}: '{one_line(hide_credentials(line))[:200]}' is no version of an index; "
                "folders and repositories have no wheels to look for and no hash to lock: publish it, or leave it out"
            )
            raise UsageError(message)
        pins.append(Pinned(found[1], found[2], found[3], tuple(sorted(_HASH.findall(line)))))
    return tuple(pins)
