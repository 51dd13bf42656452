"""`python -m tests.lab`: an engine and bases where there are none; behind make run, make test and .ci/run."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.config.load import load_matrix
from orchestrator.standins import VARIABLE
from tests.lab.bases import STAND_INS, ensure_bases, save_description
from tests.lab.cache import LabError, say
from tests.lab.engine import BENCH, CLASSIC, FORBID, MAIN, TINY, answers, ensure, may_start, start, stop
from tests.lab.stock import forget_unused, load_builder_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NO_ENGINE = "MATRIX_TESTS_NO_ENGINE"
HAS_CLASSIC = "MATRIX_TESTS_CLASSIC"
HAS_TINY = "MATRIX_TESTS_TINY"
KEEPS_IMAGES = "MATRIX_TESTS_KEEP_IMAGES"
_BESIDE = {HAS_CLASSIC: CLASSIC, HAS_TINY: TINY}
_SELDOM = "400"  # docker's commands live for a moment: looking for garbage takes a seventh of it
_MATRIX = str(Path(sys.executable).with_name("matrix"))


def _up(_words: Sequence[str]) -> int:
    """Start an engine unless one answers, and print the variables that lead to it."""
    variables = ensure()
    sys.stdout.write("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))
    return 0


def _down(_words: Sequence[str]) -> int:
    """Stop the engines of the lab, by their process ids."""
    engines = (MAIN, CLASSIC, TINY, BENCH)
    with ThreadPoolExecutor() as together:
        for spec, ran in zip(engines, together.map(stop, engines), strict=True):
            say(f"{spec.name}: {'stopped' if ran else 'does not run'}")
    return 0


def _run(words: Sequence[str]) -> int:
    """Run the default matrix: on the real bases where they can be had, on stand-ins elsewhere."""
    os.environ.update(ensure())
    refs = base_references(Path("matrix.yaml"))
    if lacking := [ref for ref in refs if not _can_be_pulled(ref)]:
        say(f"{', '.join(lacking)} cannot be had from here: stand-in bases are used, and every report says so")
        ensure_bases([base.name for base in STAND_INS if {*base.refs, base.refs[0].removesuffix(":latest")} & set(refs)])
        os.environ[VARIABLE] = str(save_description())
    return subprocess.run([_MATRIX, "run", *words], check=False).returncode


def base_references(file: Path) -> list[str]:
    """Give the base images that a matrix builds on, as its cells name them."""
    plan = load_matrix(file).plan
    return sorted({value for cell in plan.cells for name, value in cell.settings.args if name == "BASE_IMAGE"})


def _can_be_pulled(ref: str) -> bool:
    """Ask the registry, through buildx, which does not look into the engine."""
    words = ["docker", "buildx", "imagetools", "inspect", ref]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _with(words: Sequence[str]) -> int:
    """Run a command with an engine and those beside it; what was started for it is stopped afterwards."""
    os.environ.setdefault("GOGC", _SELDOM)
    try:
        with ExitStack() as stack:
            with _compiled_tests():
                variables = _start_engines(stack)
            return subprocess.run(words, env={**os.environ, **variables}, check=False).returncode
    except LabError as error:
        say(str(error))
        return subprocess.run(words, env={**os.environ, NO_ENGINE: str(error).partition(". ")[0]}, check=False).returncode


@contextmanager
def _compiled_tests() -> Iterator[None]:
    """Have all tests compiled once meanwhile; else each of the workers would do it in a fresh clone."""
    words = [sys.executable, "-m", "pytest", "--collect-only", "-qq"]
    variables = {**os.environ, NO_ENGINE: "only compiled"}
    with subprocess.Popen(words, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        yield


def _start_engines(stack: ExitStack) -> dict[str, str]:
    """Start an engine unless one answers, and those beside it where that may be; give the variables that tell of them."""
    beside = list(_BESIDE.values()) if may_start() else []
    specs = [*([] if answers() else [MAIN]), *beside]
    together = stack.enter_context(ThreadPoolExecutor())
    starts = {spec: together.submit(start, spec) for spec in specs}
    stack.callback(
        lambda: [*together.map(stop, [spec for spec, begun in starts.items() if not begun.exception() and begun.result()])]
    )
    variables: dict[str, str] = {}
    if MAIN in starts:
        starts[MAIN].result()
        forget_unused()
        load_builder_image(MAIN.environment)
        variables = MAIN.environment | {KEEPS_IMAGES: "yes"}
    if not beside:
        say(f"no other engines run beside it: that takes root on Debian or Ubuntu, and {FORBID} other than no")
        return variables
    for spec in beside:
        starts[spec].result()
    say("two more engines run beside it: one with the classic image store, and an empty one for tiny images")
    return variables | dict.fromkeys(_BESIDE, "yes")


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"up": _up, "down": _down, "run": _run, "with": _with}


def main() -> int:
    """Read the command line; what cannot be done is a sentence and exit code 4."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("words", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    words = asked.words[1:] if asked.words[:1] == ["--"] else asked.words
    try:
        return COMMANDS[asked.command](words)
    except LabError as error:
        say(str(error))
        return 4


if __name__ == "__main__":
    sys.exit(main())
