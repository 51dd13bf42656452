"""Argv in, exit code out: the list of commands, and what becomes of an error."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from orchestrator import __version__
from orchestrator.commands.printing import print_result, tell, write_anything
from orchestrator.disk import NO_ROOM, REFUSED
from orchestrator.errors import ConfigError, ExitCode, MatrixError
from orchestrator.progress.say import open_closed

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMANDS = {  # each with the module of orchestrator/commands that has it, in the order of --help
    "init": "tending",
    "doctor": "tending",
    "plan": "planning",
    "preflight": "dependencies",
    "lock": "dependencies",
    "bootstrap": "running",
    "run": "running",
    "report": "reading",
    "site": "reading",
    "trace": "reading",
    "explain": "reading",
    "merge": "gathering",
    "compare": "comparing",
    "history": "comparing",
    "baseline": "comparing",
    "jaeger": "tending",
    "schema": "planning",
    "clean": "tending",
}


def _version(value: bool) -> None:  # noqa: FBT001  # typer calls it with the flag
    if value:
        print_result(f"matrix {__version__}\n", None)
        raise typer.Exit


def _options(
    *, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False
) -> None:
    """Build every base image of matrix.yaml, measure it, start it, and compare."""


class _Command(TyperCommand):
    """A command whose usage names what must be given as people write it: `OLD NEW`, not `{OLD} {NEW}`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401  # the type's name is typer's own affair
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


def make_app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Make a command line of some commands: to read the options of all takes longer than most of them do."""
    app = typer.Typer(
        name="matrix",
        help="Build every base image of matrix.yaml, measure it, start it, and compare.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    for name in names:
        app.command(cls=_Command)(getattr(import_module(f"orchestrator.commands.{COMMANDS[name]}"), name))
    return app


def main() -> None:
    """Run the command line; what the user can mend is a sentence, what only we can is a traceback."""
    open_closed()
    write_anything()
    atexit.register(_end)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would read about all that is installed to look for some
    gc.set_threshold(100_000, 50, 100)  # looking for circles among what imports bring, and keep, took a fifth of a small run
    wanted = sys.argv[1:2]
    try:
        make_app(wanted if wanted and wanted[0] in COMMANDS else COMMANDS)()
    except MatrixError as error:
        tell(str(error) if isinstance(error, ConfigError) else f"matrix: {error}")
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001  # the last resort: anything else is our own bug
        if isinstance(error, OSError) and (words := _explain(error)):
            tell(f"matrix: {words}")
            sys.exit(ExitCode.ENGINE if error.errno in NO_ROOM else ExitCode.USAGE)
        import traceback  # noqa: PLC0415  # it takes a tenth of what --help takes

        tell(f"{traceback.format_exc()}matrix {__version__}: this is a bug in matrix; please report the lines above")
        sys.exit(ExitCode.BUG)


def _explain(error: OSError) -> str | None:
    """Say what the system refused, where somebody can mend that."""
    if error.errno in NO_ROOM:
        return f"no room left on the disk for {error.filename or 'standard output'}"
    if "--install-completion" in sys.argv:  # typer writes it, and knows of no disk that refuses
        return f"{error.filename} cannot be written: {error.strerror}; --show-completion prints what belongs there"
    if error.errno in REFUSED and error.filename:
        return f"{error.filename} may not be used: {error.strerror}"
    if error.errno == errno.ENOENT and not error.filename:  # only the system's own question has no name
        return "the working folder is not there any more; change into one that is"
    return None


def _end() -> None:
    """Let nothing change the exit code, or take long, while Python takes itself apart: all is done and said by then."""
    gc.freeze()  # it would look for circles among all that it has, which takes longer than some commands
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
