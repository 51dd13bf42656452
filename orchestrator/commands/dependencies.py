"""Commands on what cells are made of: bases and packages, before anything is built."""

from __future__ import annotations

from threading import Event as Signal
from typing import Annotated

import typer

from orchestrator.commands.options import File, LockFile, Only, Out, Skip, check_one_of
from orchestrator.commands.printing import print_result, terminal_width, warn
from orchestrator.errors import ExitCode
from orchestrator.hints import DEFAULT_FILE, repeat_options
from orchestrator.units import count

_STOPPING = "no answer is waited for any more"


def preflight(
    file: File = DEFAULT_FILE,
    only: Only = None,
    skip: Skip = None,
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, json or markdown")] = "table",
    out: Out = None,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no index; say what is known from earlier times.")] = False,
) -> None:
    """Foretell which dependencies will not install; needs no Docker.

    For each base, a dependency has a wheel, is compiled, or has nothing.
    """
    from orchestrator.config.load import load_matrix
    from orchestrator.foreseen import remember_forecasts
    from orchestrator.interrupts import interrupts
    from orchestrator.plan.select import select_cells
    from orchestrator.preflight.render import FORMATS, render_preflight
    from orchestrator.preflighting import is_certain, look_ahead

    check_one_of("--format", kind, FORMATS)
    matrix = load_matrix(file)
    plan = select_cells(matrix.plan, only or (), skip or ())
    cancel = Signal()
    with interrupts(cancel, Signal(), _STOPPING):
        found = look_ahead(plan, matrix.folder, cancel, offline=offline)
    remember_forecasts(found, plan, matrix.folder)
    print_result(render_preflight(found, kind, terminal_width()), out)
    if found.problem:
        warn(found.problem)
    elif offline and not is_certain(found):
        again = f"matrix preflight{repeat_options(file)}"
        warn(f"offline: not all was in the cache; `{again}` without --offline asks the index")
    raise typer.Exit(ExitCode.OK if is_certain(found) else ExitCode.ENGINE)


def lock(
    file: File = DEFAULT_FILE,
    out: LockFile = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; say what has moved since, with exit code 1.")] = False,
    build: Annotated[
        bool, typer.Option("--build", help="Run the builds of packages without a wheel here, to learn what they require.")
    ] = False,
) -> None:
    """Pin bases by digest and dependencies by version and hash.

    The lock is matrix.lock, beside the matrix file.
    """
    from orchestrator.config.load import load_matrix
    from orchestrator.interrupts import interrupts
    from orchestrator.lock.compare import find_moves
    from orchestrator.lock.text import render_lock
    from orchestrator.locking import Making, load_lock, lock_path, make_lock

    matrix = load_matrix(file)
    path = lock_path(file)
    known = load_lock(path, repeat_options(file))[0] if check else None
    cancel = Signal()
    with interrupts(cancel, Signal(), _STOPPING):
        now = make_lock(matrix, Making(build, warn, cancel))
    if known is None:
        text = render_lock(now)
        print_result(text, out or path)
        files, packages = count(len(now.requirements), "requirements file"), count(len(now.hashes or {}), "package")
        warn(f"{count(len(now.base), 'base')}, {files}, {packages}")
        return
    moves = find_moves(known, now)
    print_result("".join(f"{move}\n" for move in moves) or f"nothing has moved since {path} was written\n", out)
    raise typer.Exit(ExitCode.UNEXPECTED if moves else ExitCode.OK)
