"""Exit codes and errors in words that name the cause."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from orchestrator.cuts import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LIVE = re.compile(
    r"\x1b(?!\[[0-9;]*m)|\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_CI_OBEYS = re.compile(r"##(?=(?:vso)?\[)|^[ \t]+::", re.MULTILINE)  # wherever it stands in a line; behind blanks, too
_MEANT = {
    signal.SIGSEGV: "segmentation fault",
    signal.SIGKILL: "killed",
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGILL: "illegal instruction",
    signal.SIGFPE: "arithmetic error",
    signal.SIGTERM: "terminated",
}
_NOT_THERE = re.compile(  # as runc says it, and crun
    r'exec: "?([^":]+)"?: (?:executable file not found in \$PATH|stat .*no such file or directory)'
    r"|executable file `([^`]+)` not found"
)
REASON_LENGTH = 300


def inert(text: str) -> str:
    """Take out of what an image printed what no file or terminal should get: control characters, and halves of characters."""
    return text if text.isprintable() else _CONTROL.sub("", text)


def safe(text: str) -> str:
    """Give a whole result as a terminal may get it."""
    return "".join(safe_pieces((text,)))


def safe_pieces(pieces: Iterable[str]) -> Iterator[str]:
    """Give a result as a terminal may get it: in colour perhaps, and with nothing else that a terminal obeys, or a CI system.

    Whoever renders a result makes each text in it inert; this is for what was
    forgotten. JSON keeps its values: there, such characters can be spelt.
    """
    is_json: bool | None = None
    for raw in pieces:
        is_json = raw.startswith(("{", "[")) if is_json is None else is_json
        may_be_obeyed = "##" in raw or "::" in raw  # to look for these first is quicker
        piece = _CI_OBEYS.sub(_spell if is_json else _part, raw) if may_be_obeyed else raw
        if piece.replace("\n", "").isprintable():  # a large one is looked through faster
            yield piece
        else:
            yield _LIVE.sub((lambda found: f"\\u{ord(found[0]):04x}") if is_json else "", piece)


def _spell(found: re.Match[str]) -> str:
    """Spell in JSON what a CI system would take for a command of ours: a line of it begins with none."""
    return r"\u0023#" if found[0] == "##" else _part(found)


def _part(found: re.Match[str]) -> str:
    """Write with a blank within it what a CI system would take for a command of ours; those have none before them."""
    return f"{found[0]} " if found[0] == "##" else f"{found[0][:-1]} :"


def explain_code(code: int, *, out_of_memory: bool = False, memory_bytes: int | None = None) -> str:
    """Name an exit code: 137 and 139 are signals, and the engine knows who ran out of memory."""
    if out_of_memory:
        limit = f" (limit {memory_bytes // 1024**2} MiB)" if memory_bytes else ""
        return f"out of memory{limit}, exit {code}"
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number) if number > 0 else None
    except ValueError:
        name = None
    if name is None:
        return f"exit {code}"
    return f"{_MEANT.get(name, name.name)} ({name.name}), exit {code}"


def explain_start(error: str) -> str:
    """Say why a container did not start."""
    if found := _NOT_THERE.search(error):
        return f"'{found[1] or found[2]}' is not in the image"
    if "permission denied" in error or "exists but it is not executable" in error:
        return "the command in the image may not be executed (permission denied)"
    if "exec format error" in error:
        return "the command in the image is for another platform, or no program (exec format error)"
    if "no such file or directory" in error:
        return "the command in the image needs a loader or interpreter that is not in it (no such file or directory)"
    return shorten(error)


def last_line(text: str) -> str:
    """Give the last line that says something."""
    lines = [line.strip() for line in inert(text).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def one_line(text: str) -> str:
    """Make one line of anything, without what could rewrite a terminal."""
    return " ".join(inert(text).split())


def shorten(text: str, length: int = REASON_LENGTH) -> str:
    """Make one line of bounded length."""
    return cut(one_line(text), length)
