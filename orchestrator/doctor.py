"""`matrix doctor`: what is missing here, and the command that mends it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, to_builtins

from orchestrator.config.load import load_matrix
from orchestrator.docker.builder import inspect_builder
from orchestrator.docker.cluster import explain_other_cluster
from orchestrator.docker.dial import check_own_buildkit, listens
from orchestrator.docker.engine import connect, describe_unlimited
from orchestrator.docker.installed import buildx_folder
from orchestrator.environment import builder_spec
from orchestrator.errors import EngineError, ExitCode, MatrixError
from orchestrator.exposed import find_exposed
from orchestrator.hints import repeat_options
from orchestrator.model import BuilderSpec
from orchestrator.paths import cache_folder
from orchestrator.store import RUNS
from orchestrator.units import count

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.docker.engine import Engine
    from orchestrator.docker.nodes import Existing

T = TypeVar("T")
_LEAST = 20  # letters in a line that is wrapped
_ROOM_BYTES = 5 * 1000**3


class Examined(Struct, frozen=True):
    """One thing looked at: fine, or what is wrong and how to mend it."""

    what: str
    ok: bool
    words: str
    exit_code: ExitCode = ExitCode.OK


def examine(file: Path, reports: Path) -> list[Examined]:
    """Look at everything that a run needs; one thing missing does not hide the next."""
    findings = [Examined("python", ok=True, words=sys.version.split()[0])]
    matrix = _try(
        findings, "matrix file", lambda: load_matrix(file), lambda found: f"{file}: {count(len(found.plan.cells), 'cell')}"
    )
    exposed = find_exposed(matrix.plan.cells, matrix.folder, reports) if matrix else ()
    findings += [Examined("context", ok=False, words=words) for words in exposed]
    is_needed = matrix is None or builder_spec(matrix).needs_engine
    engine = _try(findings, "engine", partial(connect, is_needed=is_needed), _describe_engine)
    if engine is not None:
        findings += [_examine_store(engine), *_examine_limits(engine)] if engine.answers else []
        spec = builder_spec(matrix) if matrix else BuilderSpec()
        _try(findings, "builder", partial(_find_builder, engine, spec), partial(_describe_builder, spec, repeat_options(file)))
    folder = _try(findings, "cache folder", cache_folder, lambda folder: f"{folder}, {_free(folder)}")
    if folder is not None:
        findings += _examine_rights("cache folder", folder / "locks", "MATRIX_CACHE_DIR names another")
    findings += _examine_rights("buildx", buildx_folder(), "BUILDX_CONFIG names another folder for its own files")
    findings += _examine_rights("reports", reports / RUNS, "make it yours, or name another folder by --reports")
    if folder is not None and shutil.disk_usage(folder).free < _ROOM_BYTES:
        words = f"only {_free(folder)} at {folder}; `docker buildx prune` and `matrix clean{repeat_options(file)} --runs` free some"
        findings.append(Examined("disk", ok=False, words=words, exit_code=ExitCode.ENGINE))
    return findings


def _try(findings: list[Examined], what: str, look: Callable[[], T], describe: Callable[[T], str]) -> T | None:
    try:
        found = look()
    except MatrixError as error:
        findings.append(Examined(what, ok=False, words=str(error), exit_code=error.exit_code))
        return None
    findings.append(Examined(what, ok=True, words=describe(found)))
    return found


def _describe_engine(engine: Engine) -> str:
    if not engine.answers:
        return f"none answers, and none is needed: the builder is elsewhere; buildx {engine.buildx}"
    return f"{engine.product} {engine.version}, buildx {engine.buildx}, {engine.platform}, {engine.cpus} CPUs"


def _examine_store(engine: Engine) -> Examined:
    if engine.containerd_store:
        return Examined("image store", ok=True, words="containerd: images are measured without being moved")
    if engine.product != "Docker":
        return Examined("image store", ok=True, words=f"{engine.storage}; images are measured as they leave the builder")
    words = f"{engine.storage}: works; compressed sizes are estimates. The containerd image store is exact and faster"
    return Examined("image store", ok=True, words=words)


def _examine_limits(engine: Engine) -> list[Examined]:
    words = describe_unlimited(engine)
    return [Examined("limits", ok=True, words=words)] if words else []


class _Looked(Struct, frozen=True):
    """A builder, if it is there, and the daemons of which nobody knows whether they run."""

    found: Existing | None
    untried: list[str]


def _find_builder(engine: Engine, spec: BuilderSpec) -> _Looked:
    """Look at the builder; a run makes or starts one, but neither the daemons of a remote one nor the engine's own BuildKit."""
    if spec.driver == "docker":
        check_own_buildkit(engine, spec.why_in_engine)
        return _Looked(None, [])
    found = inspect_builder(engine, spec.name)
    if found is None:
        answers = {endpoint: listens(endpoint) for endpoint in _endpoints(spec)}
    elif trouble := explain_other_cluster(spec.name, found):
        raise EngineError(trouble)
    elif found.driver == "kubernetes" and found.error:
        message = f"'{spec.name}': {found.error}"
        raise EngineError(message)
    else:
        answers = {node.endpoint: bool(node.buildkit) for node in found.nodes if found.driver == "remote"}
    if silent := [endpoint for endpoint, answer in answers.items() if answer is False]:
        message = f"'{spec.name}': nothing answers at {', '.join(silent)}; see that its daemon runs"
        raise EngineError(message)
    return _Looked(found, [endpoint for endpoint, answer in answers.items() if answer is None])


