"""Finds out whether text is UTF-8 from end to end, and which locales the C library has."""

from __future__ import annotations

import json
import os
from typing import Any

from orchestrator.probes._prelude import Result, failed, last_line, passed, run_probe, run_python

GERMAN = "de_DE.UTF-8"
# The file's name goes through the file system's encoding, its text through the locale's. The script itself is ASCII,
# because it is handed over as an argument, which a broken locale could not carry.
_TEXT = r"""
import json, locale, pathlib, sys, tempfile
locale.setlocale(locale.LC_ALL, "")
with tempfile.TemporaryDirectory() as folder:
    text = "Gr\u00fc\u00dfe \u6771\u4eac"
    path = pathlib.Path(folder, text)
    try:
        path.write_text(text)
        whole = [entry.name.encode() for entry in path.parent.iterdir()] == [path.read_bytes()] == [text.encode()]
    except UnicodeEncodeError:
        whole = False
print(json.dumps({
    "utf8": whole and sys.stdout.encoding.lower() == "utf-8",
    "filesystem": sys.getfilesystemencoding(),
    "stdout": sys.stdout.encoding,
}))
"""
_NUMBER = """
import locale, sys
locale.setlocale(locale.LC_ALL, sys.argv[1])
print(locale.format_string("%.1f", 1234.5, grouping=True))
"""


def probe() -> Result:
    """Use the image's own locale for text, and try one that has data of its own."""
    own = {name: os.environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)}
    run = run_python(_TEXT)
    detail: dict[str, Any] = {
        "own": own,
        GERMAN: try_locale(GERMAN),
        "C.UTF-8": try_locale("C.UTF-8"),
    }
    if run.returncode:
        return failed(f"the image's own locale does not work: {last_line(run.stderr)}", **detail)
    text = json.loads(run.stdout)
    if not text["utf8"]:
        return failed(
            f"text is not UTF-8: {text['stdout']} for output, {text['filesystem']} for file names",
            **detail,
        )
    return passed("text is UTF-8 from end to end", **detail, **text)


def try_locale(name: str) -> str:
    """Show what a number looks like in a locale: musl takes every name and formats as in C."""
    run = run_python(_NUMBER, name)
    return run.stdout.strip() if run.returncode == 0 else last_line(run.stderr)


if __name__ == "__main__":
    run_probe("locale", probe)
