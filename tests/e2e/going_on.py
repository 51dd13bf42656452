"""A buildx whose bake goes on when a target fails, as github.com/docker/buildx/pull/4044 describes it, made of one that stops."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HELP = '      --execution string   Set execution mode ("fail-fast", "defer-output", "defer-error") (default "fail-fast")\n'
WAY_ON = "--execution=defer-error"
_BESIDE = {
    "target": {"beside": {"dockerfile-inline": "FROM scratch", "output": ["type=cacheonly"]}}
}  # of one alone bake names none


def main(real: str) -> None:
    """Be that buildx: all but its bake is the real one's."""
    argv = sys.argv[1:]
    if argv == ["bake", "--help"]:
        said = subprocess.run([real, *argv], check=True, capture_output=True, text=True).stdout
        sys.stdout.write(said + HELP)
        sys.exit(0)
    if WAY_ON not in argv:
        sys.exit(subprocess.run([real, *argv], check=False).returncode)
    argv.remove(WAY_ON)
    sys.exit(_bake_each(real, argv))


def _bake_each(real: str, argv: list[str]) -> int:
    """Bake one target after another, each with one beside it that is nothing, and keep what is said of those that succeed."""
    metadata = Path(argv[argv.index("--metadata-file") + 1])
    names = list(json.loads(Path(argv[argv.index("--file") + 1]).read_bytes())["target"])
    beside = metadata.with_name("beside.json")
    beside.write_text(json.dumps(_BESIDE))
    options = argv[: -len(names)]
    codes, told = [], {}
    for name in names:
        codes.append(subprocess.run([real, *options, "--file", str(beside), name, "beside"], check=False).returncode)
        if codes[-1] == 0:
            told[name] = json.loads(metadata.read_bytes())[name]
    metadata.write_text(json.dumps(told))
    return max(codes)
