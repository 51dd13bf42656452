"""`python -m bench`: matrix against bake and build, side by side; writes docs/performance.md, docs/scale.md, measured.json."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.agenda import PROJECTS, choose, make_agenda
from bench.commands import time_commands
from bench.contenders import forget_builder, forget_steps, has_image
from bench.machine import describe_machine
from bench.nouns import DRIVERS, IN_ENGINE, STATES, Measured
from bench.projects import BUILDER, LARGE_BASE, REAL_CELLS, ROOT, ensure_large_base
from bench.rounds import measure_case
from bench.scale import BEGIN as SCALE_BEGIN
from bench.scale import END as SCALE_END
from bench.scale import render_scale
from bench.stored import load_measured, put_in, save_measured
from bench.tables import put_between, render_checks, render_results
from orchestrator.docker.engine import connect
from orchestrator.model import BuilderSpec
from orchestrator.standins import VARIABLE
from tests.lab.bases import ensure_bases, save_description
from tests.lab.engine import BENCH, engine
from tests.lab.registry import serve_registry
from tests.lab.stock import load_builder_image

_COMMANDS = "commands"
_PERFORMANCE, _SCALE = ROOT / "docs/performance.md", ROOT / "docs/scale.md"


def main() -> int:
    """Measure what was asked for, case by case, and write what is known after each."""
    asked = _read_arguments()
    began = time.monotonic()
    with engine(BENCH) as variables:
        os.environ.update(variables)
        if variables:
            load_builder_image(variables)
        _measure(asked, is_own_engine=bool(variables))
    _say(f"{(time.monotonic() - began) / 60:.1f} minutes")
    return 0


def _measure(asked: argparse.Namespace, *, is_own_engine: bool) -> None:
    os.environ.pop(VARIABLE, None)
    everything = list(make_agenda(has_builder_image=has_image(BuilderSpec().image)))
    agenda = choose(everything, asked.only, asked.cells, asked.state, asked.driver, asked.rounds)
    if asked.only and set(asked.only) == {_COMMANDS}:
        agenda = []
    bases = _prepare(needs_large_base=any(item.case.project == "large" for item in agenda))
    machine, measured = describe_machine(is_own_engine=is_own_engine), load_measured()
    with tempfile.TemporaryDirectory(prefix="matrix-bench-") as name, ExitStack() as at_the_end:
        folder = Path(name)
        if not asked.only or _COMMANDS in asked.only:
            _say("our own commands")
            measured = put_in(measured, machine, [], time_commands(folder / "commands"))
            _keep(measured, wanted=not asked.dry)
        for item in agenda:
            case = item.case
            _say(f"{case.cells} {case.project} cells, {case.state}: {', '.join(item.contenders)}, {item.rounds} times")
            if case.driver == IN_ENGINE:
                rows = measure_case(item, folder, connect().context)
                forget_steps(connect().context)
            else:
                at_the_end.callback(forget_builder, BUILDER)
                with serve_registry(bases) as registry:
                    rows = measure_case(item, folder, BUILDER, registry)
            measured = put_in(measured, machine, rows, [])
            _keep(measured, wanted=not asked.dry)
    sys.stdout.write(f"{render_results(measured, REAL_CELLS)}\n\n{render_checks(measured)}\n" if asked.dry else "")


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=(*PROJECTS, _COMMANDS), default=[], help="repeatable")
    parser.add_argument("--cells", action="append", type=int, default=[], metavar="N", help="only cases of N cells; repeatable")
    parser.add_argument("--state", action="append", choices=STATES, default=[], help="repeatable")
    parser.add_argument("--driver", action="append", choices=DRIVERS, default=[], help="repeatable")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="samples of each contender; without it 3, or 1 where each takes long"
    )
    parser.add_argument("--dry", action="store_true", help="print the results and write no file")
    return parser.parse_args()


def _prepare(*, needs_large_base: bool) -> list[str]:
    """Have the bases in the engine that are not made while the clock runs: stand-ins where the real ones cannot be had.

    Give the names of those that the engine alone has.
    """
    names = []
    if made := ensure_bases(["alpine-3.13", "slim-3.13", "wolfi"]):
        _say(f"bases: {', '.join(base.name for base in made)}")
        os.environ[VARIABLE] = str(save_description())
        names += [base.refs[0] for base in made]
    if needs_large_base:
        _say(f"the large base has {ensure_large_base() / 1e6:.0f} MB packed")
        names.append(LARGE_BASE)
    return names


def _keep(measured: Measured, *, wanted: bool) -> None:
    """Write all that is known: a bench that is interrupted loses one case."""
    if not wanted:
        return
    save_measured(measured)
    text = _PERFORMANCE.read_text(encoding="utf-8")
    _PERFORMANCE.write_text(put_between(text, render_results(measured, REAL_CELLS)), encoding="utf-8")
    text = _SCALE.read_text(encoding="utf-8")
    _SCALE.write_text(put_between(text, render_scale(measured), SCALE_BEGIN, SCALE_END), encoding="utf-8")


def _say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