def _endpoints(spec: BuilderSpec) -> list[str]:
    """Name the daemons that a remote builder is to reach."""
    asked = (spec.endpoint, *(node.endpoint for node in spec.nodes)) if spec.driver == "remote" else ()
    return [endpoint for endpoint in asked if endpoint]


def _describe_builder(spec: BuilderSpec, options: str, looked: _Looked) -> str:
    found, name = looked.found, spec.name
    if spec.driver == "docker":
        return f"the engine's own BuildKit ({spec.why_in_engine})"
    if found is None:
        words = f"; whether anything answers at {', '.join(looked.untried)} was not tried" if looked.untried else ""
        return f"'{name}' is not there yet; `matrix bootstrap{options}`, or the first run, makes it{words}"
    nodes = f", {len(found.nodes)} nodes" if found.others else ""
    return f"'{name}': {found.driver}, BuildKit {found.buildkit or 'not running'}{nodes}"


def _examine_rights(what: str, folder: Path, cure: str) -> list[Examined]:
    """See whether a run could write a folder, or make it: it may be another user's, or on a read-only disk."""
    place = next(one for one in (folder, *folder.absolute().parents) if os.path.lexists(one))
    if os.access(place, os.W_OK | os.X_OK):
        return []
    return [Examined(what, ok=False, words=f"{place} may not be changed; {cure}", exit_code=ExitCode.USAGE)]


def _free(folder: Path) -> str:
    return f"{shutil.disk_usage(folder).free / 1000**3:.0f} GB free"


def render_examination(findings: list[Examined], kind: str, width: int) -> str:
    """Write what was found, for people or for machines; only the table minds the terminal's width."""
    if kind == "json":
        data = [{key: value for key, value in to_builtins(finding).items() if key != "exit_code"} for finding in findings]
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    wide = max(len(finding.what) for finding in findings)
    rows = [(f"{'ok     ' if finding.ok else 'MISSING'}  {finding.what:<{wide}}  ", finding.words) for finding in findings]
    return "".join(f"{line}\n" for begin, words in rows for line in _wrapped(begin, words, width))


def _wrapped(begin: str, words: str, width: int) -> list[str]:
    """Lay words out beside what they are about; what a terminal copies is not broken."""
    room = max(width, len(begin) + _LEAST)
    return textwrap.wrap(
        words, room, initial_indent=begin, subsequent_indent=" " * len(begin), break_long_words=False, break_on_hyphens=False
    )
