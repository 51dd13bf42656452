"""Argv in, exit code out: the list of commands, and what becomes of an error."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import traceback
from typing import Annotated

import typer

from orchestrator import __version__
from orchestrator.commands import comparing, dependencies, gathering, planning, reading, running, tending
from orchestrator.commands.printing import tell
from orchestrator.errors import ConfigError, ExitCode, MatrixError

app = typer.Typer(
    name="matrix",
    help="Build every base image of matrix.yaml, measure it, start it, and compare.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(value: bool) -> None:  # noqa: FBT001  # typer calls it with the flag
    if value:
        sys.stdout.write(f"matrix {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    *, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False
) -> None:
    """Build every base image of matrix.yaml, measure it, start it, and compare."""


for command in (
    tending.init,
    tending.doctor,
    planning.plan,
    dependencies.preflight,
    dependencies.lock,
    running.bootstrap,
    running.run,
    reading.report,
    reading.site,
    reading.trace,
    reading.explain,
    gathering.merge,
    comparing.compare,
    comparing.history,
    comparing.baseline,
    tending.jaeger,
    planning.schema,
    tending.clean,
):
    app.command()(command)


def main() -> None:
    """Run the command line; what the user can mend is a sentence, what only we can is a traceback."""
    atexit.register(_ignore_interruptions)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would read about all that is installed to look for some
    gc.set_threshold(100_000, 50, 100)  # looking for circles among what imports bring, and keep, took a fifth of a small run
    try:
        app()
    except MatrixError as error:
        tell(str(error) if isinstance(error, ConfigError) else f"matrix: {error}")
        sys.exit(error.exit_code)
    except Exception:  # noqa: BLE001  # the last resort: anything else is our own bug
        tell(f"{traceback.format_exc()}matrix {__version__}: this is a bug in matrix; please report the lines above")
        sys.exit(ExitCode.BUG)


def _ignore_interruptions() -> None:
    """Let nothing change the exit code while Python takes itself apart: all is done and said by then."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
